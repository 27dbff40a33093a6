import { REMOVED } from './carried-revocations.ts';
import { literal, runHot, type Db, type HotStatement, type HotTx } from './client.ts';
import { bucketOf } from '../x509/serial.ts';

/** Shard number of the complete CRL of an issuer. */
export const COMPLETE = -1;

/** A list by name. */
export interface CrlName {
  issuerId: string;
  shard: number;
}

/** What is known of a published list without its octets. */
export interface ListFacts {
  number: bigint;
  thisUpdate: Date;
  nextUpdate: Date;
  entries: number;
  /** Length of the list. */
  octets: number;
}

/** What a list cost. */
export interface ListBuild {
  entries: number;
  /** Milliseconds that building and storing it took. */
  buildMs: number;
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
  /** The clock of the database, which all publishers share. */
  databaseNow: Date;
  /** The stored list, and how long ago it was stored by the clock of the database (negative when that was set back); undefined without one. */
  last: (ListBuild & { ageMs: number }) | undefined;
}

/**
 * Takes a certificate that belongs on a list: its serial lies in `bytes` from `from` to `to`, time in milliseconds since 1970, CRLReason (certificateHold for a
 * hold). An object for each of a million would cost more than the list.
 */
export type TakeListed = (bytes: Buffer, from: number, to: number, revokedAtMs: number, reason: number) => void;

/** CRLReason of a hold (RFC 5280 §5.3.1). */
export const CERTIFICATE_HOLD = 6;

/** A feed row `f` that changes the list of `issuer` and `shard` (SQL). Rows without an issuer may concern any list. */
const concerns = (issuer: string, shard: string): string => `f.serial IS NOT NULL AND (f.issuer_id IS NULL OR f.issuer_id = ${issuer} AND (${shard} = ${COMPLETE} OR f.shard = ${shard}))`;

const LOCK: HotStatement = {
  name: 'lock-crl',
  text: 'SELECT number, this_update AS "thisUpdate", feed_n AS "feedN", octets IS NULL AS missing, entries, build_ms AS "buildMs", stored_at AS "storedAt" FROM crls WHERE issuer_id = $1 AND shard = $2 FOR UPDATE',
};
const LOOK_AT_FEED: HotStatement = {
  name: 'look-at-feed-for-crl',
  text: `SELECT value, clock_timestamp() AS now, EXISTS (SELECT FROM feed_events f WHERE f.n > $3 AND ${concerns('$1', '$2::int')}) AS stale FROM counters WHERE name = 'feed'`,
};

/**
 * Locks the row of a list, then looks at the feed. The lock is a statement of its own: only later statements see what was committed
 * while it was waited for (invariant 6: lock, number, read). Undefined when there is no such list.
 */
export async function lockCrl(tx: HotTx, { issuerId, shard }: CrlName): Promise<LockedCrl | undefined> {
  const [locked] = await tx.run<LockedRow>(LOCK, [issuerId, shard]);
  if (!locked) return undefined;
  const { number, thisUpdate, feedN, missing, entries, buildMs, storedAt } = locked;
  const [feed] = await tx.run<{ value: string; now: Date; stale: boolean }>(LOOK_AT_FEED, [issuerId, shard, feedN]);
  if (!feed) throw new Error('the feed counter is missing');
  return {
    number: BigInt(number), thisUpdate, stale: feed.stale || missing, feedN: BigInt(feed.value), databaseNow: feed.now,
    last: missing || storedAt === null ? undefined : { entries, buildMs, ageMs: feed.now.getTime() - storedAt.getTime() },
  };
}

interface LockedRow {
  number: string;
  thisUpdate: Date | null;
  feedN: string;
  missing: boolean;
  entries: number;
  buildMs: number;
  storedAt: Date | null;
}

const TAKE_NUMBER: HotStatement = { name: 'take-crl-number', text: 'UPDATE crls SET number = number + 1 WHERE issuer_id = $1 AND shard = $2 RETURNING number' };

/** Takes the next number of a locked list. Rolled back with the transaction, so no number is lost or used twice. */
export async function takeCrlNumber(tx: HotTx, { issuerId, shard }: CrlName): Promise<bigint> {
  const [row] = await tx.run<{ number: string }>(TAKE_NUMBER, [issuerId, shard]);
  if (!row) throw new Error('the list is gone');
  return BigInt(row.number);
}

export interface ListSelector extends CrlName {
  /** Certificates that expired before this are left out. */
  expiredBefore: Date;
}

