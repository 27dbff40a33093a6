import { buffer, bytes, type Db } from './client.ts';

/** An event as it is logged. */
export interface LoggedEventRow {
  n: bigint;
  id: string;
  at: Date;
  /** Canonical bytes. */
  event: Buffer;
}

interface Row extends Omit<LoggedEventRow, 'event'> {
  event: Uint8Array;
}
const record = (row: Row): LoggedEventRow => ({ n: row.n, id: row.id, at: row.at, event: buffer(row.event) });
const COLUMNS = { n: true, id: true, at: true, event: true } as const;

/** The event with this id or number. */
export async function findLoggedEvent(db: Db, which: { id: string } | { n: bigint }): Promise<LoggedEventRow | undefined> {
  const row = await db.auditEvent.findUnique({ where: 'n' in which ? { n: which.n } : { id: which.id }, select: COLUMNS });
  return row === null ? undefined : record(row);
}

/** Whether the event of this number was purged: only its hash is left. */
export async function isPurged(db: Db, n: bigint): Promise<boolean> {
  const row = await db.auditLeafHashes.findFirst({ where: { firstN: { lte: n }, lastN: { gte: n } }, select: { firstN: true } });
  return row !== null;
}

/** The event of the issuance of a certificate, by its serial. */
export async function findIssuanceEvent(db: Db, serial: Uint8Array): Promise<LoggedEventRow | undefined> {
  const row = await db.auditEvent.findFirst({ where: { serial: bytes(serial), kind: { in: ['certificate.issued', 'certificate.renewed'] }, outcome: 'success' }, select: COLUMNS, orderBy: { n: 'asc' } });
  return row === null ? undefined : record(row);
}

/** At most so many events are looked at for one that made a token: as many as there are in the moments around its time. */
const MAX_LOOKED_AT = 10_000;

/** Events of these kinds from `from` to `to`, for something that is told only in their bytes. */
export async function findEventsAround(db: Db, kinds: string[], from: Date, to: Date): Promise<LoggedEventRow[]> {
  const rows = await db.auditEvent.findMany({ where: { at: { gte: from, lte: to }, kind: { in: kinds } }, select: COLUMNS, orderBy: { n: 'asc' }, take: MAX_LOOKED_AT });
  return rows.map(record);
}

/** A leaf certificate that is kept. */
export interface KeptCertificate {
  serial: Buffer;
  issuerId: string;
  der: Buffer;
}

/** Serial of the leaf certificate whose DER has this SHA-256, of those that are kept. */
export async function findLeafByFingerprint(db: Db, fingerprint: Uint8Array): Promise<Buffer | undefined> {
  const [row] = await db.$queryRaw<{ serial: Uint8Array }[]>`SELECT serial FROM certificates WHERE fingerprint = ${bytes(fingerprint)} LIMIT 1`;
  return row && buffer(row.serial);
}
