import { buffer, bytes, type Tx } from './client.ts';

/** CRLReason of an entry that was taken off again (RFC 5280 §5.3.1): it stands on no list, and the certificate is as unknown as any that this database did not record. */
export const REMOVED = 8;

/** A certificate that only a list of a lost world tells of. */
export interface CarriedCertificate {
  serial: Buffer;
  issuerId: string;
  shard: number;
  /** CRLReason; `CERTIFICATE_HOLD` for a hold, `REMOVED` for one that was released. */
  reason: number;
  /** Since when. */
  revokedAt: Date;
}

/** Its row, locked to the end of the transaction. */
export async function lockCarried(tx: Tx, serial: Uint8Array): Promise<CarriedCertificate | undefined> {
  const [row] = await tx.$queryRaw<(Omit<CarriedCertificate, 'serial'> & { serial: Uint8Array })[]>`
    SELECT serial, issuer_id AS "issuerId", shard, reason, revoked_at AS "revokedAt" FROM carried_revocations WHERE serial = ${bytes(serial)} FOR UPDATE`;
  return row && { ...row, serial: buffer(row.serial) };
}

/** Of a locked row. */
export async function changeCarried(tx: Tx, serial: Uint8Array, reason: number, at: Date): Promise<void> {
  await tx.$executeRaw`UPDATE carried_revocations SET reason = ${reason}, revoked_at = ${at} WHERE serial = ${bytes(serial)}`;
}
