import type * as api from '../api/certificates.ts';
import * as revocation from '../revocation/revoke-certificate.ts';
import { parseSerial } from '../x509/serial.ts';
import { iso, ok } from './answers.ts';
import type { Answer, HandlerOf } from './handler.ts';

/** POST /v1/certificates/{serial}/revoke */
export const revoke: HandlerOf<typeof api.revokeCertificate> = async (ctx, { origin, params, body, now }) =>
  render(await revocation.revokeCertificate(ctx, origin, { serial: parseSerial(params.serial), reason: body.reason, now }));

/** POST /v1/certificates/{serial}/hold */
export const hold: HandlerOf<typeof api.holdCertificate> = async (ctx, { origin, params, now }) =>
  render(await revocation.holdCertificate(ctx, origin, { serial: parseSerial(params.serial), now }));

/** POST /v1/certificates/{serial}/release */
export const release: HandlerOf<typeof api.releaseCertificate> = async (ctx, { origin, params, now }) =>
  render(await revocation.releaseCertificate(ctx, origin, { serial: parseSerial(params.serial), now }));

/** POST /v1/agents/{agentId}/revoke-certificates */
export const revokeAll: HandlerOf<typeof api.revokeAgentCertificates> = async (ctx, { origin, params, body, now }) =>
  ok(await revocation.revokeAgentCertificates(ctx, origin, { agentId: params.agentId, reason: body.reason, now }));

/** Whether this call or an earlier one changed it makes no difference to the answer. */
function render(change: revocation.CertificateChange): Answer {
  const answer: api.CertificateChangeAnswer = {
    serial: change.serial.toString('hex'),
    status: change.status,
    ...(change.reason === undefined ? {} : { reason: change.reason }),
    ...(change.at === undefined ? {} : { at: iso(change.at) }),
  };
  return ok(answer);
}
