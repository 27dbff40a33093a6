import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { lockUsableAdmins, markAdminTokenRevoked } from '../db/admin-tokens.ts';
import { inTransaction } from '../db/client.ts';
import { findAdminTokenView, type AdminTokenView } from '../db/views/admin-tokens.ts';
import { announceCredential } from './announce.ts';
import { callerUnusable } from './caller.ts';

/**
 * Revokes an API token for good: refused at once by this replica, within a second by every other. One that is revoked stays as it is. Revocations run one
 * after the other (the usable tokens of role admin are locked first), so that two of them cannot each take the other for the one that remains.
 * @throws SignetError `not-found`, `last-admin-token`, `invalid-credential` when the token of who asks was revoked meanwhile
 */
export async function revokeAdminToken(ctx: Pick<Context, 'db' | 'random' | 'adminTokens' | 'siblings'>, origin: Origin, id: string, now: Date): Promise<AdminTokenView> {
  try {
    return await inTransaction(ctx.db, async (tx) => {
      const admins = await lockUsableAdmins(tx, now);
      if (origin.actor.kind === 'admin' && !admins.includes(origin.actor.id)) throw callerUnusable();
      if (admins.length === 1 && admins[0] === id) throw new SignetError('last-admin-token', 'no other API token of role admin is usable: nobody could make the next one');
      const changed = await markAdminTokenRevoked(tx, id, now);
      const token = await findAdminTokenView(tx, id, now);
      if (!token) throw new SignetError('not-found', 'there is no API token with this id');
      if (changed) await appendAudit(ctx, tx, origin, now, { kind: 'admin-token.revoked', outcome: 'success', target: id, detail: { name: token.name, role: token.role } });
      return token;
    });
  } finally {
    // Also when the outcome of the commit is unknown.
    await announceCredential(ctx, id);
  }
}
