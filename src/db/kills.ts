import type { KILL_EFFECTS, KILL_STATES } from '../api/kills.ts';
import { bucketOf, bucketOfSerial } from '../x509/serial.ts';
import type { AffectedCertificate, CauseChange } from './certificate-status.ts';
import { buffer, bytes, Prisma, type Db, type Tx } from './client.ts';

export type KillEffect = (typeof KILL_EFFECTS)[number];
export type KillState = (typeof KILL_STATES)[number];
export type SelectorKind = 'serial' | 'instance' | 'agent' | 'owner' | 'labels' | 'issuer' | 'profile' | 'everything';

/** What a kill, or a moved renewal window, is about. */
export interface Selection {
  selector: SelectorKind;
  /** Serial in lower-case hexadecimal, id of the instance, agent, owner or issuer, JSON of the labels, name of the profile, or `*`. */
  target: string;
}

/** How many of each kind. */
export interface KillCounts {
  owners: number;
  agents: number;
  instances: number;
  certificates: number;
}

/** A kill as it is stored. */
export interface KillRecord extends Selection, KillCounts {
  id: string;
  effect: KillEffect;
  /** For people. */
  reason: string;
  /** CRLReason of what it revokes. */
  revocationReason: number | null;
  state: KillState;
  actorKind: string;
  actorId: string;
  /** Certificates that its resume made good again. */
  released: number;
  /** Up to where its certificates are done: the id of an agent, or `<bucket>:<serial>`. */
  position: string | null;
  createdAt: Date;
  /** When it last went on. */
  touchedAt: Date;
  finishedAt: Date | null;
  resumedAt: Date | null;
}

/** Cause of the holds and stops of a kill. */
export const killCause = (killId: string): string => `kill:${killId}`;

/** Certificates that one step changes at most, or looks at. */
const STEP_CERTIFICATES = 5_000;
/** Agents whose certificates one step looks for. */
const STEP_AGENTS = 1_000;

// ── who and what is meant ─────────────────────────────────────────────────────────────────────────────────────────

/** Agents `a` of a selection that names agents; undefined for the others. */
function agentsOf({ selector, target }: Selection): Prisma.Sql | undefined {
  switch (selector) {
    case 'agent':
      return Prisma.sql`a.id = ${target} AND a.state <> 'retired'`;
    case 'owner':
      return Prisma.sql`a.owner_id = ${target} AND a.state <> 'retired'`;
    case 'labels':
      return Prisma.sql`a.labels @> ${target}::jsonb AND a.state <> 'retired'`;
    default:
      return undefined;
  }
}

/** Certificates `c` of a selection that ended after `since` (one that is named by its serial is taken as it is). */
function certificatesOf(selection: Selection, since: Date): Prisma.Sql {
  const { selector, target } = selection;
  const agents = agentsOf(selection);
  const live = Prisma.sql`c.bucket >= ${bucketOf(since)} AND c.not_after > ${since}`;
  if (agents) return Prisma.sql`c.agent_id IN (SELECT a.id FROM agents a WHERE ${agents}) AND ${live}`;
  switch (selector) {
    case 'serial':
      return bySerial(target);
    case 'instance':
      return Prisma.sql`c.instance_id = ${target} AND ${live}`;
    default:
      return Prisma.sql`${ofWide(selection)} AND ${live}`;
  }
}

const bySerial = (hex: string): Prisma.Sql => Prisma.sql`c.bucket = ${bucketOfSerial(Buffer.from(hex, 'hex'))} AND c.serial = ${bytes(Buffer.from(hex, 'hex'))}`;

function ofWide({ selector, target }: Selection): Prisma.Sql {
  if (selector === 'issuer') return Prisma.sql`c.issuer_id = ${target}`;
  return selector === 'profile' ? Prisma.sql`c.profile = ${target}` : Prisma.sql`true`;
}

/** What a kill would still change of a certificate `c`. */
const unrevoked = Prisma.sql`c.revoked_at IS NULL`;

// ── looking, before anything is done ──────────────────────────────────────────────────────────────────────────────

/** An agent that a kill would hit. */
export interface HitAgent {
  id: string;
  name: string;
  state: string;
}

/** A certificate that a kill would hit. */
export interface HitCertificate {
  serial: Buffer;
  agentId: string;
  instanceId: string;
  notAfter: Date;
  held: boolean;
}

