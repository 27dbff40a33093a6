import { buffer, bytes, type Db, type Tx } from './client.ts';
import { COMPLETE } from './crls.ts';
import { ADVISORY_LOCK, LOCK_CLASS } from './advisory-locks.ts';

/** Postgres channel that says the authority changed. */
export const AUTHORITIES_CHANNEL = 'signet_authorities';

export type AuthorityKind = 'root' | 'cross' | 'issuing' | 'ocsp' | 'tls' | 'feed';
export type StoredState = 'prepared' | 'active' | 'retiring' | 'retired';

/** A certificate of the CA itself. */
export interface AuthorityRecord {
  id: string;
  kind: AuthorityKind;
  state: StoredState;
  /** Signer; null for a root. */
  issuerId: string | null;
  serial: Buffer;
  /** SHA-256 of `der`. */
  fingerprint: Buffer;
  /** RFC 4514. */
  subject: string;
  ski: Buffer;
  keyId: string;
  algorithm: string;
  der: Buffer;
  shardCount: number;
  notBefore: Date;
  notAfter: Date;
  createdAt: Date;
  activatedAt: Date | null;
  retiringAt: Date | null;
  revokedAt: Date | null;
}

/** All that is not retired, oldest first. */
export async function liveAuthorities(db: Db | Tx): Promise<AuthorityRecord[]> {
  const rows = await db.authorityCertificate.findMany({ where: { state: { not: 'retired' } }, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] });
  return rows.map((row) => ({
    ...row,
    kind: row.kind as AuthorityKind,
    state: row.state as StoredState,
    serial: buffer(row.serial),
    fingerprint: buffer(row.fingerprint),
    ski: buffer(row.ski),
    der: buffer(row.der),
  }));
}

/** What the certificate with this serial is of the CA itself; undefined for any other. */
export async function authorityKindOf(db: Db | Tx, serial: Uint8Array): Promise<AuthorityKind | undefined> {
  const row = await db.authorityCertificate.findUnique({ where: { serial: bytes(serial) }, select: { kind: true } });
  return row?.kind as AuthorityKind | undefined;
}

/** What tells two states of the authority apart, cheap enough to ask every 2 s; and the number of changes of the set of roots so far. */
export async function authorityVersion(db: Db | Tx): Promise<{ version: string; bundleSequence: number }> {
  const [row] = await db.$queryRaw<{ version: string | null; sequence: bigint }[]>`
    SELECT string_agg(id || ' ' || state || ' ' || coalesce(revoked_at::text, ''), ',' ORDER BY id) FILTER (WHERE state <> 'retired') AS version,
      count(*) FILTER (WHERE kind = 'root') + count(*) FILTER (WHERE kind = 'root' AND state = 'retired') AS sequence
    FROM authority_certificates`;
  return { version: row?.version ?? '', bundleSequence: Number(row?.sequence ?? 0n) };
}

/**
 * Makes changes of the authority take turns, to the end of the transaction. Issuance is not held up.
 * Take it before `lockIssuance`.
 */
export async function lockAuthorityChanges(tx: Tx): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${LOCK_CLASS}::int, ${ADVISORY_LOCK.authorityChanges}::int)`;
}

/** The issuance gate, exclusive: waits for the batches in flight and holds up later ones to the end of the transaction (DESIGN §2). */
export async function lockIssuance(tx: Tx): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${LOCK_CLASS}::int, ${ADVISORY_LOCK.issuanceGate}::int)`;
}

/** Stores certificates and makes the rows of their CRLs: the complete list of every CA, and its shards where there are several. */
export async function insertAuthorities(tx: Tx, records: readonly AuthorityRecord[]): Promise<void> {
  await tx.authorityCertificate.createMany({
    data: records.map((record) => ({
      ...record,
      serial: bytes(record.serial),
      fingerprint: bytes(record.fingerprint),
      ski: bytes(record.ski),
      der: bytes(record.der),
    })),
  });
  const lists = records
    .filter((record) => record.kind === 'root' || record.kind === 'issuing')
    .flatMap((record) => [COMPLETE, ...(record.shardCount > 1 ? Array.from({ length: record.shardCount }, (_, shard) => shard) : [])].map((shard) => ({ issuerId: record.id, shard })));
  if (lists.length > 0) await tx.crl.createMany({ data: lists });
}

/** Moves one certificate from a state to the next; false when it was not in that state. */
export async function moveAuthority(tx: Tx, id: string, from: StoredState, to: StoredState, now: Date): Promise<boolean> {
  const stamp = to === 'active' ? { activatedAt: now } : to === 'retiring' ? { retiringAt: now } : to === 'retired' ? { retiredAt: now } : {};
  const { count } = await tx.authorityCertificate.updateMany({ where: { id, state: from }, data: { state: to, ...stamp } });
  return count === 1;
}

/** Retires certificates whatever state they are in; returns how many were not retired before. */
export async function retireAll(tx: Tx, ids: readonly string[], now: Date): Promise<number> {
  const { count } = await tx.authorityCertificate.updateMany({ where: { id: { in: [...ids] }, state: { not: 'retired' } }, data: { state: 'retired', retiredAt: now } });
  return count;
}

/** True when every list of the issuer has been published at least once. */
export async function listsPublished(tx: Tx | Db, issuerId: string): Promise<boolean> {
  return (await tx.crl.count({ where: { issuerId, octets: null } })) === 0;
}

/** Wakes every replica at the commit of this transaction. */
export async function notifyAuthorities(tx: Tx): Promise<void> {
  await tx.$executeRaw`SELECT pg_notify(${AUTHORITIES_CHANNEL}, '')`;
}

/** Whether there is or was an issuer with this id. */
export const isIssuer = async (db: Db, id: string): Promise<boolean> => (await db.authorityCertificate.findFirst({ where: { id, kind: 'issuing' }, select: { id: true } })) !== null;
