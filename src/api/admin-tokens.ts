import { z } from 'zod';
import { operation } from './operation.ts';
import { TOKEN_ROLES } from './permissions.ts';
import { id, name, nothing, optional, page, paging, seconds, time } from './values.ts';

export const ADMIN_TOKEN_STATES = ['active', 'expired', 'revoked'] as const;

/** Body of a new API token. Without `ttlSeconds` it has no end. */
export const createAdminTokenBody = z.strictObject({ name, role: z.enum(TOKEN_ROLES), ttlSeconds: optional(seconds) });
export type CreateAdminTokenBody = z.output<typeof createAdminTokenBody>;

/** A new API token with its secret, shown once. */
export const newAdminToken = z.object({ id, name: z.string(), role: z.enum(TOKEN_ROLES), token: z.string(), expiresAt: time.nullable() });

export const adminToken = z.object({
  id,
  name: z.string(),
  role: z.enum(TOKEN_ROLES),
  state: z.enum(ADMIN_TOKEN_STATES),
  createdAt: time,
  expiresAt: time.nullable(),
  revokedAt: time.nullable(),
  lastUsedAt: time.nullable(),
});
/** An API token as the wire shows it: never its secret. */
export type AdminTokenAnswer = z.output<typeof adminToken>;

export const createAdminToken = operation({
  id: 'createAdminToken', method: 'post', path: '/v1/admin-tokens', tag: 'API tokens', summary: 'Make an API token',
  permission: 'admin-tokens:manage', params: nothing, query: nothing, body: createAdminTokenBody, consumes: ['application/json'], creates: true,
  responses: { 201: { description: 'The API token; its secret is shown this once.', contentTypes: ['application/json'], schema: newAdminToken } },
  errors: [],
});
export const listAdminTokens = operation({
  id: 'listAdminTokens', method: 'get', path: '/v1/admin-tokens', tag: 'API tokens', summary: 'List API tokens',
  permission: 'admin-tokens:read', params: nothing, query: z.strictObject({ ...paging }), body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'One page of API tokens, oldest first.', contentTypes: ['application/json'], schema: page(adminToken) } },
  errors: ['cursor-invalid', 'cursor-mismatch'],
});
export const revokeAdminToken = operation({
  id: 'revokeAdminToken', method: 'post', path: '/v1/admin-tokens/{tokenId}/revoke', tag: 'API tokens', summary: 'Revoke an API token for good',
  permission: 'admin-tokens:manage', params: z.strictObject({ tokenId: id }), query: nothing, body: nothing, consumes: ['application/json'], creates: false,
  responses: { 200: { description: 'The token now; the same answer when it was revoked already.', contentTypes: ['application/json'], schema: adminToken } },
  errors: ['last-admin-token'],
});
