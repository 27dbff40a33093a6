/**
 * The three set-based changes of certificate status, inside the caller's transaction and after its state change (a later statement sees what
 * was committed meanwhile). They append neither feed nor audit: the use case does, last.
 */
import type { Tx } from '../db/client.ts';
import { holdRows, releaseRows, revokeRows, type AffectedCertificate, type CertificateSelector } from '../db/certificate-status.ts';

export type { AffectedCertificate, CertificateSelector };

/** Adds a cause to the hold of every unrevoked, unexpired certificate selected. Returns those that were good before. */
export async function holdCertificates(tx: Tx, where: CertificateSelector, cause: string, now: Date): Promise<AffectedCertificate[]> {
  return (await holdRows(tx, where, cause, now)).filter(({ flipped }) => flipped);
}

/** Takes exactly this cause from the holds selected, of what is not revoked. Returns those that became good. */
export async function releaseCertificates(tx: Tx, where: CertificateSelector, cause: string): Promise<AffectedCertificate[]> {
  return (await releaseRows(tx, where, cause)).filter(({ flipped }) => flipped);
}

/** Revokes every unrevoked certificate selected, unexpired unless named by serial, and blocks their keys. Returns those newly revoked. */
export function revokeCertificates(tx: Tx, where: CertificateSelector, reason: number, now: Date): Promise<AffectedCertificate[]> {
  return revokeRows(tx, where, reason, now);
}
