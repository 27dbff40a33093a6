import type { CertificateAnswer } from '../api/certificates.ts';
import type { CertificateView } from '../db/views/certificates.ts';
import { reasonName } from '../revocation/reasons.ts';
import { encodePem } from '../x509/pem.ts';
import { iso, isoOrNull } from './answers.ts';

/** A stored certificate as the wire shows it at `now`: "expired" is derived from the clock, and a revocation outlives it. */
export function renderCertificate(row: CertificateView, now: Date): CertificateAnswer {
  return {
    serial: row.serial.toString('hex'),
    status: row.revokedAt ? 'revoked' : row.notAfter < now ? 'expired' : row.heldAt ? 'held' : 'good',
    agentId: row.agentId,
    instanceId: row.instanceId,
    issuerId: row.issuerId,
    profile: row.profile,
    generation: row.generation,
    notBefore: iso(row.notBefore),
    notAfter: iso(row.notAfter),
    issuedAt: iso(row.issuedAt),
    fingerprint: row.fingerprint.toString('hex'),
    keyHash: row.keyHash.toString('hex'),
    supersededBy: row.supersededBy?.toString('hex') ?? null,
    presentedAt: isoOrNull(row.presentedAt),
    revokedAt: isoOrNull(row.revokedAt),
    revocationReason: row.revokedAt ? reasonName(row.revocationReason ?? 0) : null,
    heldAt: isoOrNull(row.heldAt),
    certificate: encodePem('CERTIFICATE', row.der),
  };
}
