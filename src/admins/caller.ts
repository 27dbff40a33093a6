import { permissionsOf, narrowing, type Permission, type TokenRole } from '../api/permissions.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { lockUsableAdminToken, type AdminTokenRecord } from '../db/admin-tokens.ts';
import type { Tx } from '../db/client.ts';

/** The token of who asks, believed a moment ago, has ended before its change of other tokens was decided. */
export const callerUnusable = (): SignetError => new SignetError('invalid-credential', 'the API token has expired or was revoked');

/** What somebody with these has, and a token with these may do. */
type Powers = Pick<AdminTokenRecord, 'role' | 'scopes'>;

/**
 * The token of who asks, judged again and held to the commit: one that was just revoked, here or elsewhere, leaves no other behind. Undefined for a local
 * command, a job or the first start, which no token limits.
 * @throws SignetError `invalid-credential`
 */
export async function lockCaller(tx: Tx, { actor }: Origin, now: Date): Promise<Powers | undefined> {
  if (actor.kind !== 'admin') return undefined;
  const caller = await lockUsableAdminToken(tx, actor.id, now);
  if (!caller) throw callerUnusable();
  return caller;
}

/** Nobody gives what they do not have, nor takes it from who has. @throws SignetError `permission-denied` with what is lacking */
export function assertNoMoreThan(caller: Powers | undefined, wanted: { role: TokenRole; scopes: readonly Permission[] | null }, has = 'would have'): void {
  if (!caller) return;
  const own = permissionsOf(caller.role, narrowing(caller.scopes));
  const lacking = [...permissionsOf(wanted.role, narrowing(wanted.scopes))].filter((permission) => !own.has(permission));
  if (lacking.length > 0) throw new SignetError('permission-denied', `the token ${has} permissions that yours does not have: ${lacking.join(', ')}`);
}
