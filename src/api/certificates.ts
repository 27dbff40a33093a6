import { z } from 'zod';
import { agentParams } from './agents.ts';
import type { ErrorCode } from '../core/errors.ts';
import { revokeBody } from './instances.ts';
import { leafHashOut } from './log-proofs.ts';
import { operation } from './operation.ts';
import { id, nothing, optional, page, paging, plain, seconds, serial, serialOut, sha256Hex, time, timeIn } from './values.ts';

export const CERTIFICATE_STATUSES = ['good', 'held', 'revoked', 'expired'] as const;
export const PEM_CHAIN = 'application/pem-certificate-chain';

/** A PKCS#10 request: PEM, or DER in base64. Its own limits are config `csrMaxBytes` and `maxNames`. */
const csr = z.string().min(1).max(131_072).describe('A PKCS#10 request (RFC 2986): PEM, or DER in base64.');

/** Body of an enrollment as JSON. As application/pkcs10 the body is the request alone, and the join token is the bearer token. */
export const issueCertificateBody = z.strictObject({
  csr,
  joinToken: optional(z.string().min(1).max(256).describe('The join token, where it is not sent as bearer token.')),
  agentId: optional(id.describe('The agent that is meant: refused when the token was made for another.')),
  profile: optional(z.string().min(1).max(32).describe('The profile that is expected: refused when the agent has another.')),
  ttlSeconds: optional(seconds.describe('The life asked for; without it that of the profile.')),
  dnsNames: optional(z.array(z.string().min(1).max(253)).max(64).describe('The DNS names asked for, of those registered; without it all of them.')),
});
export const renewCertificateBody = z.strictObject({ csr, ttlSeconds: optional(seconds.describe('The life asked for; without it that of the profile.')) });

/** A certificate as it is handed out. `renewal`: when to ask for its successor. */
export const issuedCertificate = z
  .object({
    certificate: z.string().describe('The leaf, PEM.'),
    chain: z.string().describe('The certificates between leaf and root, PEM.'),
    serial: serialOut,
    notBefore: time,
    notAfter: time,
    agentId: id,
    instanceId: id,
    spiffeId: z.string(),
    generation: z.int().describe('1 at enrollment; one more with each renewal.'),
    renewal: z.object({ start: time, end: time }).describe('Renew at a random time in between.'),
    receipt: z
      .object({ eventId: id.describe('Id of the audit event of this issuance.'), leafHash: leafHashOut })
      .nullable()
      .describe('Where the issuance is logged: GET /v1/certificates/{fingerprint}/proof proves it some seconds later. Null only in an answer that is given again after its event was purged.'),
  })
  .meta({ id: 'IssuedCertificate', description: 'A certificate as it is handed out.' });
export type IssuedCertificateAnswer = z.output<typeof issuedCertificate>;

/** A certificate as the record shows it. */
export const certificate = z.object({
  serial: serialOut,
  status: z.enum(CERTIFICATE_STATUSES),
  agentId: id,
  instanceId: id,
  issuerId: id,
  profile: z.string(),
  generation: z.int(),
  notBefore: time,
  notAfter: time,
  issuedAt: time,
  fingerprint: z.string().describe('SHA-256 of the DER, hexadecimal.'),
  keyHash: z.string().describe('SHA-256 of the SubjectPublicKeyInfo, hexadecimal.'),
  supersededBy: serialOut.nullable().describe('The certificate that renewed it.'),
  presentedAt: time.nullable().describe('When it was first shown to us.'),
  revokedAt: time.nullable(),
  revocationReason: z.string().nullable(),
  heldAt: time.nullable(),
  certificate: z.string().meta({ description: 'PEM' }),
});
export type CertificateAnswer = z.output<typeof certificate>;

/** Filters of the list of certificates: all must hold. */
export const listCertificatesQuery = z.strictObject({
  ...paging,
  agentId: optional(id.describe('Only certificates of this agent.')),
  instanceId: optional(id.describe('Only certificates of this instance.')),
  issuerId: optional(id.describe('Only certificates of this issuer.')),
  profile: optional(plain(32).describe('Only certificates issued under this profile.')),
  status: optional(z.enum(CERTIFICATE_STATUSES).describe('Only certificates with this status now.')),
  expiresBefore: optional(timeIn.describe('Only certificates that end before this time.')),
  expiresAfter: optional(timeIn.describe('Only certificates that end after this time.')),
  issuedAfter: optional(timeIn.describe('Only certificates issued after this time.')),
  issuedBefore: optional(timeIn.describe('Only certificates issued before this time.')),
  keyHash: optional(sha256Hex.describe('Only certificates for the public key with this SHA-256 of its SubjectPublicKeyInfo.')),
});
export type ListCertificatesQuery = z.output<typeof listCertificatesQuery>;

