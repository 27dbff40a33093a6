import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { inTransaction } from '../db/client.ts';
import { announce } from '../revocation/announce.ts';
import { releaseCertificates } from '../revocation/apply.ts';
import { certificateEvents } from '../revocation/certificate-events.ts';
import { appendFeed, feedOf } from '../revocation/feed.ts';
import { agentRetired, agentToChange, assertOwner, changeLocked, coveredByKill, suspensionCause, type AgentContext, type AgentRecord, type StateChange } from './agent.ts';

/**
 * Resumes a suspended agent: takes away exactly the cause that the operator's suspension set. What something else holds too (a quarantine, an operator) stays on
 * hold, what was revoked meanwhile stays revoked, and what a kill covers stays suspended. An active one stays as it is.
 * @throws SignetError `agent-not-found`, `agent-retired`, `agent-state-conflict`, `owner-suspended`, `covered-by-kill`
 */
export async function resumeAgent(ctx: AgentContext, origin: Origin, agentId: string, { reason, now }: StateChange): Promise<AgentRecord> {
  const { agent, released } = await inTransaction(ctx.db, async (tx) => {
    const was = await agentToChange(tx, agentId);
    if (was.state === 'active') return { agent: was, released: [] };
    if (was.state === 'retired') throw agentRetired();
    if (was.state === 'suspended' && was.suspensionId === null) throw coveredByKill('agent', was.killIds);
    if (was.state === 'proposed' || was.suspensionId === null) throw new SignetError('agent-state-conflict', 'the agent is not suspended');
    const isFree = was.killIds.length === 0;
    if (isFree) assertOwner(was.ownerState);

    const cause = suspensionCause(was.suspensionId);
    const resumed = await changeLocked(tx, was, isFree ? { state: 'active', suspensionId: null, stateReason: reason ?? null } : { suspensionId: null }, now);
    const good = await releaseCertificates(tx, { agentId }, cause);
    await appendFeed(tx, now, [...(isFree ? [{ kind: 'agent-resumed', agentId } as const] : []), ...feedOf('released', good)]);
    await appendAudit(
      ctx, tx, origin, now,
      { kind: 'agent.resumed', outcome: 'success', agentId, target: was.suspensionId, detail: { released: good.length, ...(isFree ? {} : { status: 'suspended by other causes' }) }, personal: { reason } },
      ...certificateEvents({ kind: 'certificate.released', detail: { cause } }, good),
    );
    return { agent: resumed, released: good };
  });
  ctx.metrics.released.inc(released.length);
  await announce(ctx, released);
  return agent;
}