/**
 * Revoked and held certificates of a list in no particular order, with what a restored database carries over. Certificates of the authority
 * itself are on complete lists only. One statement: as of one moment.
 * It reads one index and nothing else, and comes as COPY's binary rows: rows of a result cost ten times as much here, and a page of the table each there
 * (docs/performance.md). The event loop is free between two chunks of the socket (64 KiB).
 */
export async function readListed(tx: HotTx, select: ListSelector, take: TakeListed, afterChunk: () => Promise<void>): Promise<void> {
  const rows = createRowReader(take);
  for await (const chunk of tx.copyOut(listedSql(select))) {
    rows.read(chunk);
    await afterChunk();
  }
  rows.end();
}

function listedSql({ issuerId, shard, expiredBefore }: ListSelector): string {
  const issuer = literal(issuerId);
  const ended = `${literal(expiredBefore.toISOString())}::timestamptz`;
  const ofShard = shard === COMPLETE ? '' : `AND shard = ${Number(shard)}`;
  const certificates = `
    SELECT serial, coalesce(revoked_at, held_at) AS at, CASE WHEN revoked_at IS NULL THEN ${CERTIFICATE_HOLD} ELSE coalesce(revocation_reason, 0) END AS reason FROM certificates
    WHERE issuer_id = ${issuer} ${ofShard} AND (revoked_at IS NOT NULL OR held_at IS NOT NULL) AND bucket >= ${bucketOf(expiredBefore)} AND not_after >= ${ended}`;
  const carried = `SELECT serial, revoked_at, reason FROM carried_revocations WHERE issuer_id = ${issuer} ${ofShard} AND reason <> ${REMOVED} AND not_after >= ${ended}`;
  const authority = `
    SELECT serial, revoked_at, coalesce(revocation_reason, 0) FROM authority_certificates WHERE issuer_id = ${issuer} AND id <> ${issuer} AND revoked_at IS NOT NULL AND not_after >= ${ended}`;
  return [certificates, carried, ...(shard === COMPLETE ? [authority] : [])].join(' UNION ALL ');
}

/** COPY's signature, flags, and the length of the header's extension, which is empty. */
const COPY_HEADER_BYTES = 19;
/** 2000-01-01, where PostgreSQL's time begins. */
const POSTGRES_EPOCH_MS = 946_684_800_000;
const ROW_FIELDS = 3;
/** What a row has around its serial: number of fields (2), their lengths (4 each), time (8), reason (4). */
const ROW_BYTES = 26;

/** Reads rows (serial bytea, at timestamptz, reason integer) of COPY's binary format (PostgreSQL's documentation of COPY) from chunks that may end anywhere. */
function createRowReader(take: TakeListed) {
  let left: Buffer = Buffer.alloc(0);
  let inHeader = true;
  let ended = false;
  return {
    read(chunk: Buffer): void {
      const bytes = left.length === 0 ? chunk : Buffer.concat([left, chunk]);
      let at = inHeader ? COPY_HEADER_BYTES : 0;
      if (bytes.length >= at) inHeader = false;
      while (!ended && bytes.length - at >= 2) {
        const fields = bytes.readInt16BE(at);
        ended = fields === -1;
        if (ended || bytes.length - at < ROW_BYTES) break;
        if (fields !== ROW_FIELDS) throw new Error('a row of a list is not as it was asked for');
        const length = bytes.readInt32BE(at + 2);
        if (bytes.length - at < ROW_BYTES + length) break;
        const afterSerial = at + 6 + length;
        // Microseconds of two centuries fit a number.
        const micros = bytes.readInt32BE(afterSerial + 4) * 2 ** 32 + bytes.readUInt32BE(afterSerial + 8);
        take(bytes, at + 6, afterSerial, Math.floor(micros / 1000) + POSTGRES_EPOCH_MS, bytes.readInt32BE(afterSerial + 16));
        at += ROW_BYTES + length;
      }
      left = inHeader ? bytes : bytes.subarray(at);
    },
    /** @throws Error when rows are missing: what is short must never be signed */
    end(): void {
      if (!ended) throw new Error('a list was not read to its end');
    },
  };
}

const STORE_PART: HotStatement = { name: 'store-crl-part', text: 'INSERT INTO crl_parts (issuer_id, shard, number, part, octets) VALUES ($1, $2, $3, $4, $5)' };

