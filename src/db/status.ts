import { REMOVED } from './carried-revocations.ts';
import { buffer, bytes, Prisma, type Db } from './client.ts';
import { CERTIFICATE_HOLD } from './crls.ts';
import { bucketOfSerial } from '../x509/serial.ts';

/** What is stored of a certificate's status. Certificates of the authority itself (responder, TLS) have neither agent nor instance. */
export interface StatusRow {
  serial: Buffer;
  issuerId: string;
  agentId: string | null;
  instanceId: string | null;
  /** Null for one that only a list of a lost world tells of; its `notAfter` is then the latest it can be. */
  notBefore: Date | null;
  notAfter: Date;
  revokedAt: Date | null;
  /** CRLReason (RFC 5280 §5.3.1) of a revoked certificate. */
  reason: number | null;
  /** Since when it is on hold; null when no cause holds it. */
  heldAt: Date | null;
}

interface Row {
  serial: Uint8Array;
  issuer_id: string;
  agent_id: string | null;
  instance_id: string | null;
  not_before: Date | null;
  not_after: Date;
  revoked_at: Date | null;
  revocation_reason: number | null;
  held_at: Date | null;
}

/**
 * Status of the serials (20 octets each) that we issued, in one statement; the others are left out. What a restored database carries over of revocations comes last. The order is not that of the question.
 * A branch for each expiry day, so that the planner touches only those partitions: 0.1 ms of planning, where a join over all took 3 ms.
 */
export async function readStatusRows(db: Db, serials: readonly Uint8Array[]): Promise<StatusRow[]> {
  if (serials.length === 0) return [];
  const byBucket = new Map<number, Uint8Array<ArrayBuffer>[]>();
  for (const serial of serials) {
    const bucket = bucketOfSerial(serial);
    const sameDay = byBucket.get(bucket);
    if (sameDay) sameDay.push(bytes(serial));
    else byBucket.set(bucket, [bytes(serial)]);
  }
  const leaves = [...byBucket].map(
    ([bucket, sameDay]) => Prisma.sql`
      SELECT serial, issuer_id, agent_id, instance_id, not_before, not_after, revoked_at, revocation_reason, held_at
      FROM certificates WHERE bucket = ${bucket}::int AND serial = ANY (${sameDay}::bytea[])`,
  );
  const asked = serials.map(bytes);
  const rows = await db.$queryRaw<Row[]>(Prisma.sql`
    ${Prisma.join(leaves, ' UNION ALL ')}
    UNION ALL
    SELECT serial, issuer_id, NULL, NULL, not_before, not_after, revoked_at, revocation_reason, NULL
    FROM authority_certificates WHERE issuer_id IS NOT NULL AND serial = ANY (${asked}::bytea[])
    UNION ALL
    SELECT serial, issuer_id, NULL, NULL, NULL, not_after, CASE WHEN reason <> ${CERTIFICATE_HOLD}::int THEN revoked_at END, reason, CASE WHEN reason = ${CERTIFICATE_HOLD}::int THEN revoked_at END
    FROM carried_revocations WHERE reason <> ${REMOVED}::int AND serial = ANY (${asked}::bytea[])`);
  return rows.map((row) => ({
    serial: buffer(row.serial),
    issuerId: row.issuer_id,
    agentId: row.agent_id,
    instanceId: row.instance_id,
    notBefore: row.not_before,
    notAfter: row.not_after,
    revokedAt: row.revoked_at,
    reason: row.revocation_reason,
    heldAt: row.held_at,
  }));
}
