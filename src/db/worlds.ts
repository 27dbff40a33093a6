import { REMOVED } from './carried-revocations.ts';
import { buffer, Prisma, type Db, type Tx } from './client.ts';
import { CERTIFICATE_HOLD } from './crls.ts';
import type { AffectedCertificate } from './certificate-status.ts';
import { bucketOfSerial } from '../x509/serial.ts';

/** How far a world has come: its last numbers, and what tells the same number of another world from it. */
export interface Standing {
  clusterId: string;
  epoch: number;
  feedN: bigint;
  auditN: bigint;
  /** Id of the last audit event; null before the first. */
  auditId: string | null;
  /** Its time. */
  auditAt: Date | null;
}

/** Undefined before the first start. */
export async function readStanding(db: Db | Tx): Promise<Standing | undefined> {
  const [row] = await db.$queryRaw<Standing[]>`
    SELECT c.id AS "clusterId", c.epoch, f.value AS "feedN", a.value AS "auditN", e.id AS "auditId", e.at AS "auditAt"
    FROM cluster c JOIN counters f ON f.name = 'feed' JOIN counters a ON a.name = 'audit' LEFT JOIN audit_events e ON e.n = a.value`;
  return row;
}

/** Id of the audit event with this number; 'purged' when it and all before it were taken away. Undefined: it is not there, though older ones are. */
export async function auditEventAt(db: Db, n: bigint): Promise<string | undefined> {
  const [row] = await db.$queryRaw<{ id: string | null; oldest: bigint | null }[]>`SELECT (SELECT id FROM audit_events WHERE n = ${n}) AS id, (SELECT min(n) FROM audit_events) AS oldest`;
  if (row?.id) return row.id;
  return row?.oldest == null || row.oldest > n ? 'purged' : undefined;
}

/** Why no Signet may start here. */
export interface UnrecoveredWorld {
  id: string;
  cause: 'restored' | 'set-back';
  notedAt: Date;
  lostFrom: Date;
}

export async function findUnrecovered(db: Db | Tx): Promise<UnrecoveredWorld | undefined> {
  const row = await db.world.findFirst({ where: { recoveredAt: null } });
  return row === null ? undefined : { id: row.id, cause: row.cause as UnrecoveredWorld['cause'], notedAt: row.notedAt, lostFrom: row.lostFrom };
}

export interface NewWorld {
  id: string;
  cause: UnrecoveredWorld['cause'];
  notedAt: Date;
  detail: Prisma.InputJsonObject;
}

/** Notes that the database was set back to where it stands; false when that is noted already. From the commit on no Signet starts on it. */
export async function insertUnrecovered(tx: Tx, world: NewWorld): Promise<boolean> {
  const inserted = await tx.$executeRaw`
    INSERT INTO worlds (id, cause, noted_at, lost_from, after_feed_n, after_audit_n, detail)
    SELECT ${world.id}, ${world.cause}, ${world.notedAt}, coalesce(e.at, c.created_at), f.value, a.value, ${JSON.stringify(world.detail)}::jsonb
    FROM cluster c JOIN counters f ON f.name = 'feed' JOIN counters a ON a.name = 'audit' LEFT JOIN audit_events e ON e.n = a.value
    ON CONFLICT DO NOTHING`;
  return inserted === 1;
}

/** The next epoch begins: numbers given from here on in this transaction are of the new world. Returns its epoch. */
export async function beginWorld(tx: Tx, worldId: string, times: { lostTo: Date; recoveredAt: Date }, detail: Prisma.InputJsonObject): Promise<number> {
  const [cluster] = await tx.$queryRaw<{ epoch: number }[]>`UPDATE cluster SET epoch = epoch + 1 RETURNING epoch`;
  if (!cluster) throw new Error('there is no cluster');
  const { count } = await tx.world.updateMany({ where: { id: worldId, recoveredAt: null }, data: { epoch: cluster.epoch, lostTo: times.lostTo, recoveredAt: times.recoveredAt, detail } });
  if (count !== 1) throw new Error('the world to recover is gone');
  return cluster.epoch;
}

