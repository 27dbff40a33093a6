import type { KillBody } from '../api/kills.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import { findAgent } from '../db/agents.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { findCertificate } from '../db/commit.ts';
import { takeGate } from '../db/gate.ts';
import { findInstance } from '../db/instances.ts';
import {
  findKill, insertKill, killAgents, killCause, killInstance, lockKill, resumeOwner, suspendOwner, updateKill,
  type InstanceFlip, type KillEffect, type KillRecord, type SelectorKind, type StateFlip,
} from '../db/kills.ts';
import { insertSteer } from '../db/renewal-steers.ts';
import { deleteStops, insertStop, listStops, lockStops, type IssuanceStop } from '../db/stops.ts';
import { appendFeed, type FeedEvent } from './feed.ts';
import { assertConfirmed } from './kill-preview.ts';
import { finishKill } from './kill-steps.ts';
import { leafReason } from './reasons.ts';
import { selectionOf, type Selection } from './selection.ts';
import { steerOf } from './steer-renewals.ts';

export type KillContext = Pick<Context, 'db' | 'config' | 'profiles' | 'random' | 'clock' | 'log' | 'sealer' | 'signals' | 'siblings' | 'metrics' | 'barrier'>;

/** What a kill can do to what its selector means (docs/revocation.md). */
const EFFECTS: Readonly<Record<SelectorKind, readonly KillEffect[]>> = {
  serial: ['suspend', 'revoke'],
  instance: ['suspend', 'revoke'],
  agent: ['suspend', 'revoke', 'retire'],
  owner: ['suspend', 'revoke', 'retire'],
  labels: ['suspend', 'revoke', 'retire'],
  issuer: ['suspend', 'revoke'],
  profile: ['suspend', 'revoke'],
  everything: ['suspend', 'revoke'],
};

/** Whether something of a kill can be taken back: a state that it suspended, a stop, a hold. */
export const canResume = ({ selector, effect }: Pick<KillRecord, 'selector' | 'effect'>): boolean =>
  effect === 'suspend' || (effect === 'revoke' ? selector !== 'serial' && selector !== 'instance' : selector === 'owner');

/**
 * What a kill is to do, judged before it is done. @throws SignetError what `selectionOf` throws, `kill-effect-not-allowed`, `agent-retired`,
 * `instance-state-conflict`, `hold-conflict`, `certificate-expired`
 */
export async function judgeKill(ctx: Pick<Context, 'db' | 'profiles'>, { selector, effect }: Pick<KillBody, 'selector' | 'effect'>, now: Date): Promise<Selection> {
  const selection = await selectionOf(ctx, selector);
  const allowed = EFFECTS[selection.selector];
  if (!allowed.includes(effect)) throw new SignetError('kill-effect-not-allowed', `${selection.selector} can be: ${allowed.join(', ')}`);
  // Taking back what is over for ever cannot be meant. To revoke or retire it again does no harm.
  if (effect === 'suspend') await assertSuspendable(ctx, selection, now);
  return selection;
}

async function assertSuspendable({ db }: Pick<Context, 'db'>, { selector, target }: Selection, now: Date): Promise<void> {
  if (selector === 'agent' && (await findAgent(db, target))?.state === 'retired') throw new SignetError('agent-retired', 'the agent is retired for ever; register a new one');
  if (selector === 'instance' && (await findInstance(db, target))?.state === 'revoked') throw new SignetError('instance-state-conflict', 'the instance is revoked for ever');
  if (selector !== 'serial') return;
  const certificate = await findCertificate(db, Buffer.from(target, 'hex'));
  if (certificate?.revokedAt) throw new SignetError('hold-conflict', 'the certificate is revoked; a revocation cannot become a hold');
  if (certificate && certificate.notAfter <= now) throw new SignetError('certificate-expired', `the certificate expired at ${certificate.notAfter.toISOString()}; there is nothing to suspend`);
}

/**
 * Stops what a selector means. The first transaction takes the issuance gate for itself and changes the states: from its commit on nothing is issued to what is
 * meant, on any replica, and nothing that was being issued is overlooked. The certificates follow in steps (kill-steps.ts), which any replica finishes if this one dies.
 * Resolves when all are done and this replica says so (DESIGN invariant 13).
 * @throws SignetError what `judgeKill` throws, `kill-confirmation-required`, `reason-not-allowed`
 */
