import type { AGENT_STATES, RISK_CLASSES } from '../api/agents.ts';
import { Prisma, type Db, type Tx } from './client.ts';

export type AgentState = (typeof AGENT_STATES)[number];
export type RiskClass = (typeof RISK_CLASSES)[number];

/** A registration, with the address and state of its owner. */
export interface AgentRecord {
  id: string;
  name: string;
  state: AgentState;
  /** What the operator said at the last change of state. */
  stateReason: string | null;
  ownerId: string | null;
  ownerEmail: string | null;
  ownerState: 'active' | 'suspended' | null;
  deputyEmail: string | null;
  purpose: string;
  riskClass: RiskClass;
  environment: string;
  labels: Record<string, string>;
  dnsNames: string[];
  profile: string;
  ttlCapSeconds: number | null;
  /** An operator's own suspension: names the cause of the holds it set. */
  suspensionId: string | null;
  /** Kills that cover it: causes of its suspension beside the operator's. */
  killIds: string[];
  /** Counts changes, from 1 (If-Match). */
  version: number;
  createdAt: Date;
  updatedAt: Date;
}

/** What a registration stores; state and version follow from it. */
export type NewAgent = Omit<AgentRecord, 'stateReason' | 'ownerEmail' | 'ownerState' | 'suspensionId' | 'killIds' | 'version' | 'createdAt' | 'updatedAt'>;
/** What a change of an agent may set. */
export type AgentPatch = Partial<Omit<NewAgent, 'id'> & Pick<AgentRecord, 'stateReason' | 'suspensionId'>>;

/** The columns of an AgentRecord, from `agents a LEFT JOIN owners o`. */
export const agentColumns = Prisma.sql`
  a.id, a.name, a.state, a.state_reason AS "stateReason", a.owner_id AS "ownerId", o.email AS "ownerEmail", o.state AS "ownerState",
  a.deputy_email AS "deputyEmail", a.purpose, a.risk_class AS "riskClass", a.environment, a.labels, a.dns_names AS "dnsNames", a.profile,
  a.ttl_cap_seconds AS "ttlCapSeconds", a.suspension_id AS "suspensionId", a.kill_ids AS "killIds", a.version, a.created_at AS "createdAt", a.updated_at AS "updatedAt"`;

export async function findAgent(db: Db | Tx, id: string): Promise<AgentRecord | undefined> {
  const [row] = await db.$queryRaw<AgentRecord[]>`SELECT ${agentColumns} FROM agents a LEFT JOIN owners o ON o.id = a.owner_id WHERE a.id = ${id}`;
  return row;
}

/**
 * The agent as it is once nobody else changes it; locked to the commit. `FOR UPDATE` waits for certificates being committed for it (they hold
 * `FOR SHARE`), so that later statements see them. The read is a statement of its own: it sees what the lock waited for, the owner included.
 */
export async function lockAgent(tx: Tx, id: string, strength: 'update' | 'share'): Promise<AgentRecord | undefined> {
  const lock = strength === 'update' ? Prisma.sql`FOR UPDATE` : Prisma.sql`FOR SHARE`;
  const locked = await tx.$queryRaw<unknown[]>`SELECT 1 FROM agents WHERE id = ${id} ${lock}`;
  return locked.length === 0 ? undefined : findAgent(tx, id);
}

/** Stores a registration; false, with nothing stored, when an agent that is not retired has the name. */
export async function insertAgent(tx: Tx, agent: NewAgent, now: Date): Promise<boolean> {
  const { count } = await tx.agent.createMany({ data: { ...agent, createdAt: now, updatedAt: now }, skipDuplicates: true });
  return count === 1;
}

/** Changes an agent that is still as it was read; false, with nothing changed, when it is not. */
export async function updateAgent(tx: Tx, was: Pick<AgentRecord, 'id' | 'state' | 'version'>, patch: AgentPatch, now: Date): Promise<boolean> {
  const { count } = await tx.agent.updateMany({
    where: { id: was.id, state: was.state, version: was.version },
    data: { ...patch, version: { increment: 1 }, updatedAt: now },
  });
  return count === 1;
}

/** Whether any agent is registered for the profile, configured or not. */
export const isProfileUsed = async (db: Db, profile: string): Promise<boolean> => (await db.agent.findFirst({ where: { profile }, select: { id: true } })) !== null;
