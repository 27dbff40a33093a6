/** States of owners, agents and instances that a kill changes, and that its resume gives back. */
import { Prisma, type PipelinedTx } from './client.ts';
import { agentsOf, type KillRecord } from './kills.ts';

/** A change of state; `flipped`: it is another one than before, not only one cause more or less. */
export interface StateFlip {
  id: string;
  flipped: boolean;
}
export type InstanceFlip = StateFlip & { agentId: string };

/** The owner cannot register or answer for anybody new until every kill that covers it is resumed. */
export async function suspendOwner(tx: PipelinedTx, ownerId: string, killId: string): Promise<StateFlip[]> {
  return tx.query<StateFlip>(Prisma.sql`
    WITH target AS MATERIALIZED (SELECT id, state FROM owners WHERE id = ${ownerId} FOR UPDATE)
    UPDATE owners o SET kill_ids = array_append(o.kill_ids, ${killId}), state = 'suspended' FROM target t WHERE o.id = t.id RETURNING o.id, t.state = 'active' AS flipped`);
}

export async function resumeOwner(tx: PipelinedTx, killId: string, ownerId: string): Promise<StateFlip[]> {
  return tx.query<StateFlip>(Prisma.sql`
    WITH target AS MATERIALIZED (SELECT id, suspension_id IS NULL AND array_remove(kill_ids, ${killId}) = '{}' AS free FROM owners WHERE id = ${ownerId} AND ${killId} = ANY (kill_ids) FOR UPDATE)
    UPDATE owners o SET kill_ids = array_remove(o.kill_ids, ${killId}), state = CASE WHEN t.free THEN 'active' ELSE o.state END FROM target t WHERE o.id = t.id RETURNING o.id, t.free AS flipped`);
}

/** Agents whose states one transaction changes at most: as long as it takes, it holds the gate. */
const STEP_STATES = 2_000;
/** Position of a kill that has agents left whose states it has not changed. */
const STATES_LEFT = 'states';

export const hasStatesLeft = ({ state, position }: Pick<KillRecord, 'state' | 'position'>): boolean => state === 'running' && position === STATES_LEFT;

/** Where a kill goes on that has changed the states of so many agents in one transaction. */
export const positionAfterStates = (agents: readonly StateFlip[]): string | null => (agents.length === STEP_STATES ? STATES_LEFT : null);

/**
 * Suspends agents selected that the kill does not cover yet, or retires them, at most STEP_STATES; under the gate. A proposed one stays proposed, and cannot be activated while the
 * kill covers it.
 */
export async function killAgents(tx: PipelinedTx, kill: Pick<KillRecord, 'id' | 'selector' | 'target' | 'effect' | 'reason'>, now: Date): Promise<StateFlip[]> {
  const selected = agentsOf(kill);
  if (!selected) return [];
  const where = Prisma.sql`${selected} AND NOT (${kill.id} = ANY (a.kill_ids))`;
  const change = kill.effect === 'retire'
    ? Prisma.sql`state = 'retired', suspension_id = NULL, state_reason = ${kill.reason}`
    : Prisma.sql`state = CASE WHEN a.state = 'active' THEN 'suspended' ELSE a.state END, state_reason = CASE WHEN a.state = 'active' THEN ${kill.reason} ELSE a.state_reason END`;
  return tx.query<StateFlip>(Prisma.sql`
    WITH target AS MATERIALIZED (
      SELECT a.id, a.state FROM agents a WHERE a.id = ANY (ARRAY(SELECT a.id FROM agents a WHERE ${where} LIMIT ${STEP_STATES})) AND ${where} ORDER BY a.id FOR UPDATE)
    UPDATE agents a SET kill_ids = array_append(a.kill_ids, ${kill.id}), version = a.version + 1, updated_at = ${now}, ${change}
    FROM target t WHERE a.id = t.id RETURNING a.id, a.state <> t.state AS flipped`);
}

export async function resumeAgents(tx: PipelinedTx, killId: string, ids: readonly string[], now: Date): Promise<StateFlip[]> {
  return tx.query<StateFlip>(Prisma.sql`
    WITH target AS MATERIALIZED (SELECT id, state = 'suspended' AND suspension_id IS NULL AND array_remove(kill_ids, ${killId}) = '{}' AS free FROM agents WHERE id = ANY (${ids}) ORDER BY id FOR UPDATE)
    UPDATE agents a SET kill_ids = array_remove(a.kill_ids, ${killId}), version = a.version + 1, updated_at = ${now},
      state = CASE WHEN t.free THEN 'active' ELSE a.state END, state_reason = CASE WHEN t.free THEN NULL ELSE a.state_reason END
    FROM target t WHERE a.id = t.id RETURNING a.id, t.free AS flipped`);
}

/** Quarantines the instance, or revokes it. */
export async function killInstance(tx: PipelinedTx, kill: Pick<KillRecord, 'id' | 'target' | 'effect' | 'reason'>, now: Date): Promise<InstanceFlip[]> {
  const change = kill.effect === 'revoke'
    ? Prisma.sql`state = 'revoked', quarantine_id = NULL`
    : Prisma.sql`state = 'quarantined', quarantine_reason = CASE WHEN s.state = 'active' THEN ${kill.reason} ELSE s.quarantine_reason END`;
  // Somebody has looked and decided.
  if (kill.effect === 'revoke') tx.leave(tx.query(Prisma.sql`UPDATE findings SET resolved_at = ${now} WHERE instance_id = ${kill.target} AND resolved_at IS NULL`));
  return tx.query<InstanceFlip>(Prisma.sql`
    WITH target AS MATERIALIZED (SELECT id, state FROM instances WHERE id = ${kill.target} AND state <> 'revoked' FOR UPDATE)
    UPDATE instances s SET kill_ids = array_append(s.kill_ids, ${kill.id}), updated_at = ${now}, ${change}
    FROM target t WHERE s.id = t.id RETURNING s.id, s.agent_id AS "agentId", s.state <> t.state AS flipped`);
}

export async function resumeInstance(tx: PipelinedTx, killId: string, instanceId: string, now: Date): Promise<InstanceFlip[]> {
  return tx.query<InstanceFlip>(Prisma.sql`
    WITH target AS MATERIALIZED (
      SELECT id, state = 'quarantined' AND quarantine_id IS NULL AND array_remove(kill_ids, ${killId}) = '{}' AS free FROM instances WHERE id = ${instanceId} AND ${killId} = ANY (kill_ids) FOR UPDATE)
    UPDATE instances s SET kill_ids = array_remove(s.kill_ids, ${killId}), updated_at = ${now},
      state = CASE WHEN t.free THEN 'active' ELSE s.state END, quarantine_reason = CASE WHEN t.free THEN NULL ELSE s.quarantine_reason END
    FROM target t WHERE s.id = t.id RETURNING s.id, s.agent_id AS "agentId", t.free AS flipped`);
}