/** Everything that a kill would hit; certificates are counted up to `countMax`, and of both kinds `limit` are shown. */
export async function readHits(db: Db, selection: Selection, page: { now: Date; countMax: number; limit: number }): Promise<{ counts: KillCounts; agents: HitAgent[]; certificates: HitCertificate[] }> {
  const { now, countMax, limit } = page;
  const agents = agentsOf(selection);
  const certificates = Prisma.sql`FROM certificates c WHERE ${certificatesOf(selection, now)} AND ${unrevoked}`;
  const [[hit], shown, of] = await Promise.all([
    db.$queryRaw<{ n: bigint }[]>`SELECT count(*) AS n FROM (SELECT 1 ${certificates} LIMIT ${countMax}) hit`,
    db.$queryRaw<(Omit<HitCertificate, 'serial'> & { serial: Uint8Array })[]>`
      SELECT c.serial, c.agent_id AS "agentId", c.instance_id AS "instanceId", c.not_after AS "notAfter", c.held_at IS NOT NULL AS held ${certificates} LIMIT ${limit}`,
    agents ? readHitAgents(db, agents, limit) : { count: 0, shown: [] },
  ]);
  return {
    counts: { owners: selection.selector === 'owner' ? 1 : 0, agents: of.count, instances: selection.selector === 'instance' ? 1 : 0, certificates: Number(hit?.n ?? 0n) },
    agents: of.shown,
    certificates: shown.map((row) => ({ ...row, serial: buffer(row.serial) })),
  };
}

async function readHitAgents(db: Db, where: Prisma.Sql, limit: number): Promise<{ count: number; shown: HitAgent[] }> {
  const [[row], shown] = await Promise.all([
    db.$queryRaw<{ n: bigint }[]>`SELECT count(*) AS n FROM agents a WHERE ${where}`,
    db.$queryRaw<HitAgent[]>`SELECT a.id, a.name, a.state FROM agents a WHERE ${where} ORDER BY a.id LIMIT ${limit}`,
  ]);
  return { count: Number(row?.n ?? 0n), shown };
}

// ── the first transaction: states, under the gate ─────────────────────────────────────────────────────────────────

/** A change of state; `flipped`: it is another one than before, not only one cause more or less. */
export interface StateFlip {
  id: string;
  flipped: boolean;
}
export type InstanceFlip = StateFlip & { agentId: string };

/** The owner cannot register or answer for anybody new until every kill that covers it is resumed. */
export async function suspendOwner(tx: Tx, ownerId: string, killId: string): Promise<StateFlip[]> {
  return tx.$queryRaw<StateFlip[]>`
    WITH target AS MATERIALIZED (SELECT id, state FROM owners WHERE id = ${ownerId} FOR UPDATE)
    UPDATE owners o SET kill_ids = array_append(o.kill_ids, ${killId}), state = 'suspended' FROM target t WHERE o.id = t.id RETURNING o.id, t.state = 'active' AS flipped`;
}

export async function resumeOwner(tx: Tx, killId: string, ownerId: string): Promise<StateFlip[]> {
  return tx.$queryRaw<StateFlip[]>`
    WITH target AS MATERIALIZED (SELECT id, suspension_id IS NULL AND array_remove(kill_ids, ${killId}) = '{}' AS free FROM owners WHERE id = ${ownerId} AND ${killId} = ANY (kill_ids) FOR UPDATE)
    UPDATE owners o SET kill_ids = array_remove(o.kill_ids, ${killId}), state = CASE WHEN t.free THEN 'active' ELSE o.state END FROM target t WHERE o.id = t.id RETURNING o.id, t.free AS flipped`;
}

/** Suspends the agents selected, or retires them. A proposed one stays proposed, and cannot be activated while the kill covers it. */
export async function killAgents(tx: Tx, kill: Pick<KillRecord, 'id' | 'selector' | 'target' | 'effect' | 'reason'>, now: Date): Promise<StateFlip[]> {
  const where = agentsOf(kill);
  if (!where) return [];
  const change = kill.effect === 'retire'
    ? Prisma.sql`state = 'retired', suspension_id = NULL, state_reason = ${kill.reason}`
    : Prisma.sql`state = CASE WHEN a.state = 'active' THEN 'suspended' ELSE a.state END, state_reason = CASE WHEN a.state = 'active' THEN ${kill.reason} ELSE a.state_reason END`;
  return tx.$queryRaw<StateFlip[]>`
    WITH target AS MATERIALIZED (SELECT a.id, a.state FROM agents a WHERE ${where} ORDER BY a.id FOR UPDATE)
    UPDATE agents a SET kill_ids = array_append(a.kill_ids, ${kill.id}), version = a.version + 1, updated_at = ${now}, ${change}
    FROM target t WHERE a.id = t.id RETURNING a.id, a.state <> t.state AS flipped`;
}

