import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { inTransaction } from '../db/client.ts';
import { announce } from '../revocation/announce.ts';
import { releaseCertificates } from '../revocation/apply.ts';
import { appendFeed, feedOf } from '../revocation/feed.ts';
import { agentRetired, agentToChange, assertOwner, changeLocked, suspensionCause, type AgentContext, type AgentRecord, type StateChange } from './agent.ts';
import { certificateEvents } from './certificate-events.ts';

/**
 * Resumes a suspended agent: takes away exactly the cause its suspension set. What something else holds too (a quarantine, an operator) stays on hold,
 * what was revoked meanwhile stays revoked. An active one stays as it is.
 * @throws SignetError `agent-not-found`, `agent-retired`, `agent-state-conflict`, `owner-suspended`
 */
export async function resumeAgent(ctx: AgentContext, origin: Origin, agentId: string, { reason, now }: StateChange): Promise<AgentRecord> {
  const { agent, released } = await inTransaction(ctx.db, async (tx) => {
    const was = await agentToChange(tx, agentId);
    if (was.state === 'active') return { agent: was, released: [] };
    if (was.state === 'retired') throw agentRetired();
    if (was.state === 'proposed' || was.suspensionId === null) throw new SignetError('agent-state-conflict', 'the agent is not suspended');
    assertOwner(was.ownerState);

    const cause = suspensionCause(was.suspensionId);
    const active = await changeLocked(tx, was, { state: 'active', suspensionId: null, stateReason: reason ?? null }, now);
    const good = await releaseCertificates(tx, { agentId }, cause);
    await appendFeed(tx, now, [{ kind: 'agent-resumed', agentId }, ...feedOf('released', good)]);
    await appendAudit(
      ctx, tx, origin, now,
      { kind: 'agent.resumed', outcome: 'success', agentId, target: was.suspensionId, detail: { released: good.length, ...(reason === undefined ? {} : { reason }) } },
      ...certificateEvents('certificate.released', good, { cause }),
    );
    return { agent: active, released: good };
  });
  ctx.metrics.released.inc(released.length);
  await announce(ctx, released);
  return agent;
}
