import { isDeepStrictEqual } from 'node:util';
import type { ChangeAgentBody } from '../api/agents.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import type { AgentPatch } from '../db/agents.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { isUniqueViolation } from '../db/errors.ts';
import { takeOwner, type OwnerRecord } from '../db/owners.ts';
import { agentRetired, agentToChange, assertOwner, changeLocked, type AgentContext, type AgentRecord } from './agent.ts';
import { personalOf, recordable } from './audit-detail.ts';
import { nameTaken } from './register.ts';
import { assertRegistrable } from './registration-rules.ts';

/** A change of a registration: what is left out stays. `version`: the one it is based on (If-Match). */
export interface AgentChange {
  changes: ChangeAgentBody;
  version: number | undefined;
  now: Date;
}

/**
 * Changes a registration. Certificates that live keep what they say; the next issuance or renewal follows the change. Setting what is already so
 * changes nothing, the version included.
 * @throws SignetError `agent-not-found`, `agent-retired`, `agent-changed`, `agent-name-taken`, `owner-suspended`, and what `assertRegistrable` throws
 */
export async function changeAgent(ctx: AgentContext, origin: Origin, agentId: string, change: AgentChange): Promise<AgentRecord> {
  const { changes, version, now } = change;
  return inTransaction(ctx.db, async (tx) => {
    const owner = changes.ownerEmail === undefined ? undefined : await takeOwner(tx, { id: ulid(now, ctx.random), email: changes.ownerEmail }, now);
    const agent = await agentToChange(tx, agentId);
    if (agent.state === 'retired') throw agentRetired();
    if (version !== undefined && version !== agent.version) {
      throw new SignetError('agent-changed', `the agent is at version ${agent.version}, not ${version}: read it again and decide anew`);
    }
    const patch = differences(agent, changes, owner);
    if (Object.keys(patch).length === 0) return agent;
    if (patch.ownerId !== undefined && owner) assertOwner(owner.state);
    assertRegistrable(ctx, { ...agent, ...patch });

    const changed = await applyPatch(tx, agent, patch, now);
    const { deputyEmail, purpose } = patch;
    await appendAudit(ctx, tx, origin, now, {
      kind: 'agent.changed',
      outcome: 'success',
      agentId,
      detail: { version: changed.version, ...recordable(patch) },
      personal: personalOf({ deputyEmail, purpose, ...(patch.ownerId === undefined ? {} : { ownerEmail: owner?.email }) }),
    });
    return owner ? { ...changed, ownerEmail: owner.email, ownerState: owner.state } : changed;
  });
}

/** Only what would be another value. */
function differences(agent: AgentRecord, { ownerEmail: _, ...fields }: ChangeAgentBody, owner: OwnerRecord | undefined): AgentPatch {
  const wanted = { ...fields, ...(owner && { ownerId: owner.id }) };
  return Object.fromEntries(Object.entries(wanted).filter(([field, value]) => !isDeepStrictEqual(value, agent[field as keyof AgentRecord])));
}

async function applyPatch(tx: Tx, agent: AgentRecord, patch: AgentPatch, now: Date): Promise<AgentRecord> {
  try {
    return await changeLocked(tx, agent, patch, now);
  } catch (error) {
    if (patch.name !== undefined && isUniqueViolation(error)) throw nameTaken(patch.name);
    throw error;
  }
}
