import { z } from 'zod';
import { agentParams } from './agents.ts';
import { operation } from './operation.ts';
import { id, nothing, optional, page, paging, reason, serialOut, time, whyBody } from './values.ts';

export const INSTANCE_STATES = ['active', 'quarantined', 'revoked'] as const;

export const instance = z
  .object({
    id,
    agentId: id,
    state: z.enum(INSTANCE_STATES).describe('`quarantined`: a copied key is suspected, nothing more is issued to it.'),
    generation: z.int().describe('1 at enrollment; one more with each renewal.'),
    tipSerial: serialOut.describe('Its newest certificate.'),
    quarantineReason: z.string().nullable(),
    enrolledBy: z.string().describe('What let it in, for instance `join-token:` and the id of the token.'),
    enrolledFrom: z.string().nullable().describe('The address it enrolled from.'),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: 'Instance', description: 'A running copy of an agent: one enrollment and its renewals.' });
/** A running copy of an agent as the wire shows it. */
export type InstanceAnswer = z.output<typeof instance>;

export const listInstancesQuery = z.strictObject({ ...paging, state: optional(z.enum(INSTANCE_STATES).describe('Only instances in this state.')) });

const instanceParams = z.strictObject({ instanceId: id });
/** A revocation by reason code (RFC 5280 §5.3.1); what is allowed is judged by revocation/reasons.ts. */
export const revokeBody = z
  .strictObject({ reason: reason.default('unspecified').describe('RFC 5280 reason by name.') })
  .meta({ id: 'Revocation' });
const oneInstance = { 200: { description: 'The instance.', contentTypes: ['application/json'], schema: instance } };
const byId = { tag: 'instances', params: instanceParams, query: nothing, responses: oneInstance, creates: false } as const;
const json = ['application/json'] as const;

export const listInstances = operation({
  id: 'listInstances', method: 'get', path: '/v1/agents/{agentId}/instances', tag: 'instances', summary: 'List the instances of an agent',
  permission: 'agents:read', params: agentParams, query: listInstancesQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of instances, oldest first.', contentTypes: ['application/json'], schema: page(instance) } },
  errors: ['agent-not-found', 'cursor-invalid', 'cursor-mismatch'],
});
export const getInstance = operation({ ...byId, id: 'getInstance', method: 'get', path: '/v1/instances/{instanceId}', summary: 'Read an instance', permission: 'agents:read', body: nothing, consumes: [], errors: ['instance-not-found'] });
export const quarantineInstance = operation({
  ...byId, id: 'quarantineInstance', method: 'post', path: '/v1/instances/{instanceId}/quarantine', summary: 'Quarantine an instance: its certificates go on hold, nothing more is issued to it. One that is quarantined stays as it is, with the first reason',
  permission: 'agents:suspend', body: whyBody, consumes: json, errors: ['instance-not-found', 'instance-state-conflict'],
});
export const releaseInstance = operation({
  ...byId, id: 'releaseInstance', method: 'post', path: '/v1/instances/{instanceId}/release', summary: 'Release a quarantined instance',
  permission: 'agents:suspend', body: whyBody, consumes: json, errors: ['instance-not-found', 'instance-state-conflict'],
});
export const revokeInstance = operation({
  ...byId, id: 'revokeInstance', method: 'post', path: '/v1/instances/{instanceId}/revoke', summary: 'Revoke an instance and all its certificates',
  permission: 'certificates:revoke', body: revokeBody, consumes: json, errors: ['instance-not-found', 'reason-not-allowed'],
});