async function resumeAgents(tx: Tx, killId: string, ids: readonly string[], now: Date): Promise<StateFlip[]> {
  return tx.$queryRaw<StateFlip[]>`
    WITH target AS MATERIALIZED (SELECT id, state = 'suspended' AND suspension_id IS NULL AND array_remove(kill_ids, ${killId}) = '{}' AS free FROM agents WHERE id = ANY (${ids}) ORDER BY id FOR UPDATE)
    UPDATE agents a SET kill_ids = array_remove(a.kill_ids, ${killId}), version = a.version + 1, updated_at = ${now},
      state = CASE WHEN t.free THEN 'active' ELSE a.state END, state_reason = CASE WHEN t.free THEN NULL ELSE a.state_reason END
    FROM target t WHERE a.id = t.id RETURNING a.id, t.free AS flipped`;
}

/** Quarantines the instance, or revokes it. */
export async function killInstance(tx: Tx, kill: Pick<KillRecord, 'id' | 'target' | 'effect' | 'reason'>, now: Date): Promise<InstanceFlip[]> {
  const change = kill.effect === 'revoke'
    ? Prisma.sql`state = 'revoked', quarantine_id = NULL`
    : Prisma.sql`state = 'quarantined', quarantine_reason = CASE WHEN s.state = 'active' THEN ${kill.reason} ELSE s.quarantine_reason END`;
  return tx.$queryRaw<InstanceFlip[]>`
    WITH target AS MATERIALIZED (SELECT id, state FROM instances WHERE id = ${kill.target} AND state <> 'revoked' FOR UPDATE)
    UPDATE instances s SET kill_ids = array_append(s.kill_ids, ${kill.id}), updated_at = ${now}, ${change}
    FROM target t WHERE s.id = t.id RETURNING s.id, s.agent_id AS "agentId", s.state <> t.state AS flipped`;
}

async function resumeInstance(tx: Tx, killId: string, instanceId: string, now: Date): Promise<InstanceFlip[]> {
  return tx.$queryRaw<InstanceFlip[]>`
    WITH target AS MATERIALIZED (
      SELECT id, state = 'quarantined' AND quarantine_id IS NULL AND array_remove(kill_ids, ${killId}) = '{}' AS free FROM instances WHERE id = ${instanceId} AND ${killId} = ANY (kill_ids) FOR UPDATE)
    UPDATE instances s SET kill_ids = array_remove(s.kill_ids, ${killId}), updated_at = ${now},
      state = CASE WHEN t.free THEN 'active' ELSE s.state END, quarantine_reason = CASE WHEN t.free THEN NULL ELSE s.quarantine_reason END
    FROM target t WHERE s.id = t.id RETURNING s.id, s.agent_id AS "agentId", t.free AS flipped`;
}

export async function insertKill(tx: Tx, kill: Omit<KillRecord, 'certificates' | 'released' | 'position' | 'finishedAt' | 'resumedAt'>): Promise<void> {
  await tx.kill.create({ data: kill });
}

// ── the steps: certificates, each in a transaction of its own ─────────────────────────────────────────────────────

/** A kill that has work left, locked: two who finish it take turns. Undefined when nothing is left to do. */
export async function lockUnfinishedKill(tx: Tx, id: string): Promise<KillRecord | undefined> {
  const kill = await lockKill(tx, id);
  return kill && (kill.state === 'running' || kill.state === 'resuming') ? kill : undefined;
}

export async function lockKill(tx: Tx, id: string): Promise<KillRecord | undefined> {
  const locked = await tx.$queryRaw<unknown[]>`SELECT 1 FROM kills WHERE id = ${id} FOR UPDATE`;
  return locked.length === 0 ? undefined : findKill(tx, id);
}

