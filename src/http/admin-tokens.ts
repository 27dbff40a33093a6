import { createAdminToken, type CreatedAdminToken } from '../admins/create.ts';
import { announceCredential } from '../admins/announce.ts';
import { revokeAdminToken } from '../admins/revoke.ts';
import { rotateAdminToken } from '../admins/rotate.ts';
import type * as api from '../api/admin-tokens.ts';
import type { AdminTokenAnswer } from '../api/admin-tokens.ts';
import { permissionsOf } from '../api/permissions.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { findAdminTokenView, listAdminTokenViews, type AdminTokenView } from '../db/views/admin-tokens.ts';
import { created, iso, isoOrNull, ok, pageSize } from './answers.ts';
import type { Answer, ApiRequest, CreatingHandlerOf, HandlerOf } from './handler.ts';

/** POST /v1/admin-tokens: the one time the secret is shown. */
export const create: CreatingHandlerOf<typeof api.createAdminToken> = async (ctx, { origin, body, now }, tx) => shownOnce(await createAdminToken(ctx, tx, origin, body, now));

/** GET /v1/admin-tokens */
export const list: HandlerOf<typeof api.listAdminTokens> = async (ctx, { query, now }) => {
  const { cursor, limit, ...filters } = query;
  const { items, nextCursor } = await listAdminTokenViews(ctx.db, filters, { cursor, limit: pageSize(ctx, limit), now });
  return ok({ items: items.map(renderToken), nextCursor });
};

/** GET /v1/admin-tokens/self */
export const getOwn: HandlerOf<typeof api.getOwnAdminToken> = async (ctx, { caller, now }) => {
  const token = await findAdminTokenView(ctx.db, caller.id, now);
  if (!token) throw new SignetError('invalid-credential', 'the API token is not known');
  return ok({ ...renderToken(token), permissions: [...permissionsOf(caller.role, caller.narrowedTo)].filter((permission) => permission !== 'public') });
};

/** POST /v1/admin-tokens/self/rotate: the one time the secret is shown. */
export const rotateOwn: CreatingHandlerOf<typeof api.rotateOwnAdminToken> = async (ctx, { origin, caller, body, now }, tx) =>
  shownOnce(await rotateAdminToken(ctx, tx, origin, { ...body, tokenId: caller.id }, now));

/** POST /v1/admin-tokens/{tokenId}/rotate: the one time the secret is shown. */
export const rotate: CreatingHandlerOf<typeof api.rotateAdminToken> = async (ctx, { origin, params, body, now }, tx) =>
  shownOnce(await rotateAdminToken(ctx, tx, origin, { ...body, tokenId: params.tokenId }, now));

/** Once a rotation is committed: the old token may end at once. */
export async function forgetRotated(ctx: Context, { caller, params }: Pick<ApiRequest, 'caller' | 'params'>): Promise<void> {
  await ctx.barrier('rotate-token:committed');
  await announceCredential(ctx, (params as { tokenId?: string }).tokenId ?? caller.id);
}

/** POST /v1/admin-tokens/{tokenId}/revoke */
export const revoke: HandlerOf<typeof api.revokeAdminToken> = async (ctx, { origin, params, body, now }) => ok(renderToken(await revokeAdminToken(ctx, origin, { ...params, ...body, now })));

/** A new token with its secret. */
export function shownOnce({ id, name, role, scopes, token, expiresAt, predecessor, relyingPartyId }: CreatedAdminToken): Answer {
  const json = { id, name, role, scopes, token, expiresAt: iso(expiresAt), predecessorId: predecessor?.id ?? null, predecessorEndsAt: isoOrNull(predecessor?.endsAt ?? null), relyingPartyId };
  return { ...created(json), secret: true };
}

export function renderToken(token: AdminTokenView): AdminTokenAnswer {
  return {
    id: token.id,
    name: token.name,
    role: token.role,
    scopes: token.scopes,
    state: token.state,
    createdAt: iso(token.createdAt),
    expiresAt: isoOrNull(token.expiresAt),
    revokedAt: isoOrNull(token.revokedAt),
    lastUsedAt: isoOrNull(token.lastUsedAt),
    predecessorId: token.predecessorId,
    successorId: token.successorId,
    relyingPartyId: token.relyingPartyId,
  };
}
