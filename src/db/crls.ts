import { buffer, bytes, Prisma, type Db, type Tx } from './client.ts';
import { bucketOf } from '../x509/serial.ts';

/** Shard number of the complete CRL of an issuer. */
export const COMPLETE = -1;

/** A published list as it is stored. */
export interface StoredCrl {
  number: bigint;
  thisUpdate: Date;
  nextUpdate: Date;
  entries: number;
  der: Buffer;
}

/** A list that is being published: its row is locked to the end of the transaction. */
export interface LockedCrl {
  /** Number of the stored list, 0 before the first. */
  number: bigint;
  thisUpdate: Date | null;
  /** The feed had a change for this list after the stored one was read. */
  stale: boolean;
  /** Last feed number whose change is visible to statements from now on. */
  feedN: bigint;
}

/** A serial that belongs on a list. */
export interface ListedCertificate {
  serial: Buffer;
  revokedAt: Date;
  /** CRLReason; certificateHold for a hold. */
  reason: number;
}

const CERTIFICATE_HOLD = 6;

/** A feed row `f` that changes the list of `issuer` and `shard`. Rows without an issuer may concern any list. */
const concerns = (issuer: Prisma.Sql, shard: Prisma.Sql) =>
  Prisma.sql`f.serial IS NOT NULL AND (f.issuer_id IS NULL OR f.issuer_id = ${issuer} AND (${shard} = ${COMPLETE} OR f.shard = ${shard}))`;

/**
 * Locks the row of a list, then looks at the feed. The lock is a statement of its own: only later statements see what was committed
 * while it was waited for (invariant 6: lock, number, read). Undefined when there is no such list.
 */
export async function lockCrl(tx: Tx, issuerId: string, shard: number): Promise<LockedCrl | undefined> {
  const [locked] = await tx.$queryRaw<{ number: bigint; this_update: Date | null; feed_n: bigint }[]>`
    SELECT number, this_update, feed_n FROM crls WHERE issuer_id = ${issuerId} AND shard = ${shard} FOR UPDATE`;
  if (!locked) return undefined;
  const [feed] = await tx.$queryRaw<{ value: bigint; stale: boolean }[]>`
    SELECT value, EXISTS (SELECT FROM feed_events f WHERE f.n > ${locked.feed_n} AND ${concerns(Prisma.sql`${issuerId}`, Prisma.sql`${shard}::int`)}) AS stale
    FROM counters WHERE name = 'feed'`;
  if (!feed) throw new Error('the feed counter is missing');
  return { number: locked.number, thisUpdate: locked.this_update, stale: feed.stale || locked.this_update === null, feedN: feed.value };
}

/** Takes the next number of a locked list. Rolled back with the transaction, so no number is lost or used twice. */
export async function takeCrlNumber(tx: Tx, issuerId: string, shard: number): Promise<bigint> {
  const [row] = await tx.$queryRaw<{ number: bigint }[]>`
    UPDATE crls SET number = number + 1 WHERE issuer_id = ${issuerId} AND shard = ${shard} RETURNING number`;
  if (!row) throw new Error('the list is gone');
  return row.number;
}

export interface ListSelector {
  issuerId: string;
  shard: number;
  /** Certificates that expired before this are left out. */
  expiredBefore: Date;
}

/** Rows read at once: bounds memory and the time the event loop is taken at a stretch. */
const CHUNK = 5_000;

/** Revoked and held certificates of a list, in chunks. Certificates of the authority itself are on complete lists only. */
export async function* readListed(tx: Tx, select: ListSelector): AsyncGenerator<ListedCertificate[]> {
  const { issuerId, shard, expiredBefore } = select;
  if (shard === COMPLETE) {
    const own = await tx.$queryRaw<ListedRow[]>`
      SELECT serial, 0 AS shard, revoked_at AS at, revocation_reason AS reason FROM authority_certificates
      WHERE issuer_id = ${issuerId} AND id <> ${issuerId} AND revoked_at IS NOT NULL AND not_after >= ${expiredBefore} ORDER BY serial`;
    if (own.length > 0) yield own.map(listed);
  }
  const ofShard = shard === COMPLETE ? Prisma.empty : Prisma.sql`AND shard = ${shard}`;
  let last = { shard: -1, serial: new Uint8Array(0) };
  for (;;) {
    // The order is that of the index certificates_not_good: every chunk begins where the last one ended, at no cost for those before.
    const rows = await tx.$queryRaw<ListedRow[]>`
      SELECT serial, shard, coalesce(revoked_at, held_at) AS at, CASE WHEN revoked_at IS NULL THEN ${CERTIFICATE_HOLD}::int ELSE revocation_reason END AS reason
      FROM certificates
      WHERE issuer_id = ${issuerId} ${ofShard} AND (revoked_at IS NOT NULL OR held_at IS NOT NULL)
        AND bucket >= ${bucketOf(expiredBefore)}::int AND not_after >= ${expiredBefore}
        AND (shard, serial) > (${last.shard}::int, ${last.serial}::bytea)
      ORDER BY shard, serial LIMIT ${CHUNK}`;
    if (rows.length > 0) yield rows.map(listed);
    const end = rows.at(-1);
    if (!end || rows.length < CHUNK) return;
    last = { shard: end.shard, serial: bytes(end.serial) };
  }
}

interface ListedRow {
  serial: Uint8Array;
  shard: number;
  at: Date;
  reason: number | null;
}

const listed = (row: ListedRow): ListedCertificate => ({ serial: buffer(row.serial), revokedAt: row.at, reason: row.reason ?? 0 });

/** Stores a list under the number that was taken for it. @throws Error when the row holds another number: then two publishers met */
export async function storeCrl(tx: Tx, issuerId: string, shard: number, list: StoredCrl & { feedN: bigint }): Promise<void> {
  const { count } = await tx.crl.updateMany({
    where: { issuerId, shard, number: list.number },
    data: { thisUpdate: list.thisUpdate, nextUpdate: list.nextUpdate, entries: list.entries, feedN: list.feedN, der: bytes(list.der) },
  });
  if (count !== 1) throw new Error(`CRL ${issuerId}/${shard} no longer has number ${list.number}`);
}

/** The published list if its number is above `known`; 'unchanged' when it is not; undefined when there is none. */
export async function readCrl(db: Db, issuerId: string, shard: number, known: bigint): Promise<StoredCrl | 'unchanged' | undefined> {
  const newer = await db.crl.findFirst({ where: { issuerId, shard, number: { gt: known }, der: { not: null } } });
  if (!newer) return known > 0n ? 'unchanged' : undefined;
  const { number, thisUpdate, nextUpdate, entries, der } = newer;
  if (!thisUpdate || !nextUpdate || !der) return undefined;
  return { number, thisUpdate, nextUpdate, entries, der: buffer(der) };
}

/** A list by name. */
export interface CrlName {
  issuerId: string;
  shard: number;
}

/** Lists that miss a committed change of the feed, or were never published: what a publisher killed in between left behind. */
export async function staleCrls(db: Db): Promise<CrlName[]> {
  return db.$queryRaw<CrlName[]>`
    SELECT l.issuer_id AS "issuerId", l.shard FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id
    WHERE a.state <> 'retired' AND (l.this_update IS NULL
      OR EXISTS (SELECT FROM feed_events f WHERE f.n > l.feed_n AND ${concerns(Prisma.sql`l.issuer_id`, Prisma.sql`l.shard`)}))
    ORDER BY l.issuer_id, l.shard`;
}
