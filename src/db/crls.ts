import { REMOVED } from './carried-revocations.ts';
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
  /** There is no stored list, or the feed had a change for it after it was read. */
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

/** CRLReason of a hold (RFC 5280 §5.3.1). */
export const CERTIFICATE_HOLD = 6;

/** A feed row `f` that changes the list of `issuer` and `shard`. Rows without an issuer may concern any list. */
const concerns = (issuer: Prisma.Sql, shard: Prisma.Sql) =>
  Prisma.sql`f.serial IS NOT NULL AND (f.issuer_id IS NULL OR f.issuer_id = ${issuer} AND (${shard} = ${COMPLETE} OR f.shard = ${shard}))`;

/**
 * Locks the row of a list, then looks at the feed. The lock is a statement of its own: only later statements see what was committed
 * while it was waited for (invariant 6: lock, number, read). Undefined when there is no such list.
 */
export async function lockCrl(tx: Tx, issuerId: string, shard: number): Promise<LockedCrl | undefined> {
  const [locked] = await tx.$queryRaw<{ number: bigint; this_update: Date | null; feed_n: bigint; missing: boolean }[]>`
    SELECT number, this_update, feed_n, der IS NULL AS missing FROM crls WHERE issuer_id = ${issuerId} AND shard = ${shard} FOR UPDATE`;
  if (!locked) return undefined;
  const [feed] = await tx.$queryRaw<{ value: bigint; stale: boolean }[]>`
    SELECT value, EXISTS (SELECT FROM feed_events f WHERE f.n > ${locked.feed_n} AND ${concerns(Prisma.sql`${issuerId}`, Prisma.sql`${shard}::int`)}) AS stale
    FROM counters WHERE name = 'feed'`;
  if (!feed) throw new Error('the feed counter is missing');
  return { number: locked.number, thisUpdate: locked.this_update, stale: feed.stale || locked.missing, feedN: feed.value };
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

/** Entries that come as one value, and values fetched at once: bound memory and the time the event loop is taken at a stretch. */
const PACKED_ENTRIES = 2_500;
const FETCHED_VALUES = 2;
/** One packed entry: serial (20), seconds since 1970 (8), CRLReason (4). */
const PACKED_BYTES = 32;

/**
 * Revoked and held certificates of a list, in chunks and in no particular order, with what a restored database carries over. Certificates of the authority
 * itself are on complete lists only.
 * A cursor reads the index once, as of one moment; entries come packed, since a row of its own for each costs ten times as much.
 */
export async function* readListed(tx: Tx, select: ListSelector): AsyncGenerator<ListedCertificate[]> {
  const { issuerId, shard, expiredBefore } = select;
  const ofShard = shard === COMPLETE ? Prisma.empty : Prisma.sql`AND shard = ${shard}`;
  const ofAuthority = shard === COMPLETE
    ? Prisma.sql`UNION ALL SELECT serial, revoked_at, revocation_reason FROM authority_certificates
        WHERE issuer_id = ${issuerId} AND id <> ${issuerId} AND revoked_at IS NOT NULL AND not_after >= ${expiredBefore}`
    : Prisma.empty;
  const carried = Prisma.sql`UNION ALL SELECT serial, revoked_at, reason FROM carried_revocations WHERE issuer_id = ${issuerId} ${ofShard} AND reason <> ${REMOVED}::int AND not_after >= ${expiredBefore}`;
  await tx.$executeRaw`
    DECLARE listed NO SCROLL CURSOR FOR
    SELECT string_agg(serial || int8send(floor(date_part('epoch', at))::bigint) || int4send(coalesce(reason, 0)), '') AS packed
    FROM (SELECT serial, at, reason, row_number() OVER () / ${PACKED_ENTRIES}::int AS chunk FROM (
      SELECT serial, coalesce(revoked_at, held_at) AS at, CASE WHEN revoked_at IS NULL THEN ${CERTIFICATE_HOLD}::int ELSE revocation_reason END AS reason
      FROM certificates
      WHERE issuer_id = ${issuerId} ${ofShard} AND (revoked_at IS NOT NULL OR held_at IS NOT NULL)
        AND bucket >= ${bucketOf(expiredBefore)}::int AND not_after >= ${expiredBefore}
      ${ofAuthority} ${carried}) entries) numbered
    GROUP BY chunk`;
  for (;;) {
    const values = await tx.$queryRaw<{ packed: Uint8Array }[]>`FETCH ${Prisma.raw(String(FETCHED_VALUES))} FROM listed`;
    for (const { packed } of values) yield unpack(buffer(packed));
    if (values.length < FETCHED_VALUES) break;
  }
  await tx.$executeRaw`CLOSE listed`;
}

function unpack(packed: Buffer): ListedCertificate[] {
  const entries: ListedCertificate[] = [];
  for (let at = 0; at < packed.length; at += PACKED_BYTES) {
    entries.push({
      serial: packed.subarray(at, at + 20),
      revokedAt: new Date(Number(packed.readBigInt64BE(at + 20)) * 1000),
      reason: packed.readInt32BE(at + 28),
    });
  }
  return entries;
}

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

/** Lists that miss a committed change of the feed, or are not there: what a publisher killed in between, or a recovery, left behind. */
export async function staleCrls(db: Db): Promise<CrlName[]> {
  return db.$queryRaw<CrlName[]>`
    SELECT l.issuer_id AS "issuerId", l.shard FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id
    WHERE a.state <> 'retired' AND (l.der IS NULL
      OR EXISTS (SELECT FROM feed_events f WHERE f.n > l.feed_n AND ${concerns(Prisma.sql`l.issuer_id`, Prisma.sql`l.shard`)}))
    ORDER BY l.issuer_id, l.shard`;
}