export async function kill(ctx: KillContext, origin: Origin, request: KillBody & { now: Date }): Promise<KillRecord> {
  const { effect, reason, now } = request;
  const revocationReason = effect === 'suspend' ? null : leafReason(request.revocationReason ?? (effect === 'retire' ? 'cessationOfOperation' : 'unspecified'));
  const selection = await judgeKill(ctx, request, now);
  await assertConfirmed(ctx, origin, { selection, effect, confirm: request.confirm, now });

  const started: Started = { ...selection, id: ulid(now, ctx.random), effect, reason, revocationReason, actorKind: origin.actor.kind, actorId: origin.actor.id, createdAt: now };
  await inTransaction(ctx.db, async (tx) => {
    await takeGate(tx, 'exclusive');
    await ctx.barrier('kill:gate-taken');
    const hit = await changeStates(tx, started);
    const numbers = { owners: hit.owners.length, agents: hit.agents.length, instances: hit.instances.length };
    await insertKill(tx, { ...started, ...numbers, state: 'running', touchedAt: now });
    if (request.renewWithinSeconds !== undefined) await insertSteer(tx, steerOf(ctx, origin, { selection, withinSeconds: request.renewWithinSeconds, reason, explanationUrl: undefined, now }));
    await ctx.barrier('kill:state-changed');
    await appendFeed(tx, now, feedOfStates(started, hit));
    await appendAudit(ctx, tx, origin, now, { kind: 'kill.started', outcome: 'success', target: started.id, detail: { selector: started.selector, selected: started.target, effect, ...numbers }, personal: { reason } }, ...auditOfStates(started, hit));
  });
  await ctx.barrier('kill:stopped');
  await finishKill(ctx, origin, started.id);
  return stored(ctx, started.id);
}

type Started = Pick<KillRecord, 'id' | 'selector' | 'target' | 'effect' | 'reason' | 'revocationReason' | 'actorKind' | 'actorId' | 'createdAt'>;

interface Hit {
  owners: StateFlip[];
  agents: StateFlip[];
  instances: InstanceFlip[];
  stop: IssuanceStop | undefined;
}

/** Owner before agents: whoever registers an agent holds the owner's row, and is waited for. */
async function changeStates(tx: Tx, started: Started): Promise<Hit> {
  const { id, selector, target, createdAt } = started;
  const owners = selector === 'owner' ? await suspendOwner(tx, target, id) : [];
  const agents = await killAgents(tx, started, createdAt);
  const instances = selector === 'instance' ? await killInstance(tx, started, createdAt) : [];
  const stop = selector === 'issuer' || selector === 'profile' || selector === 'everything' ? { kind: selector, target, cause: killCause(id), createdAt } : undefined;
  if (stop) {
    await lockStops(tx);
    await insertStop(tx, stop);
  }
  return { owners, agents, instances, stop };
}

/** The name of a stop in the feed. */
const stopName = ({ kind, target }: Pick<IssuanceStop, 'kind' | 'target'>): string => (kind === 'everything' ? kind : `${kind}:${target}`);

/** Only what is another state than before is news. */
function feedOfStates({ id: killId, effect, revocationReason }: Started, { owners, agents, instances, stop }: Hit): FeedEvent[] {
  const reason = revocationReason === null ? {} : { reason: revocationReason };
  return [
    ...(stop ? [{ kind: 'issuance-stopped', stop: stopName(stop), killId } as const] : []),
    ...owners.filter(({ flipped }) => flipped).map(({ id }): FeedEvent => ({ kind: 'owner-suspended', ownerId: id, killId })),
    ...agents.filter(({ flipped }) => flipped).map(({ id }): FeedEvent => (effect === 'retire' ? { kind: 'agent-retired', agentId: id, killId, ...reason } : { kind: 'agent-suspended', agentId: id, killId })),
    ...instances.filter(({ flipped }) => flipped).map(({ id, agentId }): FeedEvent =>
      effect === 'revoke' ? { kind: 'instance-revoked', agentId, instanceId: id, killId, ...reason } : { kind: 'instance-quarantined', agentId, instanceId: id, killId },
    ),
  ];
}

