import { buffer, runHot, type Db, type HotStatement } from './client.ts';

/** What is stored of a certificate's status. Certificates of the authority itself (responder, TLS) have neither agent nor instance. */
export interface StatusRow {
  serial: Buffer;
  issuerId: string;
  agentId: string | null;
  instanceId: string | null;
  /** Of one that only a list of a lost world tells of: the latest it can be. */
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
  not_after: Date;
  revoked_at: Date | null;
  revocation_reason: number | null;
  held_at: Date | null;
}

const STATUSES: HotStatement = { name: 'certificate-statuses', text: 'SELECT * FROM certificate_statuses($1::bytea)' };

/**
 * Status of the serials (20 octets each, none twice) that we issued, in one statement (SQL function certificate_statuses); the others are left out. What a restored
 * database carries over of revocations comes last. The order is not that of the question.
 */
export async function readStatusRows(db: Db, serials: readonly Uint8Array[]): Promise<StatusRow[]> {
  if (serials.length === 0) return [];
  const rows = await runHot<Row>(db, STATUSES, [Buffer.concat(serials)]);
  return rows.map((row) => ({
    serial: buffer(row.serial),
    issuerId: row.issuer_id,
    agentId: row.agent_id,
    instanceId: row.instance_id,
    notAfter: row.not_after,
    revokedAt: row.revoked_at,
    reason: row.revocation_reason,
    heldAt: row.held_at,
  }));
}
