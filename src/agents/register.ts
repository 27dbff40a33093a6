import type { RegisterAgentBody } from '../api/agents.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import { findAgent, insertAgent, type NewAgent } from '../db/agents.ts';
import type { Tx } from '../db/client.ts';
import { takeOwner } from '../db/owners.ts';
import type { AgentContext, AgentRecord } from './agent.ts';
import { assertOwner, enterGate } from './agent.ts';
import { personalOf, recordable } from './audit-detail.ts';
import { assertRegistrable } from './registration-rules.ts';

/**
 * Registers an agent: active when somebody answers for it, else proposed. Runs in the caller's transaction (http/idempotency.ts), audit event last.
 * @throws SignetError `agent-name-taken`, `owner-suspended`, `issuance-stopped`, and what `assertRegistrable` throws
 */
export async function registerAgent(ctx: AgentContext, tx: Tx, origin: Origin, request: RegisterAgentBody, now: Date): Promise<AgentRecord> {
  const { ownerEmail, deputyEmail = null, labels = {}, dnsNames = [], ttlCapSeconds = null, ...said } = request;
  assertRegistrable(ctx, { labels, dnsNames, profile: said.profile, ttlCapSeconds });

  await enterGate(tx);
  const owner = ownerEmail === undefined ? undefined : await takeOwner(tx, { id: ulid(now, ctx.random), email: ownerEmail }, now);
  if (owner) assertOwner(owner.state);
  const agent: NewAgent = {
    ...said,
    id: ulid(now, ctx.random),
    state: owner ? 'active' : 'proposed',
    ownerId: owner?.id ?? null,
    deputyEmail,
    labels,
    dnsNames,
    ttlCapSeconds,
  };
  if (!(await insertAgent(tx, agent, now))) throw nameTaken(agent.name);
  const stored = await findAgent(tx, agent.id);
  if (!stored) throw new Error('an agent is missing right after it was stored');

  const { name, purpose, riskClass, environment, profile } = said;
  await appendAudit(ctx, tx, origin, now, {
    kind: 'agent.registered',
    outcome: 'success',
    agentId: agent.id,
    detail: { ...recordable({ name, riskClass, environment, profile, labels, dnsNames, ttlCapSeconds }), state: agent.state },
    personal: personalOf({ ownerEmail, deputyEmail, purpose }),
  });
  return stored;
}

export const nameTaken = (name: string): SignetError => new SignetError('agent-name-taken', `another agent that is not retired has the name ${name}`);
