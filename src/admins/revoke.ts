import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { adminTokenState, lockForRevocation, markAdminTokenRevoked, successorsOf } from '../db/admin-tokens.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { findAdminTokenView, type AdminTokenView } from '../db/views/admin-tokens.ts';
import { announceCredential, type RemembersCredentials } from './announce.ts';
import { assertNoMoreThan, callerUnusable } from './caller.ts';

export interface TokenRevocation {
  tokenId: string;
  /** Also what it was rotated to, and that in turn: whoever stole it may have rotated it. */
  withSuccessors?: boolean;
  /** Given: only a token of this relying party is known. */
  relyingPartyId?: string;
  now: Date;
}

/**
 * Revokes an API token for good: refused at once by this replica, within a second by every other. One that is revoked stays as it is. Revocations run one
 * after the other (the tokens that can make others are locked first), so that two of them cannot each take the other for the one that remains. Nobody ends a
 * usable token that may do more than their own: a token narrowed to the care of tokens could else leave an installation with one administrator.
 * @throws SignetError `admin-token-not-found`, `last-admin-token`, `permission-denied`, `invalid-credential` when the token of who asks was revoked meanwhile
 */
export async function revokeAdminToken(ctx: RemembersCredentials & Pick<Context, 'db' | 'random'>, origin: Origin, request: TokenRevocation): Promise<AdminTokenView> {
  const { tokenId, relyingPartyId, now } = request;
  try {
    return await inTransaction(ctx.db, async (tx) => {
      const callerId = origin.actor.kind === 'admin' ? origin.actor.id : undefined;
      const { wanted, unlimited, locked } = await lockAll(tx, request, callerId);
      const caller = locked.find(({ id }) => id === callerId);
      if (callerId !== undefined && (!caller || adminTokenState(caller, now) !== 'active')) throw callerUnusable();
      if (!locked.some((token) => token.id === tokenId && (relyingPartyId === undefined || token.relyingPartyId === relyingPartyId))) throw new SignetError('admin-token-not-found', 'there is no API token with this id');
      if (unlimited.length > 0 && unlimited.every((id) => wanted.includes(id))) {
        throw new SignetError('last-admin-token', 'no other API token of role admin without scopes is usable: nobody could make the next one');
      }
      // Tokens of a relying party belong to whoever manages relying parties, and may do no more than ask.
      if (relyingPartyId === undefined) for (const token of locked) if (wanted.includes(token.id) && adminTokenState(token, now) === 'active') assertNoMoreThan(caller, token, 'has');
      const events: AuditEvent[] = [];
      for (const { id, name, role } of locked.filter((token) => wanted.includes(token.id))) {
        if (await markAdminTokenRevoked(tx, id, now)) events.push({ kind: 'admin-token.revoked', outcome: 'success', target: id, detail: { name, role } });
      }
      const token = await findAdminTokenView(tx, tokenId, now);
      if (!token) throw new Error('an API token is gone under its lock');
      if (events.length > 0) await appendAudit(ctx, tx, origin, now, ...events);
      return token;
    });
  } finally {
    // Also when the outcome of the commit is unknown.
    await announceCredential(ctx, tokenId);
  }
}

/** The tokens to revoke, with all that has a say. Successors are asked for under the lock of what they succeed, which a rotation under way holds. */
async function lockAll(tx: Tx, { tokenId, withSuccessors, now }: TokenRevocation, callerId: string | undefined) {
  for (let wanted = [tokenId]; ; ) {
    const locks = await lockForRevocation(tx, callerId === undefined ? wanted : [...wanted, callerId], now);
    const chain = withSuccessors === true ? await successorsOf(tx, tokenId) : [];
    if (chain.every((id) => wanted.includes(id))) return { wanted, ...locks };
    wanted = [tokenId, ...chain];
  }
}