/** Changes a locked kill. */
export async function updateKill(tx: Tx, id: string, change: Partial<Pick<KillRecord, 'state' | 'certificates' | 'released' | 'position' | 'touchedAt' | 'finishedAt' | 'resumedAt'>>): Promise<void> {
  await tx.kill.update({ where: { id }, data: change });
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

/** Changes of others that replicas may not have heard of yet. Milliseconds. */
const LATELY_MS = 10_000;

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
export async function stepKill(tx: Tx, kill: KillRecord, { now, since }: { now: Date; since: Date }): Promise<KillStep> {
  // One path for every size of table: by index, row by row. A plan for a table that looked small would read the whole of a large one.
  await tx.$executeRaw`SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`;
  // Nothing was put on hold, and nobody comes back: a stop that is lifted, agents that are retired.
  const isNothingLeft = kill.state === 'resuming' && (kill.effect === 'retire' || (kill.effect === 'revoke' && !agentsOf(kill)));
  if (isNothingLeft) return { changed: [], lately: [], agents: [], instances: [], position: null, isLast: true };
  const reach = await reachOf(tx, kill, since);
  if (kill.state === 'resuming') await lockHolders(tx, kill, reach.agentIds);
  const changed = await changeReach(tx, kill, reach.where, now);
  const none = { lately: [], agents: [], instances: [] };
  // The same again: what is done is not found a second time.
  if (changed.length === STEP_CERTIFICATES && !reach.isBounded) return { changed, ...none, position: kill.position, isLast: false };
  const end = { changed, position: reach.next, isLast: reach.isLast };
  if (kill.state === 'running') return { ...none, ...end, lately: await changedLately(tx, reach.where, now) };
  return {
    ...none, ...end,
    agents: reach.agentIds.length === 0 ? [] : await resumeAgents(tx, kill.id, reach.agentIds, now),
    instances: kill.selector === 'instance' ? await resumeInstance(tx, kill.id, kill.target, now) : [],
  };
}

/** Agents and instances that come back are locked before their certificates, as everybody does who suspends or retires them. */
async function lockHolders(tx: Tx, { selector, target }: KillRecord, agentIds: readonly string[]): Promise<void> {
  if (agentIds.length > 0) await tx.$executeRaw`SELECT 1 FROM agents WHERE id = ANY (${agentIds}) ORDER BY id FOR UPDATE`;
  if (selector === 'instance') await tx.$executeRaw`SELECT 1 FROM instances WHERE id = ${target} FOR UPDATE`;
}

async function reachOf(tx: Tx, kill: KillRecord, since: Date): Promise<Reach> {
  const live = Prisma.sql`c.bucket >= ${bucketOf(since)} AND c.not_after > ${since}`;
  switch (kill.selector) {
    case 'serial':
      return { where: bySerial(kill.target), agentIds: [], isBounded: true, next: null, isLast: true };
    case 'instance':
      return { where: Prisma.sql`c.instance_id = ${kill.target} AND ${live}`, agentIds: [], isBounded: false, next: null, isLast: true };
    case 'agent':
    case 'owner':
    case 'labels': {
      const rows = await tx.$queryRaw<{ id: string }[]>`
        SELECT id FROM agents WHERE kill_ids <> '{}' AND kill_ids @> ARRAY[${kill.id}]::text[] AND id > ${kill.position ?? ''} ORDER BY id LIMIT ${STEP_AGENTS}`;
      const agentIds = rows.map(({ id }) => id);
      return { where: Prisma.sql`c.agent_id = ANY (${agentIds}) AND ${live}`, agentIds, isBounded: false, next: agentIds.at(-1) ?? kill.position, isLast: agentIds.length < STEP_AGENTS };
    }
    default:
      return reachOfWide(tx, kill, live);
  }
}

/** The next certificates in the order of the primary key, whosever they are: what is not meant is only looked at. */
async function reachOfWide(tx: Tx, kill: KillRecord, live: Prisma.Sql): Promise<Reach> {
  const behind = kill.position === null ? Prisma.sql`true` : Prisma.sql`${keyAt(kill.position, 'from')}`;
  const [end] = await tx.$queryRaw<{ bucket: number; serial: Uint8Array }[]>`
    SELECT c.bucket, c.serial FROM certificates c WHERE ${live} AND ${behind} ORDER BY c.bucket, c.serial OFFSET ${STEP_CERTIFICATES - 1} LIMIT 1`;
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

async function changeReach(tx: Tx, kill: KillRecord, reach: Prisma.Sql, now: Date): Promise<CauseChange[]> {
  const cause = killCause(kill.id);
  const target = (left: Prisma.Sql) => Prisma.sql`
    target AS MATERIALIZED (SELECT c.bucket, c.serial FROM certificates c WHERE ${reach} AND ${unrevoked} AND ${left} ORDER BY c.bucket, c.serial LIMIT ${STEP_CERTIFICATES} FOR UPDATE)`;
  const change = (set: Prisma.Sql, flipped: Prisma.Sql) => Prisma.sql`
    changed AS (UPDATE certificates c SET ${set} FROM target t WHERE c.bucket = t.bucket AND c.serial = t.serial
      RETURNING c.serial, c.issuer_id, c.shard, c.agent_id, c.instance_id, c.key_hash, ${flipped} AS flipped)`;
  const shown = Prisma.sql`SELECT serial, issuer_id, shard, agent_id, instance_id, flipped FROM changed`;
  if (kill.state === 'resuming') {
    const free = Prisma.sql`array_remove(c.hold_causes, ${cause}) = '{}'`;
    return affected(await tx.$queryRaw<ChangedRow[]>`WITH ${target(Prisma.sql`c.held_at IS NOT NULL AND ${cause} = ANY (c.hold_causes)`)},
      ${change(Prisma.sql`hold_causes = array_remove(c.hold_causes, ${cause}), held_at = CASE WHEN ${free} THEN NULL ELSE c.held_at END`, Prisma.sql`c.held_at IS NULL`)} ${shown}`);
  }
  if (kill.effect === 'suspend') {
    return affected(await tx.$queryRaw<ChangedRow[]>`WITH ${target(Prisma.sql`NOT (${cause} = ANY (c.hold_causes))`)},
      ${change(Prisma.sql`hold_causes = array_append(c.hold_causes, ${cause}), held_at = coalesce(c.held_at, ${now})`, Prisma.sql`cardinality(c.hold_causes) = 1`)} ${shown}`);
  }
  const reason = kill.revocationReason ?? 0;
  const rows = await tx.$queryRaw<ChangedRow[]>`WITH ${target(Prisma.sql`true`)},
    ${change(Prisma.sql`revoked_at = ${now}, revocation_reason = ${reason}`, Prisma.sql`true`)},
    blocked AS (UPDATE public_keys k SET blocked_at = ${now} FROM changed WHERE k.key_hash = changed.key_hash AND k.blocked_at IS NULL) ${shown}`;
  return affected(rows).map((row) => ({ ...row, reason }));
}

async function changedLately(tx: Tx, reach: Prisma.Sql, now: Date): Promise<AffectedCertificate[]> {
  const since = new Date(now.getTime() - LATELY_MS);
  return affected(await tx.$queryRaw<ChangedRow[]>`
    SELECT c.serial, c.issuer_id, c.shard, c.agent_id, c.instance_id, true AS flipped FROM certificates c
    WHERE ${reach} AND (c.revoked_at > ${since} AND c.revoked_at <> ${now} OR c.held_at > ${since} AND c.held_at <> ${now})`);
}

const affected = (rows: readonly ChangedRow[]): CauseChange[] =>
  rows.map((row) => ({ serial: buffer(row.serial), issuerId: row.issuer_id, shard: row.shard, agentId: row.agent_id, instanceId: row.instance_id, flipped: row.flipped }));

// ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The row of Prisma as a record. */
export const killRecord = (row: Omit<KillRecord, 'selector' | 'effect' | 'state'> & { selector: string; effect: string; state: string }): KillRecord => ({
  ...row,
  selector: row.selector as SelectorKind,
  effect: row.effect as KillEffect,
  state: row.state as KillState,
});

export async function findKill(db: Db | Tx, id: string): Promise<KillRecord | undefined> {
  const row = await db.kill.findUnique({ where: { id } });
  return row ? killRecord(row) : undefined;
}

/**
 * Kills that have work left and that nobody has touched for a while: whoever was at it is gone. The oldest first. Touched in the future is by a clock that was wrong:
 * who waited for that time to pass might wait for long, and two who finish a kill take turns.
 */
export async function abandonedKills(db: Db, idleSeconds: number): Promise<{ id: string }[]> {
  return db.$queryRaw`
    SELECT id FROM kills WHERE state IN ('running', 'resuming') AND touched_at NOT BETWEEN clock_timestamp() - make_interval(secs => ${idleSeconds}) AND clock_timestamp() + make_interval(secs => ${idleSeconds}) ORDER BY touched_at`;
}

/** Kills that have work left. */
export const countUnfinishedKills = (db: Db): Promise<number> => db.kill.count({ where: { state: { in: ['running', 'resuming'] } } });

/** Deletes kills that ended before and hold nothing any more, at most `limit`; returns how many. Those that suspend somebody or something stay. */
export const deleteEndedKills = (db: Db | Tx, endedBefore: Date, limit: number): Promise<number> =>
  db.$executeRaw`
    DELETE FROM kills WHERE id IN (SELECT k.id FROM kills k WHERE (k.state = 'resumed' AND k.resumed_at < ${endedBefore})
      OR (k.state = 'done' AND k.finished_at < ${endedBefore} AND (k.selector IN ('serial', 'instance') AND k.effect = 'revoke' OR k.selector IN ('agent', 'labels') AND k.effect = 'retire')) LIMIT ${limit})`;
