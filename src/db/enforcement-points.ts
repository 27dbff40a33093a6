import { Prisma, type Db, type Tx } from './client.ts';
import { inOneChunk, type Deletion } from './retention.ts';

/** An enforcement point as it registered. */
export interface EnforcementPointRecord {
  id: string;
  relyingPartyId: string;
  name: string;
  appliedN: bigint;
  leaseUntil: Date;
}

export interface WantedPoint {
  id: string;
  relyingPartyId: string;
  name: string;
  epoch: number;
  now: Date;
  leaseUntil: Date;
}

/**
 * Registers an enforcement point, or takes over the one of this name with a new lease; what it had applied stays recorded, and so does the lease it had if that was
 * over. It answers for what is committed from now on. Runs in the caller's transaction with the relying party locked.
 */
export async function upsertEnforcementPoint(tx: Tx, { id, relyingPartyId, name, epoch, now, leaseUntil }: WantedPoint): Promise<EnforcementPointRecord & { isNew: boolean }> {
  await tx.$executeRaw`
    INSERT INTO enforcement_leases (enforcement_point_id, lease_n, lease_from, lease_until, has_left)
    SELECT id, lease_n, lease_from, coalesce(left_at, lease_until), left_at IS NOT NULL FROM enforcement_points
    WHERE relying_party_id = ${relyingPartyId} AND name = ${name} AND (lease_until < ${now} OR left_at IS NOT NULL) ON CONFLICT DO NOTHING`;
  const [row] = await tx.$queryRaw<(EnforcementPointRecord & { isNew: boolean })[]>`
    INSERT INTO enforcement_points AS p (id, relying_party_id, name, epoch, lease_n, lease_from, lease_until, applied_n, applied_at, created_at)
    SELECT ${id}, ${relyingPartyId}, ${name}, ${epoch}::int, value, ${now}::timestamptz, ${leaseUntil}::timestamptz, value, ${now}::timestamptz, ${now}::timestamptz FROM counters WHERE name = 'feed'
    ON CONFLICT (relying_party_id, name) DO UPDATE SET
      lease_n = CASE WHEN p.lease_until < excluded.lease_from OR p.left_at IS NOT NULL THEN excluded.lease_n ELSE p.lease_n END,
      lease_from = CASE WHEN p.lease_until < excluded.lease_from OR p.left_at IS NOT NULL THEN excluded.lease_from ELSE p.lease_from END,
      lease_until = greatest(p.lease_until, excluded.lease_until), left_at = NULL, epoch = excluded.epoch
    RETURNING p.id, p.relying_party_id AS "relyingPartyId", p.name, p.applied_n AS "appliedN", p.lease_until AS "leaseUntil", p.id = ${id} AS "isNew"`;
  if (!row) throw new Error('an enforcement point was not stored');
  return row;
}

/** Enforcement points of a relying party that are not the one of this name. */
export async function countOtherPoints(tx: Tx, relyingPartyId: string, name: string): Promise<number> {
  return tx.enforcementPoint.count({ where: { relyingPartyId, name: { not: name } } });
}

/** Deletes the enforcement point of a relying party that ended the longest ago, with what it acknowledged; never the one of this name. False when all are live. */
export async function forgetEndedPoint(tx: Tx, relyingPartyId: string, name: string, now: Date): Promise<boolean> {
  const isEnded = Prisma.sql`(left_at IS NOT NULL OR lease_until < ${now}::timestamptz)`;
  // The condition again: one that came back meanwhile stays.
  const deleted = await tx.$executeRaw`
    DELETE FROM enforcement_points WHERE ${isEnded} AND id = (
      SELECT id FROM enforcement_points WHERE relying_party_id = ${relyingPartyId} AND name <> ${name} AND ${isEnded} ORDER BY coalesce(left_at, lease_until), id LIMIT 1)`;
  return deleted === 1;
}

/** One acknowledgement. */
export interface Acknowledgement {
  id: string;
  relyingPartyId: string;
  n: bigint;
  at: Date;
  leaseUntil: Date;
}

export interface Acknowledged {
  /** False: the relying party has no such enforcement point. */
  found: boolean;
  /** The feed's last number. An acknowledgement of a later one changed nothing. */
  last: bigint;
  appliedN: bigint | null;
  leaseUntil: Date | null;
}

/**
 * Records acknowledgements, one statement for all; each enforcement point at most once among them. Numbers never go back; a lease that had run out ends there,
 * and another begins. Rows are locked by id, so that two batches cannot wait for each other.
 */