/**
 * Where the tables physically are: server, database, table. A physical copy (a standby, a disk snapshot) has the same, a restored dump never.
 * Undefined where the server does not tell.
 */
export async function readDatabaseIdentity(db: Db): Promise<string | undefined> {
  try {
    const [row] = await db.$queryRaw<{ identity: string }[]>`
      SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()), (SELECT oid FROM pg_database WHERE datname = current_database()), 'cluster'::regclass::oid) AS identity`;
    return row?.identity;
  } catch {
    return undefined;
  }
}

/** The identity noted in the database; null when none was noted yet. */
export async function notedDatabaseIdentity(db: Db): Promise<string | null> {
  return (await db.cluster.findFirst())?.databaseIdentity ?? null;
}

export async function noteDatabaseIdentity(db: Db | Tx, identity: string): Promise<void> {
  await db.cluster.updateMany({ data: { databaseIdentity: identity } });
}

/** An entry of a list that was published in the lost window. */
export interface EvidenceEntry {
  issuerId: string;
  serial: Uint8Array;
  revokedAt: Date;
  /** CRLReason. */
  reason: number;
  /** Of the certificate, if this database does not know it. */
  shard: number;
  /** The latest end it can have. */
  notAfter: Date;
}

const EVIDENCE_CHUNK = 10_000;

/** Lays entries beside the tables for the statements below, to the end of the transaction. A revocation counts before a hold. */
export async function layEvidence(tx: Tx, entries: readonly EvidenceEntry[]): Promise<void> {
  await tx.$executeRaw`
    CREATE TEMPORARY TABLE evidence (issuer_id text, serial bytea, bucket integer, revoked_at timestamptz(3), reason integer, shard integer, not_after timestamptz(3), PRIMARY KEY (serial, issuer_id)) ON COMMIT DROP`;
  for (let at = 0; at < entries.length; at += EVIDENCE_CHUNK) {
    const batch = entries.slice(at, at + EVIDENCE_CHUNK).map((e) => ({
      issuer_id: e.issuerId, serial: `\\x${buffer(e.serial).toString('hex')}`, bucket: bucketOfSerial(e.serial), revoked_at: e.revokedAt, reason: e.reason, shard: e.shard, not_after: e.notAfter,
    }));
    await tx.$executeRaw`
      INSERT INTO evidence SELECT DISTINCT ON (v.serial, v.issuer_id) v.* FROM json_to_recordset(${JSON.stringify(batch)}::json) AS v (
        issuer_id text, serial bytea, bucket integer, revoked_at timestamptz, reason integer, shard integer, not_after timestamptz)
      ORDER BY v.serial, v.issuer_id, v.reason = ${CERTIFICATE_HOLD}::int
      ON CONFLICT (serial, issuer_id) DO UPDATE SET revoked_at = excluded.revoked_at, reason = excluded.reason
        WHERE evidence.reason = ${CERTIFICATE_HOLD}::int AND excluded.reason <> ${CERTIFICATE_HOLD}::int`;
  }
  await tx.$executeRaw`ANALYZE evidence`;
}

interface AffectedRow {
  serial: Uint8Array;
  issuer_id: string;
  shard: number;
  agent_id: string;
  instance_id: string;
  reason: number;
}

const affected = (row: AffectedRow): AffectedCertificate & { reason: number } => ({
  serial: buffer(row.serial), issuerId: row.issuer_id, shard: row.shard, agentId: row.agent_id, instanceId: row.instance_id, reason: row.reason,
});