const serialParams = z.strictObject({ serial });
const both = ['application/json', 'application/pkcs10'] as const;
const json = ['application/json'] as const;
const issued = { 201: { description: 'Leaf and chain. With `Accept: application/pem-certificate-chain` the PEM alone (RFC 8555 §7.4.2).', contentTypes: ['application/json', PEM_CHAIN], schema: issuedCertificate, headers: ['location'] } } as const;
const CSR_ERRORS = [
  'csr-malformed', 'csr-too-large', 'csr-signature-invalid', 'csr-extension-unsupported', 'csr-attribute-duplicated', 'csr-ca-requested',
  'key-type-not-allowed', 'key-weak', 'key-in-use', 'key-not-fresh', 'key-blocked', 'names-not-granted', 'ttl-not-granted', 'profile-not-found',
  'agent-not-active', 'agent-suspended', 'agent-retired', 'owner-suspended', 'instance-quarantined', 'instance-revoked', 'issuance-stopped', 'issuer-unavailable',
  // of an answer that is given again
  'client-certificate-revoked', 'client-certificate-held', 'client-certificate-expired', 'certificate-not-found',
] as const satisfies readonly ErrorCode[];

export const issueCertificate = operation({
  id: 'issueCertificate', method: 'post', path: '/v1/certificates', tag: 'certificates', summary: 'Enroll: a join token and a CSR for a first certificate',
  permission: 'certificates:issue', params: nothing, query: nothing, body: issueCertificateBody, consumes: both, creates: true, responses: issued,
  errors: [...CSR_ERRORS, 'join-token-unknown', 'join-token-used', 'join-token-expired', 'join-token-wrong-agent', 'join-token-wrong-network', 'join-token-wrong-key'],
});
export const renewCertificate = operation({
  id: 'renewCertificate', method: 'post', path: '/v1/certificates/renew', tag: 'certificates', summary: 'Renew over mutual TLS with a fresh key',
  permission: 'certificates:renew', params: nothing, query: nothing, body: renewCertificateBody, consumes: both, creates: true, responses: issued,
  errors: [...CSR_ERRORS, 'certificate-superseded'],
});
export const getCertificate = operation({
  id: 'getCertificate', method: 'get', path: '/v1/certificates/{serial}', tag: 'certificates', summary: 'Read a certificate',
  permission: 'certificates:read', params: serialParams, query: nothing, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'The certificate and its record.', contentTypes: ['application/json'], schema: certificate } },
  errors: ['certificate-not-found', 'serial-malformed'],
});
export const listCertificates = operation({
  id: 'listCertificates', method: 'get', path: '/v1/certificates', tag: 'certificates', summary: 'List certificates',
  permission: 'certificates:read', params: nothing, query: listCertificatesQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of certificates: those of one agent, instance or key in the order of issue, wider lists by the day of their end.', contentTypes: ['application/json'], schema: page(certificate) } },
  errors: ['cursor-invalid', 'cursor-mismatch'],
});

/** What a revocation, hold or release of one certificate answers: its status now. `at`: since when it is revoked or held. */
export const certificateChange = z.object({ serial: serialOut, status: z.enum(['good', 'held', 'revoked', 'unknown']).describe('Unknown: a released hold that a recovery had carried over from a lost world; of the certificate itself nothing is recorded.'), reason: optional(z.string()), at: optional(time.describe('Since when.')) }).meta({ id: 'CertificateChange' });
export type CertificateChangeAnswer = z.output<typeof certificateChange>;
const changed = { 200: { description: 'The status now; the same answer when nothing was left to change.', contentTypes: ['application/json'], schema: certificateChange } };
const bySerial = { tag: 'certificates', params: serialParams, query: nothing, responses: changed, creates: false, permission: 'certificates:revoke', consumes: json, method: 'post' } as const;
export const revokeCertificate = operation({
  ...bySerial, id: 'revokeCertificate', path: '/v1/certificates/{serial}/revoke', summary: 'Revoke a certificate',
  body: revokeBody, errors: ['certificate-not-found', 'authority-state-conflict', 'serial-malformed', 'reason-not-allowed'],
});
export const holdCertificate = operation({
  ...bySerial, id: 'holdCertificate', path: '/v1/certificates/{serial}/hold', summary: 'Put a certificate on hold',
  body: nothing, errors: ['certificate-not-found', 'authority-state-conflict', 'serial-malformed', 'hold-conflict'],
});
export const releaseCertificate = operation({
  ...bySerial, id: 'releaseCertificate', path: '/v1/certificates/{serial}/release', summary: "Release an operator's hold",
  body: nothing, errors: ['certificate-not-found', 'authority-state-conflict', 'serial-malformed', 'hold-conflict'],
});

/** How many certificates of a set are revoked. */
export const revokedCount = z.object({ revoked: z.int() }).meta({ id: 'RevokedCount' });
export const revokeAgentCertificates = operation({
  id: 'revokeAgentCertificates', method: 'post', path: '/v1/agents/{agentId}/revoke-certificates', tag: 'certificates', summary: 'Revoke all certificates of an agent; the agent stays as it is',
  permission: 'certificates:revoke', params: agentParams, query: nothing, body: revokeBody, consumes: json, creates: false,
  responses: { 200: { description: 'How many of its certificates that live, or could still be renewed, are revoked now; the same answer when nothing was left to revoke.', contentTypes: ['application/json'], schema: revokedCount } },
  errors: ['agent-not-found', 'reason-not-allowed'],
});
