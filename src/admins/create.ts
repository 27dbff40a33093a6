import { ROLE_PERMISSIONS, type Permission, type TokenRole } from '../api/permissions.ts';
import type { CreateAdminTokenBody } from '../api/admin-tokens.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { SignetError, type FieldFault } from '../core/errors.ts';
import { insertAdminToken } from '../db/admin-tokens.ts';
import type { Tx } from '../db/client.ts';
import { assertNoMoreThan, lockCaller } from './caller.ts';
import { endOfToken } from './life.ts';
import { makeAdminToken } from './secret.ts';

/** A new API token with its secret: the one time it is seen. */
export interface CreatedAdminToken {
  id: string;
  name: string;
  role: TokenRole;
  scopes: Permission[] | null;
  token: string;
  expiresAt: Date;
  /** The token it replaces, and until when that one goes on. */
  predecessor: { id: string; endsAt: Date } | null;
  relyingPartyId: string | null;
}

/** What a token is wanted for. */
export interface WantedToken extends Pick<CreateAdminTokenBody, 'name' | 'scopes' | 'ttlSeconds'> {
  role: TokenRole;
  /** With role relying-party: whose it is. Its row is locked by the caller. */
  relyingPartyId?: string;
}

/**
 * Makes an API token; without `ttlSeconds` it lives for config `adminTokenTtlSeconds`. Runs in the caller's transaction (http/idempotency.ts), audit event
 * last. Nobody makes one that may do more than their own.
 * @throws SignetError `invalid-request`, `invalid-credential`, `permission-denied`, `ttl-not-granted`
 */
export async function createAdminToken(ctx: Pick<Context, 'random' | 'config'>, tx: Tx, origin: Origin, request: WantedToken, now: Date): Promise<CreatedAdminToken> {
  const { name, role, scopes = null, ttlSeconds = ctx.config.adminTokenTtlSeconds, relyingPartyId = null } = request;
  assertOfRole(role, scopes);
  const expiresAt = endOfToken(ctx, ttlSeconds, now);
  assertNoMoreThan(await lockCaller(tx, origin, now), { role, scopes });
  const { id, token, secretHash } = makeAdminToken(now, ctx.random);
  await insertAdminToken(tx, { id, name, role, scopes, secretHash, expiresAt, relyingPartyId }, now);
  await appendAudit(ctx, tx, origin, now, {
    kind: 'admin-token.created', outcome: 'success', target: id,
    detail: { name, role, expiresAt: expiresAt.toISOString(), ...(scopes && { scopes }), ...(relyingPartyId !== null && { relyingParty: relyingPartyId }) },
  });
  return { id, name, role, scopes, token, expiresAt, predecessor: null, relyingPartyId };
}

/** A scope that the role does not have would be a promise nobody keeps. @throws SignetError `invalid-request` */
function assertOfRole(role: TokenRole, scopes: readonly Permission[] | null): void {
  const fields = (scopes ?? []).flatMap((scope, i): FieldFault[] => (ROLE_PERMISSIONS[role].has(scope) ? [] : [{ path: `/scopes/${i}`, message: `the role ${role} does not have ${scope}` }]));
  if (fields[0]) throw new SignetError('invalid-request', `${fields[0].path}: ${fields[0].message}`, { fields });
}
