import { SignetError } from '../core/errors.ts';
import type { Context } from '../context.ts';
import { lockAgent, updateAgent, type AgentPatch, type AgentRecord, type AgentState } from '../db/agents.ts';
import type { Db, Tx } from '../db/client.ts';
import { takeGate } from '../db/gate.ts';
import { causesOfGlobalStop } from '../db/stops.ts';

export type { AgentRecord, AgentState };

/** What the use cases of this folder need of the context. */
export type AgentContext = Pick<Context, 'db' | 'config' | 'profiles' | 'random' | 'signals' | 'siblings' | 'metrics' | 'barrier'>;

/** A change of state: `reason` is for people, and kept with the agent and in the audit log. */
export interface StateChange {
  reason: string | undefined;
  now: Date;
}

/** Cause of the holds that a suspension sets: resuming takes exactly these away (DESIGN §1). */
export const suspensionCause = (suspensionId: string): string => `suspension:${suspensionId}`;

/** The agent, locked for a change of its state or registration. @throws SignetError `agent-not-found` */
export async function agentToChange(tx: Tx, agentId: string): Promise<AgentRecord> {
  const agent = await lockAgent(tx, agentId, 'update');
  if (!agent) throw agentNotFound(agentId);
  return agent;
}

/** Changes the locked agent and returns it as it now is. */
export async function changeLocked(tx: Tx, agent: AgentRecord, patch: AgentPatch, now: Date): Promise<AgentRecord> {
  if (!(await updateAgent(tx, agent, patch, now))) throw new Error('an agent changed under its lock');
  return { ...agent, ...patch, version: agent.version + 1, updatedAt: now };
}

export const agentNotFound = (agentId: string): SignetError => new SignetError('agent-not-found', `there is no agent ${agentId}`);

export const agentRetired = (): SignetError => new SignetError('agent-retired', 'the agent is retired for ever; register a new one');

/** @throws SignetError `agent-not-active`, `agent-suspended`, `agent-retired`, `owner-suspended` unless certificates may be issued for the agent */
export function assertActive(agent: Pick<AgentRecord, 'state' | 'ownerState'>): void {
  switch (agent.state) {
    case 'proposed':
      throw new SignetError('agent-not-active', 'the agent is proposed; an operator must activate it');
    case 'suspended':
      throw new SignetError('agent-suspended', 'the agent is suspended; an operator must resume it');
    case 'retired':
      throw agentRetired();
    case 'active':
      assertOwner(agent.ownerState);
  }
}

/** No active agent without an owner who may have one. @throws SignetError `owner-required`, `owner-suspended` */
export function assertOwner(ownerState: AgentRecord['ownerState']): void {
  if (ownerState === null) throw new SignetError('owner-required', 'an active agent needs somebody who answers for it: set ownerEmail');
  if (ownerState !== 'active') throw new SignetError('owner-suspended', 'the owner of the agent is suspended');
}

/** Nothing is registered, let in or enrolled while everything is stopped. @throws SignetError `issuance-stopped` */
export async function assertNotStopped(db: Db | Tx): Promise<void> {
  const causes = await causesOfGlobalStop(db);
  if (causes.length > 0) throw new SignetError('issuance-stopped', `everything is stopped (${causes.join(', ')}): nothing is registered, issued or renewed until an admin resumes it`);
}

/** The same at the beginning of a transaction that registers or lets in: a stop waits for its commit, or is seen here. */
export async function enterGate(tx: Tx): Promise<void> {
  await takeGate(tx);
  await assertNotStopped(tx);
}

/** What only the resume of a kill takes away. */
export const coveredByKill = (what: string, killIds: readonly string[]): SignetError => new SignetError('covered-by-kill', `the ${what} is covered by ${killIds.map((id) => `kill ${id}`).join(', ')}`);
