import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import { readNotGood } from '../db/certificate-status.ts';
import { inTransaction } from '../db/client.ts';
import { announce } from '../revocation/announce.ts';
import { holdCertificates } from '../revocation/apply.ts';
import { certificateEvents } from '../revocation/certificate-events.ts';
import { appendFeed, feedOf } from '../revocation/feed.ts';
import { agentRetired, agentToChange, changeLocked, suspensionCause, type AgentContext, type AgentRecord, type StateChange } from './agent.ts';

/**
 * Suspends an active agent: nothing more is issued to it, and all its live certificates go on hold. The state changes first and the certificates in a
 * later statement, so that whatever an issuance committed meanwhile is on hold as well (DESIGN invariant 7). One that an operator suspended stays as it is; one that
 * only a kill suspended gets this cause, too.
 * @throws SignetError `agent-not-found`, `agent-retired`, `agent-state-conflict`
 */
export async function suspendAgent(ctx: AgentContext, origin: Origin, agentId: string, { reason, now }: StateChange): Promise<AgentRecord> {
  const { agent, held, off } = await inTransaction(ctx.db, async (tx) => {
    const was = await agentToChange(tx, agentId);
    if (was.suspensionId !== null) return { agent: was, held: [], off: await readNotGood(tx, { agentId }, now) };
    if (was.state === 'retired') throw agentRetired();
    if (was.state === 'proposed') throw new SignetError('agent-state-conflict', 'the agent is only proposed: nothing is issued to it');

    const suspensionId = ulid(now, ctx.random);
    const suspended = await changeLocked(tx, was, { state: 'suspended', suspensionId, stateReason: reason ?? (was.state === 'suspended' ? was.stateReason : null) }, now);
    await ctx.barrier('suspend:state-changed');
    const newlyHeld = await holdCertificates(tx, { agentId }, suspensionCause(suspensionId), now);
    const notGood = await readNotGood(tx, { agentId }, now);
    await ctx.barrier('suspend:before-commit');
    await appendFeed(tx, now, [...(was.state === 'active' ? [{ kind: 'agent-suspended', agentId } as const] : []), ...feedOf('held', newlyHeld)]);
    await appendAudit(
      ctx, tx, origin, now,
      { kind: 'agent.suspended', outcome: 'success', agentId, target: suspensionId, detail: { held: newlyHeld.length }, personal: { reason } },
      ...certificateEvents({ kind: 'certificate.held', detail: { cause: suspensionCause(suspensionId) } }, newlyHeld),
    );
    return { agent: suspended, held: newlyHeld, off: notGood };
  });
  ctx.metrics.held.inc(held.length);
  // Whoever made one so may have died before it told this replica: what is acknowledged here must hold here (invariant 13).
  await announce(ctx, off);
  await ctx.barrier('suspend:committed');
  return agent;
}
