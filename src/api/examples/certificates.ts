import { AGENT_ID, CHECKPOINT, CSR, EVENT_BYTES, EVENT_ID, FINGERPRINT, FIRST_EVENT_ID, FIRST_SERIAL, INSTANCE_ID, ISSUER_ID, ISSUER_PEM, JOIN_TOKEN, lastPage, LEAF_HASH, LEAF_PEM, OWNER_ID, PROOF, SERIAL, UNKNOWN_SERIAL, type OperationExample } from './example.ts';

const issued = (serial: string, generation: number, eventId: string) => ({
  201: {
    'application/json': {
      certificate: LEAF_PEM,
      chain: ISSUER_PEM,
      serial,
      notBefore: '2026-11-21T10:40:47.000Z',
      notAfter: '2026-11-21T11:41:47.000Z',
      agentId: AGENT_ID,
      instanceId: INSTANCE_ID,
      spiffeId: `spiffe://signet.internal/agent/${AGENT_ID}`,
      generation,
      renewal: { start: '2026-11-21T11:11:47.000Z', end: '2026-11-21T11:21:47.000Z' },
      receipt: { eventId, leafHash: LEAF_HASH },
    },
    'application/pem-certificate-chain': LEAF_PEM + ISSUER_PEM,
  },
});
const certificate = {
  serial: SERIAL,
  status: 'good',
  agentId: AGENT_ID,
  instanceId: INSTANCE_ID,
  issuerId: ISSUER_ID,
  profile: 'agent',
  generation: 2,
  notBefore: '2026-11-21T10:40:47.000Z',
  notAfter: '2026-11-21T11:41:47.000Z',
  issuedAt: '2026-11-21T10:41:47.686Z',
  fingerprint: FINGERPRINT,
  keyHash: 'e8c549f6974f574f7cac27b9b3b9f704a74bc4a5c59f32513e6dd0b8bd5d5874',
  supersededBy: null,
  presentedAt: null,
  revokedAt: null,
  revocationReason: null,
  heldAt: null,
  certificate: LEAF_PEM,
};
const serial = { serial: SERIAL };
const at = '2026-11-21T10:51:03.201Z';

export const CERTIFICATE_EXAMPLES = {
  issueCertificate: {
    description:
      'The agent makes a key of its own and sends a PKCS#10 request signed with it; the names in the certificate come from the registration, not from the request. As JSON the join token may stand in the body; as `application/pkcs10` (DER or PEM) it is the bearer token. An answer that was lost: send the same request again, with the same token and key, and get the same certificate.',
    requests: { 'application/json': { csr: CSR, joinToken: JOIN_TOKEN, ttlSeconds: 3600 }, 'application/pkcs10': CSR },
    answers: issued(FIRST_SERIAL, 1, FIRST_EVENT_ID),
  },
  renewCertificate: {
    description:
      'On the mutual TLS door, with the certificate in use and a request for a fresh key. Renew at a random time within `renewal` of the certificate answer. Until the successor is first shown the old certificate may ask again; afterwards it is superseded, and a second holder of its key is found out.',
    requests: { 'application/json': { csr: CSR }, 'application/pkcs10': CSR },
    answers: issued(SERIAL, 2, EVENT_ID),
  },
  getIssuanceProof: {
    description:
      'For relying parties that take only logged certificates: a certificate that a stolen issuing key made is in no log. The event carries the SHA-256 of the certificate; `verifyIssuanceProof` checks it with the log key (docs/auditor.md). An event is provable once it is in a checkpoint, within some seconds of the issuance; until then the answer is `event-not-logged` with Retry-After.',
    params: { fingerprint: FINGERPRINT },
    answers: { 200: { 'application/json': { format: 'signet-issuance-proof/v1', fingerprint: FINGERPRINT, event: EVENT_BYTES, index: 11, inclusionProof: PROOF, checkpoint: CHECKPOINT } } },
  },
  listCertificates: {
    description: 'All filters must hold. Certificates stay listed, expired or not, until retention clears them away.',
    query: { agentId: AGENT_ID, status: 'good' },
    answers: { 200: lastPage(certificate) },
  },
  getCertificate: { description: 'The certificate with all that is recorded of it.', params: serial, answers: { 200: { 'application/json': certificate } } },
  revokeCertificate: {
    description:
      'For ever; the key is blocked, too. The answer means that it is durable, and that no replica’s own checks accept it any more; this one no longer answers “good”. Revoking a certificate that is revoked gives the first answer again.',
    params: serial,
    requests: { 'application/json': { reason: 'keyCompromise' } },
    answers: { 200: { 'application/json': { serial: SERIAL, status: 'revoked', reason: 'keyCompromise', at } } },
  },
  holdCertificate: {
    description: 'Can be taken back. Until then OCSP and lists say `certificateHold`.',
    params: serial,
    answers: { 200: { 'application/json': { serial: SERIAL, status: 'held', reason: 'certificateHold', at } } },
  },
  releaseCertificate: {
    description: 'Takes away the hold that an operator put on this certificate. Holds of a suspension or a quarantine are taken away where they were made.',
    params: serial,
    answers: { 200: { 'application/json': { serial: SERIAL, status: 'good' } } },
  },
  revokeAgentCertificates: {
    description: 'Every certificate of the agent that lives or could still be renewed. The agent stays active: enroll again with new join tokens.',
    params: { agentId: AGENT_ID },
    requests: { 'application/json': { reason: 'superseded' } },
    answers: { 200: { 'application/json': { revoked: 2 } } },
  },

  getStatus: {
    description: 'To be asked again each time, cheaply with `If-None-Match`. Of a serial that was never issued here only `serial` and `status` are told.',
    params: serial,
    answers: { 200: { 'application/json': { serial: SERIAL, status: 'good', agentId: AGENT_ID, instanceId: INSTANCE_ID, notAfter: '2026-11-21T11:41:47.000Z' } } },
  },
  listStatuses: {
    description: 'One answer for each serial, in the order asked.',
    requests: { 'application/json': { serials: [SERIAL, UNKNOWN_SERIAL] } },
    answers: {
      200: {
        'application/json': {
          statuses: [
            { serial: SERIAL, status: 'good', agentId: AGENT_ID, instanceId: INSTANCE_ID, notAfter: '2026-11-21T11:41:47.000Z' },
            { serial: UNKNOWN_SERIAL, status: 'unknown' },
          ],
        },
      },
    },
  },
  getIdentity: {
    description: 'For relying parties that are registered for `identity`. It stays what it is for the life of the certificate; only the owner of an agent may change.',
    params: serial,
    answers: { 200: { 'application/json': { serial: SERIAL, agentId: AGENT_ID, instanceId: INSTANCE_ID, ownerId: OWNER_ID, profile: 'agent', notAfter: '2026-11-21T11:41:47.000Z' } } },
  },
} as const satisfies Record<string, OperationExample>;