/** Revokes what the evidence revokes and this database does not, with the list's date and reason, and blocks the keys. */
export async function replayRevocations(tx: Tx, now: Date): Promise<(AffectedCertificate & { reason: number })[]> {
  const rows = await tx.$queryRaw<AffectedRow[]>`
    WITH target AS MATERIALIZED (
      SELECT c.bucket, c.serial, e.revoked_at, e.reason FROM evidence e JOIN certificates c ON c.bucket = e.bucket AND c.serial = e.serial AND c.issuer_id = e.issuer_id
      WHERE e.reason <> ${CERTIFICATE_HOLD}::int AND c.revoked_at IS NULL ORDER BY c.serial FOR UPDATE OF c),
    changed AS (
      UPDATE certificates c SET revoked_at = t.revoked_at, revocation_reason = t.reason FROM target t WHERE c.bucket = t.bucket AND c.serial = t.serial
      RETURNING c.serial, c.issuer_id, c.shard, c.agent_id, c.instance_id, t.reason, c.key_hash),
    blocked AS (UPDATE public_keys k SET blocked_at = ${now} FROM changed WHERE k.key_hash = changed.key_hash AND k.blocked_at IS NULL)
    SELECT serial, issuer_id, shard, agent_id, instance_id, reason FROM changed`;
  return rows.map(affected);
}

/** Holds, by an operator's cause, what the evidence holds and this database thinks good. */
export async function replayHolds(tx: Tx, cause: string): Promise<AffectedCertificate[]> {
  const rows = await tx.$queryRaw<AffectedRow[]>`
    WITH target AS MATERIALIZED (
      SELECT c.bucket, c.serial, e.revoked_at FROM evidence e JOIN certificates c ON c.bucket = e.bucket AND c.serial = e.serial AND c.issuer_id = e.issuer_id
      WHERE e.reason = ${CERTIFICATE_HOLD}::int AND c.revoked_at IS NULL AND c.held_at IS NULL ORDER BY c.serial FOR UPDATE OF c)
    UPDATE certificates c SET hold_causes = ARRAY[${cause}], held_at = t.revoked_at FROM target t WHERE c.bucket = t.bucket AND c.serial = t.serial
    RETURNING c.serial, c.issuer_id, c.shard, c.agent_id, c.instance_id, ${CERTIFICATE_HOLD}::int AS reason`;
  return rows.map(affected);
}

/** Revokes certificates of the authority itself (issuers, responders, TLS) that the evidence revokes. */
export async function replayAuthorityRevocations(tx: Tx): Promise<{ id: string; kind: string; serial: Buffer; reason: number }[]> {
  const rows = await tx.$queryRaw<{ id: string; kind: string; serial: Uint8Array; reason: number }[]>`
    UPDATE authority_certificates a SET revoked_at = e.revoked_at, revocation_reason = e.reason FROM evidence e
    WHERE a.serial = e.serial AND a.issuer_id = e.issuer_id AND a.revoked_at IS NULL AND e.reason <> ${CERTIFICATE_HOLD}::int
    RETURNING a.id, a.kind, a.serial, e.reason`;
  return rows.map((row) => ({ ...row, serial: buffer(row.serial) }));
}

/** Keeps the entries whose certificates this database does not know and that may still live: they stay on lists and in answers until then. */
export async function carryUnknown(tx: Tx, now: Date): Promise<{ serial: Buffer; issuerId: string; shard: number; reason: number }[]> {
  const rows = await tx.$queryRaw<{ serial: Uint8Array; issuerId: string; shard: number; reason: number }[]>`
    INSERT INTO carried_revocations (serial, issuer_id, shard, reason, revoked_at, not_after)
    SELECT e.serial, e.issuer_id, e.shard, e.reason, e.revoked_at, e.not_after FROM evidence e
    WHERE e.not_after >= ${now} AND NOT EXISTS (SELECT FROM certificates c WHERE c.bucket = e.bucket AND c.serial = e.serial)
      AND NOT EXISTS (SELECT FROM authority_certificates a WHERE a.serial = e.serial)
    ON CONFLICT (serial) DO UPDATE SET reason = excluded.reason, revoked_at = excluded.revoked_at
      WHERE carried_revocations.reason IN (${CERTIFICATE_HOLD}::int, ${REMOVED}::int) AND excluded.reason <> carried_revocations.reason
    RETURNING serial, issuer_id AS "issuerId", shard, reason`;
  return rows.map((row) => ({ ...row, serial: buffer(row.serial) }));
}

