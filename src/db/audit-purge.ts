import { ADVISORY_LOCK, LOCK_CLASS } from './advisory-locks.ts';
import type { Db, Tx } from './client.ts';

/** What a purge would meet. Numbers are without gaps: their difference is a count. */
export interface PurgeScope {
  /** The oldest event that is still whole; undefined for an empty log. */
  first: { n: bigint; at: Date } | undefined;
  /** Number of the first event that stays. */
  until: bigint;
}

/**
 * The events before the first one of `before` or later, by two look-ups. What the numbers of certificates were not yet counted from stays
 * (db/certificate-numbers.ts), and what the tree of the log in force does not hold yet.
 */
export async function purgeScope(db: Db | Tx, before: Date): Promise<PurgeScope> {
  const [row] = await db.$queryRaw<{ first: bigint | null; at: Date | null; stays: bigint | null; end: bigint; counted: bigint; hashed: bigint }[]>`
    SELECT o.n AS first, o.at, (SELECT n FROM audit_events WHERE at >= ${before} ORDER BY at, n LIMIT 1) AS stays,
      (SELECT value FROM counters WHERE name = 'audit') AS end, (SELECT audit_n FROM certificate_numbers) AS counted,
      coalesce((SELECT t.size FROM audit_logs l JOIN audit_trees t ON t.id = l.tree_id WHERE l.state <> 'ended'), 0) AS hashed
    FROM (SELECT 1) one LEFT JOIN (SELECT n, at FROM audit_events ORDER BY n LIMIT 1) o ON true`;
  if (!row || row.first === null || row.at === null) return { first: undefined, until: 0n };
  const until = [row.counted + 1n, row.hashed + 1n].reduce((least, n) => (n < least ? n : least), row.stays ?? row.end + 1n);
  return { first: { n: row.first, at: row.at }, until };
}

/** Events purged in one transaction. */
export interface PurgedBatch {
  firstN: bigint;
  lastN: bigint;
  personalFields: number;
}

/** False when another purge is under way; held to the end of the transaction. */
export async function tryLockAuditPurge(tx: Tx): Promise<boolean> {
  const [row] = await tx.$queryRaw<{ locked: boolean }[]>`SELECT pg_try_advisory_xact_lock(${LOCK_CLASS}::int, ${ADVISORY_LOCK.auditPurge}::int) AS locked`;
  return row?.locked === true;
}

/**
 * Deletes the oldest events, those numbered below `until` and older than `before`, `limit` at most, with their personal fields, and keeps their leaf hashes
 * (RFC 6962 §2.1: SHA-256(0x00 || event)). Undefined when there are none. Only the owner of the table can; its trigger refuses what is not hashed.
 */
export async function purgeOldest(tx: Tx, bounds: { until: bigint; before: Date; limit: number }): Promise<PurgedBatch | undefined> {
  const { until, before, limit } = bounds;
  const [batch] = await tx.$queryRaw<{ first: bigint | null; last: bigint | null; personal: bigint }[]>`
    WITH oldest AS MATERIALIZED (SELECT n, id, at, event FROM audit_events WHERE n < ${until} ORDER BY n LIMIT ${limit}),
    batch AS MATERIALIZED (SELECT * FROM oldest WHERE n < coalesce((SELECT min(n) FROM oldest WHERE at >= ${before}), ${until})),
    hashed AS (
      INSERT INTO audit_leaf_hashes (first_n, last_n, leaf_hashes, purged_at)
      SELECT min(n), max(n), string_agg(sha256('\\x00'::bytea || event), ''::bytea ORDER BY n), clock_timestamp() FROM batch HAVING count(*) > 0),
    personal AS (DELETE FROM audit_personal WHERE event_id IN (SELECT id FROM batch) RETURNING 1),
    deleted AS (DELETE FROM audit_events WHERE n IN (SELECT n FROM batch) RETURNING 1)
    SELECT min(n) AS first, max(n) AS last, (SELECT count(*) FROM personal) AS personal FROM batch`;
  if (!batch || batch.first === null || batch.last === null) return undefined;
  return { firstN: batch.first, lastN: batch.last, personalFields: Number(batch.personal) };
}
