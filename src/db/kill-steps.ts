/** The steps of a kill: certificates, each in a transaction of its own, past Prisma. */
import { bucketOf } from '../x509/serial.ts';
import type { AffectedCertificate, CauseChange } from './certificate-status.ts';
import { buffer, bytes, Prisma, type Db, type HotStatement, type PipelinedTx } from './client.ts';
import { resumeAgents, resumeInstance, type InstanceFlip, type StateFlip } from './kill-states.ts';
import { agentsOf, bySerial, killCause, LATELY_MS, ofWide, unrevoked, type KillRecord } from './kills.ts';

/** Certificates that one step changes at most, or looks at. */
const STEP_CERTIFICATES = 5_000;
/** Agents whose certificates one step looks for. */
const STEP_AGENTS = 1_000;

/** A kill that has work left, locked: two who finish it take turns. Undefined when nothing is left to do. */
export async function lockUnfinishedKill(tx: PipelinedTx, id: string): Promise<KillRecord | undefined> {
  const kill = await lockKill(tx, id);
  return kill && (kill.state === 'running' || kill.state === 'resuming') ? kill : undefined;
}

export async function lockKill(tx: PipelinedTx, id: string): Promise<KillRecord | undefined> {
  const [row] = await tx.query<KillRecord>(Prisma.sql`
    SELECT id, selector, target, effect, reason, revocation_reason AS "revocationReason", state, actor_kind AS "actorKind", actor_id AS "actorId", owners, agents, instances, certificates, released,
      position, created_at AS "createdAt", touched_at AS "touchedAt", finished_at AS "finishedAt", resumed_at AS "resumedAt"
    FROM kills WHERE id = ${id} FOR UPDATE`);
  return row;
}

/** Stores a kill that begins. */
export async function insertKill(tx: PipelinedTx, k: KillRecord): Promise<void> {
  await tx.run(INSERT, [
    k.id, k.selector, k.target, k.effect, k.reason, k.revocationReason, k.state, k.actorKind, k.actorId, k.owners, k.agents, k.instances, k.certificates, k.position, k.createdAt, k.touchedAt, k.finishedAt,
  ]);
}