/** Forgets carried revocations of certificates that ended before: they stood on a list since. Needs the owner role. */
export const dropCarried = (ownerDb: Db | Tx, endedBefore: Date): Promise<number> => ownerDb.$executeRaw`DELETE FROM carried_revocations WHERE not_after < ${endedBefore}`;

/** Ends every join token that could still be spent: it may have been, in what was lost. */
export async function voidJoinTokens(tx: Tx, now: Date): Promise<{ id: string; agentId: string }[]> {
  return tx.$queryRaw<{ id: string; agentId: string }[]>`
    UPDATE join_tokens SET expires_at = ${now} WHERE used_at IS NULL AND expires_at > ${now} RETURNING id, agent_id AS "agentId"`;
}

/** A list as the database last published it. */
export interface ListStanding {
  issuerId: string;
  shard: number;
  number: bigint;
  thisUpdate: Date | null;
  /** Of a retired issuer or root: nobody publishes another. */
  isLast: boolean;
}

export const readListStandings = (db: Db | Tx): Promise<ListStanding[]> =>
  db.$queryRaw<ListStanding[]>`
    SELECT l.issuer_id AS "issuerId", l.shard, l.number, l.this_update AS "thisUpdate", a.state = 'retired' AS "isLast"
    FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id ORDER BY l.issuer_id, l.shard`;

/** Moves a list on to `number`, after which the next is published; the stored one, of an older world, is taken away. What that world published last is not known here, but was valid for no longer from now on. */
export async function moveList(tx: Tx, list: Pick<ListStanding, 'issuerId' | 'shard' | 'number' | 'thisUpdate'>): Promise<void> {
  await tx.$executeRaw`
    UPDATE crls SET number = ${list.number}, this_update = ${list.thisUpdate}::timestamptz, next_update = NULL, entries = 0, octets = NULL,
      latest_end = greatest(latest_end, clock_timestamp() + (next_update - this_update)) WHERE issuer_id = ${list.issuerId} AND shard = ${list.shard}`;
  await tx.$executeRaw`DELETE FROM crl_parts WHERE issuer_id = ${list.issuerId} AND shard = ${list.shard}`;
}

/** A certificate that signs lists: root or issuing, whatever its state. */
export interface ListSigner {
  id: string;
  der: Buffer;
  shardCount: number;
  notAfter: Date;
}

export async function readListSigners(db: Db | Tx): Promise<ListSigner[]> {
  const rows = await db.authorityCertificate.findMany({ where: { kind: { in: ['root', 'issuing'] } }, select: { id: true, der: true, shardCount: true, notAfter: true }, orderBy: { id: 'asc' } });
  return rows.map((row) => ({ ...row, der: buffer(row.der) }));
}

/** For one statement: what a replica compares twice a second with what it remembers. */
export interface FeedStanding {
  clusterId: string | null;
  epoch: number | null;
  feedN: bigint;
  auditN: bigint;
  /** Time of the event with the number asked for; null when it is not there (any more). */
  at: Date | null;
  unrecovered: boolean;
  /** The database's clock when the question reached it: what was committed before is in the answer. */
  now: Date;
}

export async function readFeedStanding(db: Db, n: bigint): Promise<FeedStanding> {
  const [row] = await db.$queryRaw<FeedStanding[]>`
    SELECT c.id AS "clusterId", c.epoch, f.value AS "feedN", a.value AS "auditN", (SELECT e.at FROM feed_events e WHERE e.n = ${n}) AS at, EXISTS (SELECT FROM worlds w WHERE w.recovered_at IS NULL) AS unrecovered, now() AS now
    FROM counters f JOIN counters a ON a.name = 'audit' LEFT JOIN cluster c ON true WHERE f.name = 'feed'`;
  if (!row) throw new Error('the feed counter is missing');
  return row;
}
