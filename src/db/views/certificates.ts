import { bucketOf, bucketOfSerial } from '../../x509/serial.ts';
import { buffer, bytes, Prisma, type Db } from '../client.ts';
import { allOf, when } from './conditions.ts';
import { BUCKET_KEY, pageOf, readCursor, SERIAL_KEY, TIME_KEY, type Page, type PageRequest } from './cursor.ts';

/** A leaf certificate as it is recorded. "Expired" is not: that is for the clock to say. */
export interface CertificateView {
  serial: Buffer;
  /** Partition: UTC day of notAfter since 1970. */
  bucket: number;
  issuerId: string;
  agentId: string;
  instanceId: string;
  profile: string;
  generation: number;
  /** SHA-256 of the DER. */
  fingerprint: Buffer;
  /** SHA-256 of the SubjectPublicKeyInfo. */
  keyHash: Buffer;
  der: Buffer;
  notBefore: Date;
  notAfter: Date;
  issuedAt: Date;
  presentedAt: Date | null;
  supersededBy: Buffer | null;
  revokedAt: Date | null;
  /** CRLReason (RFC 5280 §5.3.1). */
  revocationReason: number | null;
  heldAt: Date | null;
}

/** Filters of the list of certificates; all that are given must hold. */
export interface CertificateFilters {
  agentId?: string;
  instanceId?: string;
  issuerId?: string;
  profile?: string;
  /** At the time asked for: revoked stays revoked, expired wins over held. */
  status?: 'good' | 'held' | 'revoked' | 'expired';
  expiresBefore?: Date;
  expiresAfter?: Date;
  issuedAfter?: Date;
  issuedBefore?: Date;
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hexadecimal. */
  keyHash?: string;
}

type Row = { [K in keyof CertificateView]: CertificateView[K] extends Buffer ? Uint8Array : CertificateView[K] extends Buffer | null ? Uint8Array | null : CertificateView[K] };

const columns = Prisma.sql`
  c.serial, c.bucket, c.issuer_id AS "issuerId", c.agent_id AS "agentId", c.instance_id AS "instanceId", c.profile, c.generation, c.fingerprint,
  c.key_hash AS "keyHash", c.der, c.not_before AS "notBefore", c.not_after AS "notAfter", c.issued_at AS "issuedAt", c.presented_at AS "presentedAt",
  c.superseded_by AS "supersededBy", c.revoked_at AS "revokedAt", c.revocation_reason AS "revocationReason", c.held_at AS "heldAt"`;

/** The certificate with this serial (20 octets), or undefined. Touches one partition. */
export async function findCertificateView(db: Db, serial: Uint8Array): Promise<CertificateView | undefined> {
  const [row] = await db.$queryRaw<Row[]>`SELECT ${columns} FROM certificates c WHERE c.bucket = ${bucketOfSerial(serial)} AND c.serial = ${bytes(serial)}`;
  return row && view(row);
}

/**
 * One page of certificates. Those of one agent, instance or key come in the order of issue; any wider list comes in the order of the partitions (day of
 * expiry, then serial), which the primary key gives without a sort: a page costs the same at 10⁸ rows.
 * @throws SignetError `cursor-invalid`, `cursor-mismatch`
 */
export async function listCertificateViews(db: Db, filters: CertificateFilters, page: PageRequest & { now: Date }): Promise<Page<CertificateView>> {
  const narrow = filters.agentId !== undefined || filters.instanceId !== undefined || filters.keyHash !== undefined;
  const query = { list: 'certificates', filters, key: [narrow ? TIME_KEY : BUCKET_KEY, SERIAL_KEY] };
  const after = readCursor(query, page.cursor);
  const order = narrow ? Prisma.sql`c.issued_at, c.serial` : Prisma.sql`c.bucket, c.serial`;
  const rows = await db.$queryRaw<Row[]>`
    SELECT ${columns} FROM certificates c
    WHERE ${allOf([when(after, (key) => behind(key, narrow)), ...conditions(filters, page.now)])}
    ORDER BY ${order} LIMIT ${page.limit + 1}`;
  return pageOf(query, rows.map(view), page.limit, (c) => [String(narrow ? c.issuedAt.getTime() : c.bucket), c.serial.toString('hex')]);
}

/** Rows behind a key. The first comparison is implied by the row comparison, and lets the planner leave partitions out. */
function behind([first = '', serial = '']: string[], narrow: boolean): Prisma.Sql {
  const octets = bytes(Buffer.from(serial, 'hex'));
  if (narrow) return Prisma.sql`(c.issued_at, c.serial) > (${new Date(Number(first))}::timestamptz, ${octets}::bytea)`;
  return Prisma.sql`c.bucket >= ${Number(first)} AND (c.bucket, c.serial) > (${Number(first)}::int, ${octets}::bytea)`;
}

/** Every bound on the time of expiry is one on the bucket too, so that other partitions are not touched. */
function conditions(filters: CertificateFilters, now: Date): (Prisma.Sql | undefined)[] {
  return [
    when(filters.agentId, (id) => Prisma.sql`c.agent_id = ${id}`),
    when(filters.instanceId, (id) => Prisma.sql`c.instance_id = ${id}`),
    when(filters.issuerId, (id) => Prisma.sql`c.issuer_id = ${id}`),
    when(filters.profile, (profile) => Prisma.sql`c.profile = ${profile}`),
    when(filters.keyHash, (hash) => Prisma.sql`c.key_hash = ${bytes(Buffer.from(hash, 'hex'))}`),
    when(filters.status, (status) => hasStatus(status, now)),
    when(filters.expiresBefore, (at) => Prisma.sql`c.not_after < ${at} AND c.bucket <= ${bucketOf(at)}`),
    when(filters.expiresAfter, (at) => Prisma.sql`c.not_after > ${at} AND c.bucket >= ${bucketOf(at)}`),
    // What was issued after a moment expires after it.
    when(filters.issuedAfter, (at) => Prisma.sql`c.issued_at > ${at} AND c.bucket >= ${bucketOf(at)}`),
    when(filters.issuedBefore, (at) => Prisma.sql`c.issued_at < ${at}`),
  ];
}

/** As revocation/status.ts says it of one serial; validity includes notAfter (RFC 5280 §4.1.2.5). */
function hasStatus(status: NonNullable<CertificateFilters['status']>, now: Date): Prisma.Sql {
  const live = Prisma.sql`c.revoked_at IS NULL AND c.not_after >= ${now} AND c.bucket >= ${bucketOf(now)}`;
  switch (status) {
    case 'revoked':
      return Prisma.sql`c.revoked_at IS NOT NULL`;
    case 'expired':
      return Prisma.sql`c.revoked_at IS NULL AND c.not_after < ${now} AND c.bucket <= ${bucketOf(now)}`;
    case 'held':
      return Prisma.sql`${live} AND c.held_at IS NOT NULL`;
    case 'good':
      return Prisma.sql`${live} AND c.held_at IS NULL`;
  }
}

function view(row: Row): CertificateView {
  return {
    ...row,
    serial: buffer(row.serial),
    fingerprint: buffer(row.fingerprint),
    keyHash: buffer(row.keyHash),
    der: buffer(row.der),
    supersededBy: row.supersededBy && buffer(row.supersededBy),
  };
}
