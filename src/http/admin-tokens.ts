import { createAdminToken } from '../admins/create.ts';
import { revokeAdminToken } from '../admins/revoke.ts';
import type * as api from '../api/admin-tokens.ts';
import type { AdminTokenAnswer } from '../api/admin-tokens.ts';
import { listAdminTokenViews, type AdminTokenView } from '../db/views/admin-tokens.ts';
import { created, iso, isoOrNull, ok, pageSize } from './answers.ts';
import type { CreatingHandlerOf, HandlerOf } from './handler.ts';

/** POST /v1/admin-tokens: the one time the secret is shown. */
export const create: CreatingHandlerOf<typeof api.createAdminToken> = async (ctx, { origin, body, now }, tx) => {
  const { id, name, role, token, expiresAt } = await createAdminToken(ctx, tx, origin, body, now);
  return { ...created({ id, name, role, token, expiresAt: isoOrNull(expiresAt) }), secret: true };
};

/** GET /v1/admin-tokens */
export const list: HandlerOf<typeof api.listAdminTokens> = async (ctx, { query, now }) => {
  const { items, nextCursor } = await listAdminTokenViews(ctx.db, { cursor: query.cursor, limit: pageSize(ctx, query.limit), now });
  return ok({ items: items.map(render), nextCursor });
};

/** POST /v1/admin-tokens/{tokenId}/revoke */
export const revoke: HandlerOf<typeof api.revokeAdminToken> = async (ctx, { origin, params, now }) => ok(render(await revokeAdminToken(ctx, origin, params.tokenId, now)));

function render(token: AdminTokenView): AdminTokenAnswer {
  return {
    id: token.id,
    name: token.name,
    role: token.role,
    state: token.state,
    createdAt: iso(token.createdAt),
    expiresAt: isoOrNull(token.expiresAt),
    revokedAt: isoOrNull(token.revokedAt),
    lastUsedAt: isoOrNull(token.lastUsedAt),
  };
}
