import { z } from 'zod';
import { agentParams } from './agents.ts';
import { operation } from './operation.ts';
import { id, nothing, optional, page, paging, seconds, sha256Hex, time } from './values.ts';

export const JOIN_TOKEN_STATES = ['open', 'used', 'expired'] as const;

const cidr = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()], { error: 'must be an IP address or a CIDR block' });

/** Body of a new join token. `boundKeyHash`: SHA-256 of the SubjectPublicKeyInfo, hexadecimal: only this key may enroll. */
export const createJoinTokenBody = z.strictObject({
  ttlSeconds: optional(seconds.describe('Its life; without it that of the configuration (`joinTokenTtlSeconds`).')),
  sourceCidrs: optional(z.array(cidr).max(32).describe('The networks an enrollment with it must come from.')),
  boundKeyHash: optional(sha256Hex.describe('SHA-256 of the only public key (SubjectPublicKeyInfo) that may enroll with it, hexadecimal.')),
});
export type CreateJoinTokenBody = z.output<typeof createJoinTokenBody>;

/** A new join token with its secret, shown once. */
export const newJoinToken = z.object({ id, agentId: id, token: z.string().describe('The secret. It is shown this once.'), expiresAt: time }).meta({ id: 'NewJoinToken' });

export const joinToken = z
  .object({
    id,
    agentId: id,
    state: z.enum(JOIN_TOKEN_STATES).describe('`open`: nobody has used it yet.'),
    sourceCidrs: z.array(z.string()),
    boundKeyHash: z.string().nullable(),
    createdBy: z.string(),
    createdAt: time,
    expiresAt: time,
    usedAt: time.nullable(),
    usedInstanceId: id.nullable().describe('The instance that enrolled with it.'),
  })
  .meta({ id: 'JoinToken', description: 'A join token, never its secret.' });
/** A join token as the wire shows it: never its secret. */
export type JoinTokenAnswer = z.output<typeof joinToken>;

export const createJoinToken = operation({
  id: 'createJoinToken', method: 'post', path: '/v1/agents/{agentId}/join-tokens', tag: 'join tokens', summary: 'Make a single-use join token for an agent',
  permission: 'join-tokens:create', params: agentParams, query: nothing, body: createJoinTokenBody, consumes: ['application/json'], creates: true,
  responses: { 201: { description: 'The join token; its secret is shown this once.', contentTypes: ['application/json'], schema: newJoinToken } },
  errors: ['agent-not-found', 'agent-not-active', 'agent-suspended', 'agent-retired', 'owner-suspended', 'ttl-not-granted', 'issuance-stopped'],
});
export const listJoinTokens = operation({
  id: 'listJoinTokens', method: 'get', path: '/v1/agents/{agentId}/join-tokens', tag: 'join tokens', summary: 'List the join tokens of an agent',
  permission: 'join-tokens:read', params: agentParams, query: z.strictObject({ ...paging }), body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of join tokens, oldest first.', contentTypes: ['application/json'], schema: page(joinToken) } },
  errors: ['agent-not-found', 'cursor-invalid', 'cursor-mismatch'],
});