/** Every cause that came, also where it changed no state. Why is told once, by `kill.started`. */
function auditOfStates({ id: target, effect }: Started, { owners, agents, instances, stop }: Hit): AuditEvent[] {
  const common = { outcome: 'success', target } as const;
  const detail = (flipped: boolean) => (flipped ? {} : { status: 'as before, with one cause more' } as const);
  return [
    ...(stop ? [{ ...common, kind: 'issuance.stopped', detail: { stop: stopName(stop) } } as const] : []),
    ...owners.map(({ id, flipped }): AuditEvent => ({ ...common, kind: 'owner.suspended', detail: { owner: id, ...detail(flipped) } })),
    ...agents.map(({ id, flipped }): AuditEvent => ({ ...common, kind: effect === 'retire' ? 'agent.retired' : 'agent.suspended', agentId: id, detail: detail(flipped) })),
    ...instances.map(({ id, agentId, flipped }): AuditEvent => ({ ...common, kind: effect === 'revoke' ? 'instance.revoked' : 'instance.quarantined', agentId, instanceId: id, detail: detail(flipped) })),
  ];
}

/**
 * Takes a kill back: exactly the causes that it set go. What was suspended or held before, or by another kill, stays so; what was revoked or retired stays. A kill that
 * is still running can be taken back as well: one that suspends at once, of the others the revocations are finished first. One that was taken back stays as it is.
 * @throws SignetError `kill-not-found`, `kill-state-conflict`
 */
export async function resumeKill(ctx: KillContext, origin: Origin, killId: string, { reason, now }: { reason: string | undefined; now: Date }): Promise<KillRecord> {
  // Once it is resuming nobody would revoke the rest: certificates of agents that are retired, or whose keys are out.
  if ((await stored(ctx, killId)).effect !== 'suspend') await finishKill(ctx, origin, killId);
  await inTransaction(ctx.db, async (tx) => {
    const was = await lockKill(tx, killId);
    if (!was) throw killNotFound(killId);
    if (!canResume(was)) throw new SignetError('kill-state-conflict', `what this kill did (${was.effect} of ${was.selector}) is for ever`);
    if (was.state === 'resuming' || was.state === 'resumed') return;
    const owners = was.selector === 'owner' ? await resumeOwner(tx, killId, was.target) : [];
    const lifted = await liftStops(tx, killCause(killId));
    await updateKill(tx, killId, { state: 'resuming', position: null, touchedAt: now });
    await appendFeed(tx, now, [
      ...lifted.filter(({ isOver }) => isOver).map((stop): FeedEvent => ({ kind: 'issuance-resumed', stop: stopName(stop), killId })),
      ...owners.filter(({ flipped }) => flipped).map(({ id }): FeedEvent => ({ kind: 'owner-resumed', ownerId: id, killId })),
    ]);
    const common = { outcome: 'success', target: killId } as const;
    await appendAudit(
      ctx, tx, origin, now,
      { ...common, kind: 'kill.resumed', detail: { selector: was.selector, selected: was.target, effect: was.effect }, personal: { reason } },
      ...lifted.map((stop): AuditEvent => ({ ...common, kind: 'issuance.resumed', detail: { stop: stopName(stop), ...(stop.isOver ? {} : { status: 'stopped by other causes' }) } })),
      ...owners.map(({ id, flipped }): AuditEvent => ({ ...common, kind: 'owner.resumed', detail: { owner: id, ...(flipped ? {} : { status: 'suspended by other causes' }) } })),
    );
  });
  await ctx.barrier('kill:resume-begun');
  await finishKill(ctx, origin, killId);
  return stored(ctx, killId);
}

/** The stops that a cause set, with whether each is over now: another kill may stop the same. */
async function liftStops(tx: Tx, cause: string): Promise<(IssuanceStop & { isOver: boolean })[]> {
  await lockStops(tx);
  const all = await listStops(tx);
  await deleteStops(tx, cause);
  const left = new Set(all.filter((stop) => stop.cause !== cause).map(stopName));
  return all.filter((stop) => stop.cause === cause).map((stop) => ({ ...stop, isOver: !left.has(stopName(stop)) }));
}

export const killNotFound = (id: string): SignetError => new SignetError('kill-not-found', `there is no kill ${id}`);

async function stored(ctx: Pick<Context, 'db'>, id: string): Promise<KillRecord> {
  const found = await findKill(ctx.db, id);
  if (!found) throw killNotFound(id);
  return found;
}

