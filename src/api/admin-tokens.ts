import { z } from 'zod';
import { operation } from './operation.ts';
import { ADMIN_ROLES, PERMISSIONS, SCOPES, TOKEN_ROLES, type Permission } from './permissions.ts';
import { id, name, nothing, optional, page, paging, plain, seconds, time, timeIn } from './values.ts';

export const ADMIN_TOKEN_STATES = ['active', 'expired', 'revoked'] as const;

const role = z.enum(ADMIN_ROLES, { error: `must be ${ADMIN_ROLES.join(', ')}; a token of role relying-party is made for a relying party: POST /v1/relying-parties/{relyingPartyId}/tokens` });
const permission = z.enum(PERMISSIONS);
const scopes = z
  .array(z.enum(SCOPES as [Permission, ...Permission[]]))
  .min(1)
  .max(PERMISSIONS.length)
  .transform((list) => [...new Set(list)])
  .describe('Permissions the token is narrowed to: it may do what both its role and its scopes permit. Without it all of its role.');

/** Body of a new API token. Without `ttlSeconds` it lives for config `adminTokenTtlSeconds`; without `scopes` it may do all of its role. */
export const createAdminTokenBody = z.strictObject({
  name: name.describe('What it is for.'),
  role: role.describe('What it may do at most.'),
  scopes: optional(scopes),
  ttlSeconds: optional(seconds.describe('Its life; without it that of the configuration (`adminTokenTtlSeconds`).')),
});
export type CreateAdminTokenBody = z.output<typeof createAdminTokenBody>;

/** Body of a rotation. `overlapSeconds`: how long the old token goes on (0: it ends now). `ttlSeconds`: life of the new one; by default that of the old one. */
export const rotateAdminTokenBody = z
  .strictObject({
    overlapSeconds: optional(z.int().min(0).max(604_800).describe('How long the old token goes on; 0 ends it now. Without it as the configuration says.')),
    ttlSeconds: optional(seconds.describe('Life of the new token; without it that of the old one.')),
  })
  .meta({ id: 'Rotation' });
export type RotateAdminTokenBody = z.output<typeof rotateAdminTokenBody>;

const said = { id, name: z.string(), role: z.enum(TOKEN_ROLES), scopes: z.array(permission).nullable().describe('What it is narrowed to; null: all of its role.') };

/** A new API token with its secret, shown once. */
export const newAdminToken = z
  .object({
    ...said,
    token: z.string().describe('The secret. It is shown this once.'),
    expiresAt: time.nullable(),
    predecessorId: id.nullable().describe('The token it replaces.'),
    predecessorEndsAt: time.nullable().describe('Until when the replaced token goes on.'),
    relyingPartyId: id.nullable(),
  })
  .meta({ id: 'NewApiToken' });

export const adminToken = z
  .object({
    ...said,
    state: z.enum(ADMIN_TOKEN_STATES),
    createdAt: time,
    expiresAt: time.nullable(),
    revokedAt: time.nullable(),
    lastUsedAt: time.nullable().describe('To the minute.'),
    predecessorId: id.nullable(),
    successorId: id.nullable().describe('The token it was rotated to.'),
    relyingPartyId: id.nullable().describe('Whose it is, of role relying-party.'),
  })
  .meta({ id: 'ApiToken', description: 'An API token, never its secret.' });
/** An API token as the wire shows it: never its secret. */
export type AdminTokenAnswer = z.output<typeof adminToken>;

/** The token that asks, and what it may do now. */
export const ownAdminToken = adminToken.extend({
  permissions: z.array(permission).describe('What role, scopes and relying party leave.'),
});

/** Filters of the list: all must hold. `unusedSince`: neither used nor made since then. */
export const listAdminTokensQuery = z.strictObject({
  ...paging,
  state: optional(z.enum(ADMIN_TOKEN_STATES).describe('Only tokens in this state.')),
  role: optional(z.enum(TOKEN_ROLES).describe('Only tokens of this role.')),
  name: optional(plain(63).describe('Only tokens of this name.')),
  relyingPartyId: optional(id.describe('Only tokens of this relying party.')),
  unusedSince: optional(timeIn.describe('Only tokens that were neither used nor made since this time.')),
  expiresBefore: optional(timeIn.describe('Only tokens that end before this time.')),
});
export type ListAdminTokensQuery = z.output<typeof listAdminTokensQuery>;

const TAG = 'API tokens';
const json = ['application/json'] as const;
const shownOnce = { 201: { description: 'The API token; its secret is shown this once.', contentTypes: json, schema: newAdminToken } };

export const createAdminToken = operation({
  id: 'createAdminToken', method: 'post', path: '/v1/admin-tokens', tag: TAG, summary: 'Make an API token, with no more permissions than the caller has',
  permission: 'admin-tokens:manage', params: nothing, query: nothing, body: createAdminTokenBody, consumes: json, creates: true,
  responses: shownOnce, errors: ['ttl-not-granted'],
});
export const listAdminTokens = operation({
  id: 'listAdminTokens', method: 'get', path: '/v1/admin-tokens', tag: TAG, summary: 'List API tokens, those of relying parties included',
  permission: 'admin-tokens:read', params: nothing, query: listAdminTokensQuery, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of API tokens, oldest first.', contentTypes: json, schema: page(adminToken) } },
  errors: ['cursor-invalid', 'cursor-mismatch'],
});
export const getOwnAdminToken = operation({
  id: 'getOwnAdminToken', method: 'get', path: '/v1/admin-tokens/self', tag: TAG, summary: 'Who am I: the API token that asks',
  permission: 'own-token:read', params: nothing, query: nothing, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'The API token that asks.', contentTypes: json, schema: ownAdminToken } },
  errors: [],
});
export const rotateOwnAdminToken = operation({
  id: 'rotateOwnAdminToken', method: 'post', path: '/v1/admin-tokens/self/rotate', tag: TAG, summary: 'Replace the API token that asks: same name, role and scopes, another secret',
  permission: 'own-token:rotate', params: nothing, query: nothing, body: rotateAdminTokenBody, consumes: json, creates: true,
  responses: shownOnce, errors: ['ttl-not-granted', 'admin-token-state-conflict', 'relying-party-full'],
});
export const rotateAdminToken = operation({
  id: 'rotateAdminToken', method: 'post', path: '/v1/admin-tokens/{tokenId}/rotate', tag: TAG, summary: 'Replace an API token: same name, role and scopes, another secret',
  permission: 'admin-tokens:manage', params: z.strictObject({ tokenId: id }), query: nothing, body: rotateAdminTokenBody, consumes: json, creates: true,
  responses: shownOnce, errors: ['admin-token-not-found', 'ttl-not-granted', 'admin-token-state-conflict', 'relying-party-full'],
});
export const revokeAdminToken = operation({
  id: 'revokeAdminToken', method: 'post', path: '/v1/admin-tokens/{tokenId}/revoke', tag: TAG, summary: 'Revoke an API token for good',
  permission: 'admin-tokens:manage', params: z.strictObject({ tokenId: id }), query: nothing,
  body: z.strictObject({ withSuccessors: optional(z.boolean().describe('Also what it was rotated to: for a token that was stolen.')) }), consumes: json, creates: false,
  responses: { 200: { description: 'The token now; the same answer when it was revoked already.', contentTypes: json, schema: adminToken } },
  errors: ['last-admin-token', 'admin-token-not-found'],
});
