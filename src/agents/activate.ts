import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { inTransaction } from '../db/client.ts';
import { agentRetired, agentToChange, assertOwner, changeLocked, coveredByKill, type AgentContext, type AgentRecord, type StateChange } from './agent.ts';

/**
 * Activates a proposed agent. An active one stays as it is.
 * @throws SignetError `agent-not-found`, `agent-retired`, `agent-state-conflict`, `owner-required`, `owner-suspended`, `covered-by-kill`
 */
export async function activateAgent(ctx: AgentContext, origin: Origin, agentId: string, { reason, now }: StateChange): Promise<AgentRecord> {
  return inTransaction(ctx.db, async (tx) => {
    const agent = await agentToChange(tx, agentId);
    if (agent.state === 'active') return agent;
    if (agent.state === 'retired') throw agentRetired();
    if (agent.state === 'suspended') throw new SignetError('agent-state-conflict', 'the agent is suspended: resume it');
    if (agent.killIds.length > 0) throw coveredByKill('agent', agent.killIds);
    assertOwner(agent.ownerState);

    const active = await changeLocked(tx, agent, { state: 'active', stateReason: reason ?? null }, now);
    await appendAudit(ctx, tx, origin, now, {
      kind: 'agent.activated',
      outcome: 'success',
      agentId,
      personal: { reason },
    });
    return active;
  });
}