/** Stores one part of the list under the number that was taken for it. */
export async function storeCrlPart(tx: HotTx, { issuerId, shard }: CrlName, number: bigint, part: number, octets: Buffer): Promise<void> {
  await tx.run(STORE_PART, [issuerId, shard, number, part, octets]);
}

const STORE: HotStatement = {
  name: 'store-crl',
  text: `
    WITH older AS (DELETE FROM crl_parts WHERE issuer_id = $1 AND shard = $2 AND number < $3)
    UPDATE crls SET this_update = $4, next_update = $5, entries = $6, octets = $7, feed_n = $8, build_ms = $9, stored_at = clock_timestamp(), latest_end = greatest(latest_end, $5)
    WHERE issuer_id = $1 AND shard = $2 AND number = $3 RETURNING latest_end AS "latestEnd"`,
};

/** Makes the stored parts of this number the list; returns the latest nextUpdate that a list of this name was ever published with. @throws Error when the row holds another number: then two publishers met */
export async function storeCrl(tx: HotTx, { issuerId, shard }: CrlName, list: ListFacts & ListBuild & { feedN: bigint }): Promise<Date> {
  const [stored] = await tx.run<{ latestEnd: Date }>(STORE, [issuerId, shard, list.number, list.thisUpdate, list.nextUpdate, list.entries, list.octets, list.feedN, list.buildMs]);
  if (!stored) throw new Error(`CRL ${issuerId}/${shard} no longer has number ${list.number}`);
  return stored.latestEnd;
}

const NEWER: HotStatement = {
  name: 'newer-crl',
  text: `
    SELECT l.number, l.this_update AS "thisUpdate", l.next_update AS "nextUpdate", l.entries, l.octets, p.octets AS first
    FROM crls l JOIN crl_parts p ON p.issuer_id = l.issuer_id AND p.shard = l.shard AND p.number = l.number AND p.part = 0
    WHERE l.issuer_id = $1 AND l.shard = $2 AND l.number > $3 AND l.octets IS NOT NULL`,
};
const PART: HotStatement = { name: 'crl-part', text: 'SELECT octets FROM crl_parts WHERE issuer_id = $1 AND shard = $2 AND number = $3 AND part = $4' };

/** A list as it is stored: what is known of it, and its parts as they are asked for. */
export interface StoredCrl extends ListFacts {
  /** @throws ListReplaced when a newer list has taken its place meanwhile */
  parts: AsyncIterable<Buffer>;
}

/** The list that was being read is no longer there: there is a newer one. */
export class ListReplaced extends Error {}

/** The published list if its number is above `known`; 'unchanged' when it is not; undefined when there is none. */
export async function readCrl(db: Db, name: CrlName, known: bigint): Promise<StoredCrl | 'unchanged' | undefined> {
  const [row] = await runHot<{ number: string; thisUpdate: Date; nextUpdate: Date; entries: number; octets: number; first: Buffer }>(db, NEWER, [name.issuerId, name.shard, known]);
  if (!row) return known > 0n ? 'unchanged' : undefined;
  const facts: ListFacts = { number: BigInt(row.number), thisUpdate: row.thisUpdate, nextUpdate: row.nextUpdate, entries: row.entries, octets: row.octets };
  return { ...facts, parts: partsOf(db, name, facts, row.first) };
}

async function* partsOf(db: Db, { issuerId, shard }: CrlName, { number, octets }: ListFacts, first: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield first;
  for (let part = 1, read = first.length; read < octets; part++) {
    const [row] = await runHot<{ octets: Buffer }>(db, PART, [issuerId, shard, number, part]);
    if (!row) throw new ListReplaced(`list ${issuerId}/${shard} has a higher number than ${number} by now`);
    read += row.octets.length;
    yield row.octets;
  }
}

const STALE: HotStatement = {
  name: 'stale-crls',
  text: `
    SELECT l.issuer_id AS "issuerId", l.shard FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id
    WHERE a.state <> 'retired' AND (l.octets IS NULL OR EXISTS (SELECT FROM feed_events f WHERE f.n > l.feed_n AND ${concerns('l.issuer_id', 'l.shard')}))
    ORDER BY l.issuer_id, l.shard`,
};

/** Lists that miss a committed change of the feed, or are not there: what a publisher killed in between, or a recovery, left behind. */
export const staleCrls = (db: Db): Promise<CrlName[]> => runHot<{ issuerId: string; shard: number }>(db, STALE, []);
