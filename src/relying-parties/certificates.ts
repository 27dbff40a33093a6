import { announceCredential } from '../admins/announce.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { countPinnedCertificates, deletePinnedCertificate, insertPinnedCertificate } from '../db/relying-parties.ts';
import type { PinnedCertificateView } from '../db/views/relying-parties.ts';
import { readPin } from './pin.ts';
import { changeLocked, relyingPartyToChange, type RelyingPartyContext } from './relying-party.ts';

/**
 * Pins a client certificate (PEM) to a relying party. Runs in the caller's transaction (http/idempotency.ts), audit event last.
 * @throws SignetError `relying-party-not-found`, `invalid-request`, `relying-party-certificate-refused`, `relying-party-certificate-taken`, `relying-party-full`
 */
export async function addCertificate(
  ctx: Pick<RelyingPartyContext, 'config' | 'random' | 'authorities'>, tx: Tx, origin: Origin, request: { relyingPartyId: string; certificate: string }, now: Date,
): Promise<PinnedCertificateView> {
  const { relyingPartyId } = request;
  const pin = readPin(ctx, request.certificate, now);
  const party = await relyingPartyToChange(tx, relyingPartyId);
  const { relyingPartyCertificatesMax } = ctx.config;
  if ((await countPinnedCertificates(tx, relyingPartyId)) >= relyingPartyCertificatesMax) {
    throw new SignetError('relying-party-full', `a relying party has at most ${relyingPartyCertificatesMax} certificates (relyingPartyCertificatesMax)`);
  }
  const certificate = { ...pin, id: ulid(now, ctx.random), relyingPartyId };
  if (!(await insertPinnedCertificate(tx, certificate, now))) throw new SignetError('relying-party-certificate-taken', 'this certificate is pinned already, to this relying party or another');
  await changeLocked(tx, party, {}, now);
  await appendAudit(ctx, tx, origin, now, {
    kind: 'relying-party.certificate-added', outcome: 'success', target: relyingPartyId, fingerprint: pin.fingerprint, detail: { certificate: certificate.id, notAfter: pin.notAfter.toISOString() },
  });
  return { ...certificate, createdAt: now };
}

/** Removes a pinned certificate: refused at once by this replica, within a second by every other. @throws SignetError `relying-party-not-found` */
export async function removeCertificate(ctx: RelyingPartyContext, origin: Origin, request: { relyingPartyId: string; certificateId: string }, now: Date): Promise<void> {
  const { relyingPartyId, certificateId } = request;
  try {
    await inTransaction(ctx.db, async (tx) => {
      const party = await relyingPartyToChange(tx, relyingPartyId);
      const fingerprint = await deletePinnedCertificate(tx, relyingPartyId, certificateId);
      if (!fingerprint) throw new SignetError('relying-party-not-found', `the relying party has no certificate ${certificateId}`);
      await changeLocked(tx, party, {}, now);
      await appendAudit(ctx, tx, origin, now, {
        kind: 'relying-party.certificate-removed', outcome: 'success', target: relyingPartyId, fingerprint, detail: { certificate: certificateId },
      });
    });
  } finally {
    await announceCredential(ctx, relyingPartyId);
  }
}
