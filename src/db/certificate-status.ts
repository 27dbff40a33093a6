import { bytes, buffer, Prisma, type Tx } from './client.ts';
import { bucketOf, bucketOfSerial } from '../x509/serial.ts';

export type CertificateSelector = { agentId: string } | { instanceId: string } | { serial: Uint8Array };

export interface AffectedCertificate {
  serial: Buffer;
  issuerId: string;
  shard: number;
  agentId: string;
  instanceId: string;
  reason?: number;
}

/** A certificate to whose hold a cause was added, or from whose hold one was taken. */
export interface CauseChange extends AffectedCertificate {
  /** It was good before, or is good now: its status changed, not only the set of causes. */
  flipped: boolean;
}

interface AffectedRow {
  serial: Uint8Array;
  issuer_id: string;
  shard: number;
  agent_id: string;
  instance_id: string;
}

/** What a selector means in SQL. Sets cover what ends after `since` (and so only the partitions of that day and later); one serial is taken as it is. */
function selected(where: CertificateSelector, since: Date): Prisma.Sql {
  if ('serial' in where) return Prisma.sql`bucket = ${bucketOfSerial(where.serial)} AND serial = ${bytes(where.serial)}`;
  const live = Prisma.sql`bucket >= ${bucketOf(since)} AND not_after > ${since}`;
  return 'agentId' in where ? Prisma.sql`agent_id = ${where.agentId} AND ${live}` : Prisma.sql`instance_id = ${where.instanceId} AND ${live}`;
}

/** Rows are locked by serial first: two set changes, or one and a presentation, cannot deadlock. */
const target = (condition: Prisma.Sql) => Prisma.sql`target AS MATERIALIZED (SELECT bucket, serial FROM certificates WHERE ${condition} ORDER BY serial FOR UPDATE)`;
const affectedColumns = Prisma.sql`c.serial, c.issuer_id, c.shard, c.agent_id, c.instance_id`;

export async function holdRows(tx: Tx, where: CertificateSelector, cause: string, now: Date): Promise<CauseChange[]> {
  const rows = await tx.$queryRaw<(AffectedRow & { causes: number })[]>`
    WITH ${target(Prisma.sql`${selected(where, now)} AND revoked_at IS NULL AND NOT (${cause} = ANY (hold_causes))`)}
    UPDATE certificates c SET hold_causes = array_append(c.hold_causes, ${cause}), held_at = coalesce(c.held_at, ${now})
    FROM target t WHERE c.bucket = t.bucket AND c.serial = t.serial
    RETURNING ${affectedColumns}, cardinality(c.hold_causes) AS causes`;
  return rows.map((row) => ({ ...affected(row), flipped: row.causes === 1 }));
}

/** What was revoked meanwhile is left as it is. */
export async function releaseRows(tx: Tx, where: CertificateSelector, cause: string): Promise<CauseChange[]> {
  const condition = 'serial' in where ? selected(where, new Date(0)) : 'agentId' in where ? Prisma.sql`agent_id = ${where.agentId}` : Prisma.sql`instance_id = ${where.instanceId}`;
  const rows = await tx.$queryRaw<(AffectedRow & { good: boolean })[]>`
    WITH ${target(Prisma.sql`${condition} AND revoked_at IS NULL AND held_at IS NOT NULL AND ${cause} = ANY (hold_causes)`)}
    UPDATE certificates c SET hold_causes = array_remove(c.hold_causes, ${cause}),
      held_at = CASE WHEN array_remove(c.hold_causes, ${cause}) = '{}' THEN NULL ELSE c.held_at END
    FROM target t WHERE c.bucket = t.bucket AND c.serial = t.serial
    RETURNING ${affectedColumns}, c.held_at IS NULL AS good`;
  return rows.map((row) => ({ ...affected(row), flipped: row.good }));
}

/** `since`: sets cover certificates that ended later; by default those that have not ended. */
export async function revokeRows(tx: Tx, where: CertificateSelector, reason: number, now: Date, since = now): Promise<AffectedCertificate[]> {
  const rows = await tx.$queryRaw<(AffectedRow & { key_hash: Uint8Array })[]>`
    WITH ${target(Prisma.sql`${selected(where, since)} AND revoked_at IS NULL`)}
    UPDATE certificates c SET revoked_at = ${now}, revocation_reason = ${reason}
    FROM target t WHERE c.bucket = t.bucket AND c.serial = t.serial
    RETURNING ${affectedColumns}, c.key_hash`;
  if (rows.length > 0) {
    await tx.$executeRaw`UPDATE public_keys SET blocked_at = ${now} WHERE blocked_at IS NULL AND key_hash = ANY (${rows.map((row) => bytes(row.key_hash))})`;
  }
  return rows.map((row) => ({ ...affected(row), reason }));
}

/** What is not good of a set, whoever made it so; `since` as for `revokeRows`. */
export async function readNotGood(tx: Tx, where: CertificateSelector, since: Date): Promise<AffectedCertificate[]> {
  const rows = await tx.$queryRaw<AffectedRow[]>`SELECT ${affectedColumns} FROM certificates c WHERE ${selected(where, since)} AND (revoked_at IS NOT NULL OR held_at IS NOT NULL)`;
  return rows.map(affected);
}

/** How many of a set are revoked. */
export async function countRevoked(tx: Tx, where: CertificateSelector, since: Date): Promise<number> {
  const [row] = await tx.$queryRaw<{ revoked: bigint }[]>`SELECT count(*) AS revoked FROM certificates WHERE ${selected(where, since)} AND revoked_at IS NOT NULL`;
  return Number(row?.revoked ?? 0n);
}

function affected(row: AffectedRow): AffectedCertificate {
  return { serial: buffer(row.serial), issuerId: row.issuer_id, shard: row.shard, agentId: row.agent_id, instanceId: row.instance_id };
}
