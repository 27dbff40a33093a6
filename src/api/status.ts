import { z } from 'zod';
import { operation } from './operation.ts';
import { id, nothing, optional, page, paging, serial, serialOut, sha256Hex, time } from './values.ts';

export const STATUSES = ['good', 'held', 'revoked', 'expired', 'unknown'] as const;

/** Status of one certificate. Of a serial that was never issued only `serial` and `status` are there. */
export const certificateStatus = z
  .object({
    serial: serialOut,
    status: z.enum(STATUSES).describe('`held`: on hold, may come back. `unknown`: never issued here, or cleared away after it had expired.'),
    reason: z.string().describe('RFC 5280 reason, of `revoked` and `held`.').optional(),
    revokedAt: time.optional(),
    agentId: optional(id),
    instanceId: optional(id),
    notAfter: time.optional(),
  })
  .meta({ id: 'CertificateStatus' });
export type StatusAnswer = z.output<typeof certificateStatus>;

export const getStatus = operation({
  id: 'getStatus', method: 'get', path: '/v1/status/{serial}', tag: 'status', summary: 'Status of one certificate',
  permission: 'status:read', params: z.strictObject({ serial }), query: nothing, body: nothing, consumes: [], creates: false,
  responses: {
    200: { description: 'The status now.', contentTypes: ['application/json'], schema: certificateStatus, headers: ['etag'] },
    304: { description: 'The status is what If-None-Match names.', contentTypes: [], headers: ['etag'] },
  },
  errors: ['serial-malformed'],
});
export const listStatuses = operation({
  id: 'listStatuses', method: 'post', path: '/v1/status', tag: 'status', summary: 'Status of many certificates at once',
  permission: 'status:read', params: nothing, query: nothing,
  body: z.strictObject({ serials: z.array(serial).min(1).max(10_000).describe('At most so many as the configuration allows (`statusBatchMax`).') }), consumes: ['application/json'], creates: false,
  responses: { 200: { description: 'One status for each serial, in the order asked.', contentTypes: ['application/json'], schema: z.object({ statuses: z.array(certificateStatus) }) } },
  errors: ['serial-malformed'],
});

const pageOfStatuses = { 200: { description: 'One page of statuses of its certificates that have not ended, in the order of issue.', contentTypes: ['application/json'], schema: page(certificateStatus) } } as const;
const byHolder = { method: 'get', tag: 'status', permission: 'status:read', query: z.strictObject({ ...paging }), body: nothing, consumes: [], creates: false, responses: pageOfStatuses } as const;
export const listAgentStatuses = operation({
  ...byHolder, id: 'listAgentStatuses', path: '/v1/status/agents/{agentId}', summary: 'Status of the certificates of an agent', params: z.strictObject({ agentId: id }),
  errors: ['agent-not-found', 'permission-denied', 'cursor-invalid', 'cursor-mismatch'],
});
export const listInstanceStatuses = operation({
  ...byHolder, id: 'listInstanceStatuses', path: '/v1/status/instances/{instanceId}', summary: 'Status of the certificates of an instance', params: z.strictObject({ instanceId: id }),
  errors: ['instance-not-found', 'permission-denied', 'cursor-invalid', 'cursor-mismatch'],
});
export const getStatusByFingerprint = operation({
  ...getStatus, id: 'getStatusByFingerprint', path: '/v1/status/fingerprints/{sha256}', summary: 'Status of one certificate by the SHA-256 of its DER', params: z.strictObject({ sha256: sha256Hex.describe('SHA-256 of the whole certificate, DER.') }),
  errors: ['certificate-not-found'],
});

/** Who stands behind a certificate. */
export const identityAnswer = z
  .object({
    serial: serialOut,
    agentId: id,
    instanceId: id,
    ownerId: id.nullable().describe('The accountable person.'),
    profile: z.string().describe('What kind of certificate it is.'),
    notAfter: time,
  })
  .meta({ id: 'CertificateIdentity' });
export const getIdentity = operation({
  id: 'getIdentity', method: 'get', path: '/v1/identity/{serial}', tag: 'status', summary: 'Who holds a certificate: agent, instance, owner and profile',
  permission: 'status:read', params: z.strictObject({ serial }), query: nothing, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'Whose certificate it is. Whether it is still good is not said here.', contentTypes: ['application/json'], schema: identityAnswer } },
  errors: ['serial-malformed', 'certificate-not-found', 'permission-denied'],
});