export async function recordAcknowledgements(db: Db, epoch: number, asked: readonly Acknowledgement[]): Promise<Acknowledged[]> {
  const batch = asked.map(({ id, relyingPartyId, n, at, leaseUntil }, i) => ({ i, id, party: relyingPartyId, n: String(n), at, until: leaseUntil }));
  const rows = await db.$queryRaw<(Acknowledged & { i: number })[]>`
    WITH asked AS (SELECT * FROM json_to_recordset(${JSON.stringify(batch)}::json) AS v (i integer, id text, party text, n bigint, at timestamptz(3), until timestamptz(3))),
    feed AS (SELECT value FROM counters WHERE name = 'feed'),
    point AS MATERIALIZED (
      SELECT p.* FROM enforcement_points p WHERE (p.id, p.relying_party_id) IN (SELECT id, party FROM asked) ORDER BY p.id FOR UPDATE),
    known AS (
      SELECT a.i, a.n, a.at, a.until, p.id, p.applied_n, p.lease_n, p.lease_from, p.lease_until, p.left_at, f.value, p.lease_until < a.at OR p.left_at IS NOT NULL AS lapsed
      FROM asked a JOIN point p ON p.id = a.id CROSS JOIN feed f),
    good AS (SELECT * FROM known WHERE n <= value),
    over AS (
      INSERT INTO enforcement_leases (enforcement_point_id, lease_n, lease_from, lease_until, has_left)
      SELECT id, lease_n, lease_from, coalesce(left_at, lease_until), left_at IS NOT NULL FROM good WHERE lapsed ON CONFLICT DO NOTHING),
    told AS (INSERT INTO feed_acknowledgements (enforcement_point_id, n, at) SELECT id, n, at FROM good WHERE n > applied_n ON CONFLICT DO NOTHING),
    changed AS (
      UPDATE enforcement_points p SET epoch = ${epoch}::int, applied_n = greatest(p.applied_n, g.n), applied_at = CASE WHEN g.n > p.applied_n THEN g.at ELSE p.applied_at END,
        lease_until = greatest(p.lease_until, g.until), lease_from = CASE WHEN g.lapsed THEN g.at ELSE p.lease_from END, lease_n = CASE WHEN g.lapsed THEN g.value ELSE p.lease_n END, left_at = NULL
      FROM good g WHERE p.id = g.id)
    SELECT a.i, k.id IS NOT NULL AS found, f.value AS last, greatest(k.applied_n, k.n) AS "appliedN", greatest(k.lease_until, k.until) AS "leaseUntil"
    FROM asked a CROSS JOIN feed f LEFT JOIN known k ON k.i = a.i ORDER BY a.i`;
  return rows;
}

/** Ends the lease now; false when the relying party has no such enforcement point. */
export async function leavePoint(tx: Tx, id: string, relyingPartyId: string, now: Date): Promise<boolean> {
  const { count } = await tx.enforcementPoint.updateMany({ where: { id, relyingPartyId }, data: { leftAt: now } });
  return count === 1;
}

/** Credentials behind open streams: ids of API tokens, and SHA-256 of pinned certificates in hexadecimal. */
export interface StreamCredentials {
  tokens: readonly string[];
  pins: readonly string[];
}

/** Of these credentials those that may still follow the feed, and whether they may know identities. */
export async function credentialsThatFollow(db: Db, { tokens, pins }: StreamCredentials, now: Date): Promise<Map<string, { identity: boolean }>> {
  const rows = await db.$queryRaw<{ credential: string; identity: boolean }[]>`
    SELECT t.id AS credential, p.id IS NULL OR 'identity' = ANY (p.may_ask) AS identity FROM admin_tokens t LEFT JOIN relying_parties p ON p.id = t.relying_party_id
    WHERE t.id = ANY (${[...tokens]}) AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ${now}) AND (p.id IS NULL OR p.state = 'active' AND 'feed' = ANY (p.may_ask))
    UNION ALL
    SELECT encode(c.fingerprint, 'hex'), 'identity' = ANY (p.may_ask) FROM relying_party_certificates c JOIN relying_parties p ON p.id = c.relying_party_id
    WHERE c.fingerprint = ANY (SELECT decode(hex, 'hex') FROM unnest(${[...pins]}::text[]) AS hex) AND c.not_after > ${now} AND p.state = 'active' AND 'feed' = ANY (p.may_ask)`;
  return new Map(rows.map(({ credential, identity }) => [credential, { identity }]));
}

/**
 * Acknowledgements of events from before, and of those that are not kept any more; returns the rows deleted. Whoever acknowledged a later event did so after it: what is asked of
 * those is all there.
 */
export async function deleteOldAcknowledgements(db: Db, before: Date, run: Deletion): Promise<number> {
  const [bound] = await db.$queryRaw<{ n: bigint }[]>`
    SELECT coalesce((SELECT n + 1 FROM feed_events WHERE at < ${before} ORDER BY n DESC LIMIT 1), (SELECT min(n) FROM feed_events), (SELECT value + 1 FROM counters WHERE name = 'feed')) AS n`;
  let total = 0;
  for (let deleted = 1; deleted > 0 && !run.signal.aborted; total += deleted) {
    deleted = await inOneChunk(db, (tx) => tx.$executeRaw`
      DELETE FROM feed_acknowledgements WHERE ctid IN (SELECT a.ctid FROM feed_acknowledgements a WHERE a.n < ${bound?.n ?? 0n} LIMIT ${DELETED_AT_ONCE})`, run);
  }
  return total;
}

const DELETED_AT_ONCE = 5_000;

/** Rows of enforcement points that ran out before; returns the rows deleted. */
export async function deleteOldEnforcement(db: Db, before: Date, run: Deletion): Promise<number> {
  let total = await inOneChunk(db, (tx) => tx.$executeRaw`DELETE FROM enforcement_leases WHERE lease_until < ${before}`, run);
  total += await inOneChunk(db, (tx) => tx.$executeRaw`DELETE FROM enforcement_points WHERE least(lease_until, coalesce(left_at, lease_until)) < ${before}`, run);
  return total;
}
