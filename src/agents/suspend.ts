import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import { inTransaction } from '../db/client.ts';
import { announce } from '../revocation/announce.ts';
import { holdCertificates } from '../revocation/apply.ts';
import { appendFeed, feedOf } from '../revocation/feed.ts';
import { agentRetired, agentToChange, changeLocked, suspensionCause, type AgentContext, type AgentRecord, type StateChange } from './agent.ts';
import { certificateEvents } from './certificate-events.ts';

/**
 * Suspends an active agent: nothing more is issued to it, and all its live certificates go on hold. The state changes first and the certificates in a
 * later statement, so that whatever an issuance committed meanwhile is on hold as well (DESIGN invariant 7). A suspended one stays as it is.
 * @throws SignetError `agent-not-found`, `agent-retired`, `agent-state-conflict`
 */
export async function suspendAgent(ctx: AgentContext, origin: Origin, agentId: string, { reason, now }: StateChange): Promise<AgentRecord> {
  const { agent, held } = await inTransaction(ctx.db, async (tx) => {
    const was = await agentToChange(tx, agentId);
    if (was.state === 'suspended') return { agent: was, held: [] };
    if (was.state === 'retired') throw agentRetired();
    if (was.state === 'proposed') throw new SignetError('agent-state-conflict', 'the agent is only proposed: nothing is issued to it');

    const suspensionId = ulid(now, ctx.random);
    const suspended = await changeLocked(tx, was, { state: 'suspended', suspensionId, stateReason: reason ?? null }, now);
    await ctx.barrier('suspend:state-changed');
    const newlyHeld = await holdCertificates(tx, { agentId }, suspensionCause(suspensionId), now);
    await ctx.barrier('suspend:before-commit');
    await appendFeed(tx, now, [{ kind: 'agent-suspended', agentId }, ...feedOf('held', newlyHeld)]);
    await appendAudit(
      ctx, tx, origin, now,
      { kind: 'agent.suspended', outcome: 'success', agentId, target: suspensionId, detail: { held: newlyHeld.length, ...(reason === undefined ? {} : { reason }) } },
      ...certificateEvents('certificate.held', newlyHeld, { cause: suspensionCause(suspensionId) }),
    );
    return { agent: suspended, held: newlyHeld };
  });
  ctx.metrics.held.inc(held.length);
  await announce(ctx, held);
  await ctx.barrier('suspend:committed');
  return agent;
}
