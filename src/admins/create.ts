import type { CreateAdminTokenBody } from '../api/admin-tokens.ts';
import type { TokenRole } from '../api/permissions.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { insertAdminToken, lockUsableAdminToken } from '../db/admin-tokens.ts';
import type { Tx } from '../db/client.ts';
import { callerUnusable } from './caller.ts';
import { makeAdminToken } from './secret.ts';

/** A new API token with its secret: the one time it is seen. */
export interface CreatedAdminToken {
  id: string;
  name: string;
  role: TokenRole;
  token: string;
  expiresAt: Date | null;
}

/**
 * Makes an API token; without `ttlSeconds` it has no end. Runs in the caller's transaction (http/idempotency.ts), audit event last. The token of who asks
 * is judged again and held to the commit: one that was just revoked, here or elsewhere, leaves no other behind.
 * @throws SignetError `invalid-credential`
 */
export async function createAdminToken(ctx: Pick<Context, 'random'>, tx: Tx, origin: Origin, request: CreateAdminTokenBody, now: Date): Promise<CreatedAdminToken> {
  const { name, role, ttlSeconds } = request;
  const { actor } = origin;
  if (actor.kind === 'admin' && !(await lockUsableAdminToken(tx, actor.id, now))) throw callerUnusable();
  const { id, token, secretHash } = makeAdminToken(now, ctx.random);
  const expiresAt = ttlSeconds === undefined ? null : new Date(now.getTime() + ttlSeconds * 1000);
  await insertAdminToken(tx, { id, name, role, secretHash, expiresAt }, now);
  await appendAudit(ctx, tx, origin, now, {
    kind: 'admin-token.created', outcome: 'success', target: id, detail: { name, role, expiresAt: expiresAt?.toISOString() ?? null },
  });
  return { id, name, role, token, expiresAt };
}
