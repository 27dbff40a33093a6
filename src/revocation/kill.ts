import type { KillBody } from '../api/kills.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import { appendAuditHot } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import { findAgent } from '../db/agents.ts';
import { inPipelinedTransaction, type PipelinedTx } from '../db/client.ts';
import { findCertificate } from '../db/commit.ts';
import { takeGateExclusively } from '../db/gate.ts';
import { findInstance } from '../db/instances.ts';
import { killAgents, killInstance, positionAfterStates, resumeOwner, suspendOwner } from '../db/kill-states.ts';
import { insertKill, lockKill, updateKill } from '../db/kill-steps.ts';
import { findKill, killCause, unfinishedRetirements, type KillEffect, type KillRecord, type SelectorKind } from '../db/kills.ts';
import { insertSteer, moveSteer } from '../db/renewal-steers.ts';
import { deleteStops, insertStop, lockStops } from '../db/stops.ts';
import { appendFeedHot, type FeedEvent } from './feed.ts';
import { killAtOnce } from './kill-at-once.ts';
import { auditOfStart, feedOfStates, stopName, type Hit, type Started } from './kill-news.ts';
import { assertConfirmed } from './kill-preview.ts';
import { finishKill } from './kill-steps.ts';
import { leafReason } from './reasons.ts';
import { namedSelection, selectionOf, type Selection } from './selection.ts';
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

/** CRLReason of what a kill revokes. @throws SignetError `reason-not-allowed`, for a suspension too, which revokes nothing */
export function reasonOf({ effect, revocationReason }: Pick<KillBody, 'effect' | 'revocationReason'>): number | null {
  if (effect !== 'suspend') return leafReason(revocationReason ?? (effect === 'retire' ? 'cessationOfOperation' : 'unspecified'));
  if (revocationReason === undefined) return null;
  throw new SignetError('reason-not-allowed', 'a suspension revokes nothing and has no reason of revocation: leave revocationReason out, or choose the effect revoke');
}

/**
 * What a kill is to do, judged before it is done. @throws SignetError what `selectionOf` throws, `kill-effect-not-allowed`, `agent-retired`,
 * `instance-state-conflict`, `hold-conflict`, `certificate-expired`, `reason-not-allowed`
 */