const INSERT: HotStatement = {
  name: 'insert-kill',
  text: `
    INSERT INTO kills (id, selector, target, effect, reason, revocation_reason, state, actor_kind, actor_id, owners, agents, instances, certificates, position, created_at, touched_at, finished_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
};

/** Stores how far a locked kill is. */
export async function updateKill(tx: PipelinedTx, k: KillRecord): Promise<void> {
  await tx.query(Prisma.sql`
    UPDATE kills SET state = ${k.state}, agents = ${k.agents}, certificates = ${k.certificates}, released = ${k.released}, position = ${k.position}, touched_at = ${k.touchedAt},
      finished_at = ${k.finishedAt}, resumed_at = ${k.resumedAt} WHERE id = ${k.id}`);
}

/** Newest events of the feed among which are those of a step that this replica may not have followed yet, which it does within a second. */
const NEWEST_EVENTS = 20_000;

/** Certificates whose status a kill, or its resume, changed moments ago. */
export async function toldLately(db: Db, killId: string, now: Date): Promise<AffectedCertificate[]> {
  const rows = await db.$queryRaw<Omit<ChangedRow, 'flipped'>[]>`
    SELECT serial, issuer_id, shard, agent_id, instance_id FROM feed_events
    WHERE n > (SELECT value FROM counters WHERE name = 'feed') - ${NEWEST_EVENTS}::int AND kill_id = ${killId} AND serial IS NOT NULL AND at > ${new Date(now.getTime() - LATELY_MS)}`;
  return affected(rows.map((row) => ({ ...row, flipped: true })));
}

/** What one step did. */
export interface KillStep {
  changed: CauseChange[];
  /** Not good since moments ago by somebody else's doing, who may not have told this replica. */
  lately: AffectedCertificate[];
  agents: StateFlip[];
  instances: InstanceFlip[];
  position: string | null;
  isLast: boolean;
}

/** Where a step works. */
interface Reach {
  /** On certificates `c`. */
  where: Prisma.Sql;
  agentIds: string[];
  /** Holds no more certificates than one step changes. */
  isBounded: boolean;
  /** The position once all of it is done, and whether the kill is done then. */
  next: string | null;
  isLast: boolean;
}

/**
 * Holds, revokes or releases the next certificates of a locked kill. `since`: sets cover what ended later. Certificates are locked in the order of serials, as
 * everybody locks several.
 */
export async function stepKill(tx: PipelinedTx, kill: KillRecord, { now, since }: { now: Date; since: Date }): Promise<KillStep> {
  // One path for every size of table: by index, row by row. A plan for a table that looked small would read the whole of a large one.
  tx.leave(tx.query(Prisma.sql`SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`));
  // Nothing was put on hold, and nobody comes back: a stop that is lifted, agents that are retired.
  const isNothingLeft = kill.state === 'resuming' && (kill.effect === 'retire' || (kill.effect === 'revoke' && !agentsOf(kill)));
  if (isNothingLeft) return { changed: [], lately: [], agents: [], instances: [], position: null, isLast: true };
  const reach = await reachOf(tx, kill, since);
  if (kill.state === 'resuming') await lockHolders(tx, kill, reach.agentIds);
  const changed = await changeReach(tx, kill, reach.where, now);
  const none = { lately: [], agents: [], instances: [] };
  // The same again: what is done is not found a second time.
  if (changed.length === STEP_CERTIFICATES && !reach.isBounded && (await hasMore(tx, kill, reach.where))) return { changed, ...none, position: kill.position, isLast: false };
  const end = { changed, position: reach.next, isLast: reach.isLast };
  if (kill.state === 'running') return { ...none, ...end, lately: await changedLately(tx, reach.where, now) };
  return {
    ...none, ...end,
    agents: reach.agentIds.length === 0 ? [] : await resumeAgents(tx, kill.id, reach.agentIds, now),
    instances: kill.selector === 'instance' ? await resumeInstance(tx, kill.id, kill.target, now) : [],
  };
}

/** Agents and instances that come back are locked before their certificates, as everybody does who suspends or retires them. */
async function lockHolders(tx: PipelinedTx, { selector, target }: KillRecord, agentIds: readonly string[]): Promise<void> {
  if (agentIds.length > 0) await tx.query(Prisma.sql`SELECT 1 FROM agents WHERE id = ANY (${agentIds}) ORDER BY id FOR UPDATE`);
  if (selector === 'instance') await tx.query(Prisma.sql`SELECT 1 FROM instances WHERE id = ${target} FOR UPDATE`);
}

async function reachOf(tx: PipelinedTx, kill: KillRecord, since: Date): Promise<Reach> {
  const live = Prisma.sql`c.bucket >= ${bucketOf(since)} AND c.not_after > ${since}`;
  switch (kill.selector) {
    case 'serial':
      return { where: bySerial(kill.target), agentIds: [], isBounded: true, next: null, isLast: true };
    case 'instance':
      return { where: Prisma.sql`c.instance_id = ${kill.target} AND ${live}`, agentIds: [], isBounded: false, next: null, isLast: true };
    case 'agent':
    case 'owner':
    case 'labels': {
      const rows = await tx.query<{ id: string }>(Prisma.sql`
        SELECT id FROM agents WHERE kill_ids <> '{}' AND kill_ids @> ARRAY[${kill.id}]::text[] AND id > ${kill.position ?? ''} ORDER BY id LIMIT ${STEP_AGENTS + 1}`);
      const agentIds = rows.slice(0, STEP_AGENTS).map(({ id }) => id);
      return { where: Prisma.sql`c.agent_id = ANY (${agentIds}) AND ${live}`, agentIds, isBounded: false, next: agentIds.at(-1) ?? kill.position, isLast: rows.length <= STEP_AGENTS };
    }
    default:
      return reachOfWide(tx, kill, live);
  }
}

/** The next certificates in the order of the primary key, whosever they are: what is not meant is only looked at. */
async function reachOfWide(tx: PipelinedTx, kill: KillRecord, live: Prisma.Sql): Promise<Reach> {
  const behind = kill.position === null ? Prisma.sql`true` : Prisma.sql`${keyAt(kill.position, 'from')}`;
  const [end] = await tx.query<{ bucket: number; serial: Uint8Array }>(Prisma.sql`
    SELECT c.bucket, c.serial FROM certificates c WHERE ${live} AND ${behind} ORDER BY c.bucket, c.serial OFFSET ${STEP_CERTIFICATES - 1} LIMIT 1`);
  const next = end ? `${end.bucket}:${buffer(end.serial).toString('hex')}` : null;
  const upTo = next === null ? Prisma.sql`true` : keyAt(next, 'to');
  return { where: Prisma.sql`${ofWide(kill)} AND ${live} AND ${behind} AND ${upTo}`, agentIds: [], isBounded: true, next, isLast: next === null };
}

/** Keys behind a position, or up to it. The comparison of buckets alone lets the planner leave partitions out. */
function keyAt(position: string, end: 'from' | 'to'): Prisma.Sql {
  const [bucket = '', hex = ''] = position.split(':');
  const serial = bytes(Buffer.from(hex, 'hex'));
  if (end === 'from') return Prisma.sql`c.bucket >= ${Number(bucket)} AND (c.bucket, c.serial) > (${Number(bucket)}::int, ${serial}::bytea)`;
  return Prisma.sql`c.bucket <= ${Number(bucket)} AND (c.bucket, c.serial) <= (${Number(bucket)}::int, ${serial}::bytea)`;
}

interface ChangedRow {
  serial: Uint8Array;
  issuer_id: string;
  shard: number;
  agent_id: string;
  instance_id: string;
  flipped: boolean;
}

/** What is left to be changed of a certificate `c`. */
function leftOf({ id, state, effect }: KillRecord): Prisma.Sql {
  if (state === 'resuming') return Prisma.sql`${unrevoked} AND c.held_at IS NOT NULL AND ${killCause(id)} = ANY (c.hold_causes)`;
  return effect === 'suspend' ? Prisma.sql`${unrevoked} AND NOT (${killCause(id)} = ANY (c.hold_causes))` : unrevoked;
}

async function hasMore(tx: PipelinedTx, kill: KillRecord, reach: Prisma.Sql): Promise<boolean> {
  return (await tx.query(Prisma.sql`SELECT 1 FROM certificates c WHERE ${reach} AND ${leftOf(kill)} LIMIT 1`)).length > 0;
}

async function changeReach(tx: PipelinedTx, kill: KillRecord, reach: Prisma.Sql, now: Date): Promise<CauseChange[]> {
  const cause = killCause(kill.id);
  const target = Prisma.sql`
    target AS MATERIALIZED (SELECT c.bucket, c.serial FROM certificates c WHERE ${reach} AND ${leftOf(kill)} ORDER BY c.bucket, c.serial LIMIT ${STEP_CERTIFICATES} FOR UPDATE)`;
  const change = (set: Prisma.Sql, flipped: Prisma.Sql) => Prisma.sql`
    changed AS (UPDATE certificates c SET ${set} FROM target t WHERE c.bucket = t.bucket AND c.serial = t.serial
      RETURNING c.serial, c.issuer_id, c.shard, c.agent_id, c.instance_id, c.key_hash, ${flipped} AS flipped)`;
  const shown = Prisma.sql`SELECT serial, issuer_id, shard, agent_id, instance_id, flipped FROM changed`;
  if (kill.state === 'resuming') {
    const free = Prisma.sql`array_remove(c.hold_causes, ${cause}) = '{}'`;
    return affected(await tx.query<ChangedRow>(Prisma.sql`WITH ${target},
      ${change(Prisma.sql`hold_causes = array_remove(c.hold_causes, ${cause}), held_at = CASE WHEN ${free} THEN NULL ELSE c.held_at END`, Prisma.sql`c.held_at IS NULL`)} ${shown}`));
  }
  if (kill.effect === 'suspend') {
    return affected(await tx.query<ChangedRow>(Prisma.sql`WITH ${target},
      ${change(Prisma.sql`hold_causes = array_append(c.hold_causes, ${cause}), held_at = coalesce(c.held_at, ${now})`, Prisma.sql`cardinality(c.hold_causes) = 1`)} ${shown}`));
  }
  const reason = kill.revocationReason ?? 0;
  const rows = await tx.query<ChangedRow>(Prisma.sql`WITH ${target},
    ${change(Prisma.sql`revoked_at = ${now}, revocation_reason = ${reason}`, Prisma.sql`true`)},
    blocked AS (UPDATE public_keys k SET blocked_at = ${now} FROM changed WHERE k.key_hash = changed.key_hash AND k.blocked_at IS NULL) ${shown}`);
  return affected(rows).map((row) => ({ ...row, reason }));
}

async function changedLately(tx: PipelinedTx, reach: Prisma.Sql, now: Date): Promise<AffectedCertificate[]> {
  const since = new Date(now.getTime() - LATELY_MS);
  return affected(await tx.query<ChangedRow>(Prisma.sql`
    SELECT c.serial, c.issuer_id, c.shard, c.agent_id, c.instance_id, true AS flipped FROM certificates c
    WHERE ${reach} AND (c.revoked_at > ${since} AND c.revoked_at <> ${now} OR c.held_at > ${since} AND c.held_at <> ${now})`));
}

const affected = (rows: readonly ChangedRow[]): CauseChange[] =>
  rows.map((row) => ({ serial: buffer(row.serial), issuerId: row.issuer_id, shard: row.shard, agentId: row.agent_id, instanceId: row.instance_id, flipped: row.flipped }));
