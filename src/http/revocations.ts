import type * as api from '../api/certificates.ts';
import { holdCarried, releaseCarried, revokeCarried, type CarriedChange } from '../revocation/carried-certificates.ts';
import { SignetError } from '../core/errors.ts';
import * as revocation from '../revocation/revoke-certificate.ts';
import { parseSerial } from '../x509/serial.ts';
import { iso, ok } from './answers.ts';
import type { Answer, HandlerOf } from './handler.ts';

/** POST /v1/certificates/{serial}/revoke */
export const revoke: HandlerOf<typeof api.revokeCertificate> = async (ctx, { origin, params, body, now }) =>
  change(parseSerial(params.serial), (serial) => revocation.revokeCertificate(ctx, origin, { serial, reason: body.reason, now }), (serial) => revokeCarried(ctx, origin, { serial, reason: body.reason, now }));

/** POST /v1/certificates/{serial}/hold */
export const hold: HandlerOf<typeof api.holdCertificate> = async (ctx, { origin, params, now }) =>
  change(parseSerial(params.serial), (serial) => revocation.holdCertificate(ctx, origin, { serial, now }), (serial) => holdCarried(ctx, origin, { serial, now }));

/** POST /v1/certificates/{serial}/release */
export const release: HandlerOf<typeof api.releaseCertificate> = async (ctx, { origin, params, now }) =>
  change(parseSerial(params.serial), (serial) => revocation.releaseCertificate(ctx, origin, { serial, now }), (serial) => releaseCarried(ctx, origin, { serial, now }));

/** POST /v1/agents/{agentId}/revoke-certificates */
export const revokeAll: HandlerOf<typeof api.revokeAgentCertificates> = async (ctx, { origin, params, body, now }) =>
  ok(await revocation.revokeAgentCertificates(ctx, origin, { agentId: params.agentId, reason: body.reason, now }));

/** Of a certificate that is recorded here; failing that, of one that a recovery carried over from a lost world. */
async function change(serial: Uint8Array, recorded: (serial: Uint8Array) => Promise<revocation.CertificateChange>, carried: (serial: Uint8Array) => Promise<CarriedChange | undefined>): Promise<Answer> {
  try {
    return render(await recorded(serial));
  } catch (error) {
    const found = error instanceof SignetError && error.code === 'certificate-not-found' ? await carried(serial) : undefined;
    if (found) return render(found);
    throw error;
  }
}

/** Whether this call or an earlier one changed it makes no difference to the answer. */
function render(change: revocation.CertificateChange | CarriedChange): Answer {
  const answer: api.CertificateChangeAnswer = {
    serial: change.serial.toString('hex'),
    status: change.status,
    ...(change.reason === undefined ? {} : { reason: change.reason }),
    ...(change.at === undefined ? {} : { at: iso(change.at) }),
  };
  return ok(answer);
}
