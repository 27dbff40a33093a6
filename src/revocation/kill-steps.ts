import type { Context } from '../context.ts';
import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin, StatusChange } from '../audit/events.ts';
import { inTransaction } from '../db/client.ts';
import { killCause, lockUnfinishedKill, stepKill, updateKill, type KillRecord, type KillStep } from '../db/kills.ts';
import { announce } from './announce.ts';
import { besides } from './certificate-events.ts';
import { appendFeed, feedOf, type FeedEvent } from './feed.ts';
import { reasonName } from './reasons.ts';

type StepContext = Pick<Context, 'db' | 'profiles' | 'random' | 'clock' | 'signals' | 'siblings' | 'metrics' | 'barrier'>;

/**
 * Does what is left of a kill, or of its resume: certificates in steps of a few thousand, each one transaction with its feed and audit rows. Whoever dies between two
 * steps leaves the rest to whoever calls this next; two at once take turns. Resolves when nothing is left. `signal` stops it between two steps, with its reason.
 */
export async function finishKill(ctx: StepContext, origin: Origin, killId: string, signal?: AbortSignal): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const step = await nextStep(ctx, origin, killId);
    if (step === undefined) return;
    const { kill, changed, lately, isLast } = step;
    const flipped = changed.filter((row) => row.flipped);
    count(ctx, kill, flipped.length);
    await announce(ctx, [...flipped, ...lately]);
    await ctx.barrier('kill:step-committed');
    if (isLast) return;
  }
}

/** One step, committed; undefined when nothing was left to do. */
function nextStep(ctx: StepContext, origin: Origin, killId: string): Promise<(KillStep & { kill: KillRecord }) | undefined> {
  return inTransaction(ctx.db, async (tx) => {
    const kill = await lockUnfinishedKill(tx, killId);
    if (!kill) return undefined;
    const now = ctx.clock.now();
    const step = await stepKill(tx, kill, { now, since: coveredSince(ctx, kill) });
    await ctx.barrier('kill:step-changed');
    const flipped = step.changed.filter((row) => row.flipped).length;
    const resuming = kill.state === 'resuming';
    const counts = resuming ? { released: kill.released + flipped } : { certificates: kill.certificates + step.changed.length };
    const end = resuming ? { state: 'resumed', resumedAt: now } as const : { state: 'done', finishedAt: now } as const;
    await updateKill(tx, killId, { ...counts, position: step.position, touchedAt: now, ...(step.isLast ? end : {}) });
    await appendFeed(tx, now, feedOfStep(kill, step));
    await ctx.barrier('kill:step-before-commit');
    await appendAudit(ctx, tx, onBehalfOf(origin, kill), now, ...auditOfStep(kill, step), ...(step.isLast ? [finished(kill, counts)] : []));
    return { ...step, kill };
  });
}

/** A job, or another operator, that finishes a kill does it for whoever began it. */
const onBehalfOf = (origin: Origin, { actorKind, actorId, state }: KillRecord): Origin =>
  state === 'resuming' || (origin.actor.kind === actorKind && origin.actor.id === actorId) ? origin : { ...origin, onBehalfOf: { kind: actorKind as Origin['actor']['kind'], id: actorId } };

/** What was revoked must not open the way to another certificate after its end either. What is suspended cannot, as long as it is. */
function coveredSince({ profiles }: Pick<Context, 'profiles'>, { effect, createdAt }: KillRecord): Date {
  return effect === 'revoke' ? new Date(createdAt.getTime() - profiles.longestGraceSeconds * 1000) : createdAt;
}

function feedOfStep(kill: KillRecord, { changed, agents, instances }: KillStep): FeedEvent[] {
  const killId = kill.id;
  const certificates = feedOf(certificateKind(kill), changed.filter(({ flipped }) => flipped)).map((event) => ({ ...event, killId }));
  return [
    ...agents.filter(({ flipped }) => flipped).map(({ id }): FeedEvent => ({ kind: 'agent-resumed', agentId: id, killId })),
    ...instances.filter(({ flipped }) => flipped).map(({ id, agentId }): FeedEvent => ({ kind: 'instance-released', agentId, instanceId: id, killId })),
    ...certificates,
  ];
}

const certificateKind = ({ state, effect }: Pick<KillRecord, 'state' | 'effect'>) => (state === 'resuming' ? 'released' : effect === 'suspend' ? 'held' : 'revoked');

function auditOfStep(kill: KillRecord, { changed, agents, instances }: KillStep): AuditEvent[] {
  const common = { outcome: 'success', target: kill.id } as const;
  const kind = certificateKind(kill);
  const what: StatusChange = kind === 'revoked' ? { kind: 'certificate.revoked', detail: { reason: reasonName(kill.revocationReason ?? 0) } } : { kind: `certificate.${kind}`, detail: { cause: killCause(kill.id) } };
  const others = { status: 'suspended by other causes' } as const;
  return [
    ...agents.map(({ id, flipped }): AuditEvent => ({ ...common, kind: 'agent.resumed', agentId: id, ...(flipped ? {} : { detail: others }) })),
    ...instances.map(({ id, agentId, flipped }): AuditEvent => ({ ...common, kind: 'instance.released', agentId, instanceId: id, ...(flipped ? {} : { detail: others }) })),
    ...changed.map(({ serial, agentId, instanceId, flipped }): AuditEvent => ({ ...common, ...(flipped ? what : besides(what)), agentId, instanceId, serial })),
  ];
}

const finished = (kill: KillRecord, counts: { released: number } | { certificates: number }): AuditEvent => ({ kind: 'kill.finished', outcome: 'success', target: kill.id, detail: { of: kill.state === 'resuming' ? 'resume' : kill.effect, ...counts } });

function count({ metrics }: StepContext, kill: KillRecord, certificates: number): void {
  if (certificates === 0) return;
  const kind = certificateKind(kill);
  if (kind === 'revoked') metrics.revoked.inc({ reason: reasonName(kill.revocationReason ?? 0) }, certificates);
  else (kind === 'held' ? metrics.held : metrics.released).inc(certificates);
}