export async function judgeKill(ctx: Pick<Context, 'db' | 'config' | 'profiles'>, asked: Pick<KillBody, 'selector' | 'effect' | 'revocationReason'>, now: Date): Promise<Selection> {
  const { selector, effect } = asked;
  reasonOf(asked);
  const selection = await selectionOf(ctx, selector, now);
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
 * Stops what a selector means. A kill of few is one transaction (kill-at-once.ts). Of a larger one the first transaction takes the issuance gate for itself and changes the states: from
 * its commit on nothing is issued to what is meant, on any replica, and nothing that was being issued is overlooked. The certificates follow in steps (kill-steps.ts), which any replica
 * finishes if this one dies. Resolves when all are done and this replica says so (DESIGN invariant 13).
 * @throws SignetError what `judgeKill` throws, `kill-confirmation-required`, `reason-not-allowed`
 */
export async function kill(ctx: KillContext, origin: Origin, request: KillBody & { now: Date }): Promise<KillRecord> {
  const { effect, reason, now } = request;
  const revocationReason = reasonOf(request);
  const start = (selection: Selection): Started => ({ ...selection, id: ulid(now, ctx.random), effect, reason, revocationReason, actorKind: origin.actor.kind, actorId: origin.actor.id, createdAt: now });
  const atOnce = (selection: Selection) => (request.renewWithinSeconds === undefined && EFFECTS[selection.selector].includes(effect) ? killAtOnce(ctx, origin, start(selection)) : undefined);

  // What is named outright need not be looked up first; where it is not there, what follows says so.
  const named = namedSelection(request.selector);
  const first = named && (await atOnce(named));
  if (first) return alone(ctx, origin, first);
  const selection = await judgeKill(ctx, request, now);
  const second = selection.selector === 'owner' ? await atOnce(selection) : undefined;
  if (second) return alone(ctx, origin, second);
  await assertConfirmed(ctx, origin, { selection, effect, confirm: request.confirm, now });

  const started = start(selection);
  await inPipelinedTransaction(ctx.db, async (tx) => {
    await takeGateExclusively(tx);
    await ctx.barrier('kill:gate-taken');
    const hit = await changeStates(tx, started);
    const numbers = { owners: hit.owners.length, agents: hit.agents.length, instances: hit.instances.length, certificates: 0, released: 0 };
    const running: KillRecord = { ...started, ...numbers, state: 'running', position: positionAfterStates(hit.agents), touchedAt: now, finishedAt: null, resumedAt: null };
    tx.leave(insertKill(tx, running));
    if (request.renewWithinSeconds !== undefined) {
      tx.leave(insertSteer(tx, steerOf(ctx, origin, { selection, withinSeconds: request.renewWithinSeconds, reason, explanationUrl: undefined, now })));
    }
    await ctx.barrier('kill:state-changed');
    tx.leave(appendFeedHot(tx, now, feedOfStates(started, hit)), appendAuditHot(ctx, tx, origin, now, ...auditOfStart(started, hit)));
    return running;
  });
  await ctx.barrier('kill:stopped');
  await finishKill(ctx, origin, started.id);
  return alone(ctx, origin, await stored(ctx, started.id));
}

/** What another kill has retired is not hit again; that it is over is true only when that one is done, too. */
async function alone(ctx: KillContext, origin: Origin, done: KillRecord): Promise<KillRecord> {
  // One agent that was hit was not retired before.
  if (done.selector === 'agent' && done.agents > 0) return done;
  for (const other of await unfinishedRetirements(ctx.db, done)) await finishKill(ctx, origin, other);
  return done;
}

/** Owner before agents: whoever registers an agent holds the owner's row, and is waited for. */
async function changeStates(tx: PipelinedTx, started: Started): Promise<Hit> {
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

/**
 * Takes a kill back: exactly the causes that it set go. What was suspended or held before, or by another kill, stays so; what was revoked or retired stays. A kill that
 * is still running can be taken back as well: one that suspends at once, of the others the revocations are finished first. One that was taken back stays as it is.
 * @throws SignetError `kill-not-found`, `kill-state-conflict`
 */
export async function resumeKill(ctx: KillContext, origin: Origin, killId: string, { reason, now }: { reason: string | undefined; now: Date }): Promise<KillRecord> {
  // Once it is resuming nobody would revoke the rest: certificates of agents that are retired, or whose keys are out.
  if ((await stored(ctx, killId)).effect !== 'suspend') await finishKill(ctx, origin, killId);
  await inPipelinedTransaction(ctx.db, async (tx) => {
    const was = await lockKill(tx, killId);
    if (!was) throw killNotFound(killId);
    if (!canResume(was)) throw new SignetError('kill-state-conflict', `what this kill did (${was.effect} of ${was.selector}) is for ever`);
    if (was.state === 'resuming' || was.state === 'resumed') return undefined;
    const owners = was.selector === 'owner' ? await resumeOwner(tx, killId, was.target) : [];
    await lockStops(tx);
    const lifted = await deleteStops(tx, killCause(killId));
    // Renewal windows that this kill has moved are spread from now on: nobody could renew until now.
    tx.leave(moveSteer(tx, { ...was, createdBy: `${was.actorKind}:${was.actorId}` }, now));
    const common = { outcome: 'success', target: killId } as const;
    tx.leave(
      updateKill(tx, { ...was, state: 'resuming', position: null, touchedAt: now }),
      appendFeedHot(tx, now, [
        ...lifted.filter(({ isOver }) => isOver).map((stop): FeedEvent => ({ kind: 'issuance-resumed', stop: stopName(stop), killId })),
        ...owners.filter(({ flipped }) => flipped).map(({ id }): FeedEvent => ({ kind: 'owner-resumed', ownerId: id, killId })),
      ]),
      appendAuditHot(
        ctx, tx, origin, now,
        { ...common, kind: 'kill.resumed', detail: { selector: was.selector, selected: was.target, effect: was.effect }, personal: { reason } },
        ...lifted.map((stop): AuditEvent => ({ ...common, kind: 'issuance.resumed', detail: { stop: stopName(stop), ...(stop.isOver ? {} : { status: 'stopped by other causes' }) } })),
        ...owners.map(({ id, flipped }): AuditEvent => ({ ...common, kind: 'owner.resumed', detail: { owner: id, ...(flipped ? {} : { status: 'suspended by other causes' }) } })),
      ),
    );
    return was;
  });
  await ctx.barrier('kill:resume-begun');
  await finishKill(ctx, origin, killId);
  return stored(ctx, killId);
}

export const killNotFound = (id: string): SignetError => new SignetError('kill-not-found', `there is no kill ${id}`);

async function stored(ctx: Pick<Context, 'db'>, id: string): Promise<KillRecord> {
  const found = await findKill(ctx.db, id);
  if (!found) throw killNotFound(id);
  return found;
}

