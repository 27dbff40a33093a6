import { bucketOf, bucketOfSerial } from '../../x509/serial.ts';
import { buffer, bytes, Prisma, type Db } from '../client.ts';
import { pageOf, readCursor, SERIAL_KEY, TIME_KEY, type Page, type PageRequest } from './cursor.ts';

/** Whose certificates are asked about. */
export type Holder = { agentId: string } | { instanceId: string };

/** Serials of the certificates of an agent or instance that have not ended, in the order of issue. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listSerialsOf(db: Db, holder: Holder, page: PageRequest & { now: Date }): Promise<Page<Buffer>> {
  const query = { list: 'statuses', filters: holder, key: [TIME_KEY, SERIAL_KEY] };
  const [time, serial = ''] = readCursor(query, page.cursor) ?? [];
  const whose = 'agentId' in holder ? Prisma.sql`c.agent_id = ${holder.agentId}` : Prisma.sql`c.instance_id = ${holder.instanceId}`;
  const behind = time === undefined ? Prisma.empty : Prisma.sql`AND (c.issued_at, c.serial) > (${new Date(Number(time))}::timestamptz, ${bytes(Buffer.from(serial, 'hex'))}::bytea)`;
  const rows = await db.$queryRaw<{ serial: Uint8Array; issued_at: Date }[]>`
    SELECT c.serial, c.issued_at FROM certificates c WHERE ${whose} AND c.bucket >= ${bucketOf(page.now)} AND c.not_after >= ${page.now} ${behind}
    ORDER BY c.issued_at, c.serial LIMIT ${page.limit + 1}`;
  const { items, nextCursor } = pageOf(query, rows, page.limit, (row) => [String(row.issued_at.getTime()), buffer(row.serial).toString('hex')]);
  return { items: items.map((row) => buffer(row.serial)), nextCursor };
}

/** Serial of the certificate whose DER has this SHA-256, of those that are kept. */
export async function serialByFingerprint(db: Db, fingerprint: Uint8Array): Promise<Buffer | undefined> {
  const [row] = await db.$queryRaw<{ serial: Uint8Array }[]>`
    SELECT serial FROM certificates WHERE fingerprint = ${bytes(fingerprint)} UNION ALL SELECT serial FROM authority_certificates WHERE fingerprint = ${bytes(fingerprint)} AND issuer_id IS NOT NULL LIMIT 1`;
  return row && buffer(row.serial);
}

/** Who stands behind a certificate. */
export interface IdentityView {
  agentId: string;
  instanceId: string;
  ownerId: string | null;
  profile: string;
  notAfter: Date;
}

/** Whose certificate it is, and who answers for the agent now; undefined for a serial that no agent's certificate has. `serial`: 20 octets. */
export async function findIdentityView(db: Db, serial: Uint8Array): Promise<IdentityView | undefined> {
  const [row] = await db.$queryRaw<IdentityView[]>`
    SELECT c.agent_id AS "agentId", c.instance_id AS "instanceId", a.owner_id AS "ownerId", c.profile, c.not_after AS "notAfter"
    FROM certificates c JOIN agents a ON a.id = c.agent_id WHERE c.bucket = ${bucketOfSerial(serial)} AND c.serial = ${bytes(serial)}`;
  return row;
}
