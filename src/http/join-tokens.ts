import type * as api from '../api/join-tokens.ts';
import type { JoinTokenAnswer } from '../api/join-tokens.ts';
import { SignetError } from '../core/errors.ts';
import { findAgentView } from '../db/views/agents.ts';
import { listJoinTokenViews, type JoinTokenView } from '../db/views/join-tokens.ts';
import { createJoinToken } from '../enrollment/index.ts';
import { created, iso, isoOrNull, ok, pageSize } from './answers.ts';
import type { CreatingHandlerOf, HandlerOf } from './handler.ts';

/** POST /v1/agents/{agentId}/join-tokens: the one time the secret is shown. */
export const create: CreatingHandlerOf<typeof api.createJoinToken> = async (ctx, { origin, params, body, now }, tx) => {
  const { id, token, expiresAt } = await createJoinToken(ctx, tx, origin, { ...body, agentId: params.agentId }, now);
  return { ...created({ id, agentId: params.agentId, token, expiresAt: iso(expiresAt) }), secret: true };
};

/** GET /v1/agents/{agentId}/join-tokens */
export const list: HandlerOf<typeof api.listJoinTokens> = async (ctx, { params, query, now }) => {
  if (!(await findAgentView(ctx.db, params.agentId))) throw new SignetError('agent-not-found', 'there is no agent with this id');
  const { items, nextCursor } = await listJoinTokenViews(ctx.db, { agentId: params.agentId }, { cursor: query.cursor, limit: pageSize(ctx, query.limit), now });
  return ok({ items: items.map(render), nextCursor });
};

function render(token: JoinTokenView): JoinTokenAnswer {
  return {
    id: token.id,
    agentId: token.agentId,
    state: token.state,
    sourceCidrs: [...token.sourceCidrs],
    boundKeyHash: token.boundKeyHash?.toString('hex') ?? null,
    createdBy: token.createdBy,
    createdAt: iso(token.createdAt),
    expiresAt: iso(token.expiresAt),
    usedAt: isoOrNull(token.usedAt),
    usedInstanceId: token.usedInstanceId,
  };
}
