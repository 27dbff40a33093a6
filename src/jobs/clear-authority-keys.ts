import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteUnusedKeys, destroyRetiredKeys } from '../db/keystore.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** No replica signs with what was retired a day ago, or is still making a certificate for a key of yesterday. */
const SPARE_DAYS = 1;

/** Destroys private keys that no living certificate needs: of retired issuers, responders and TLS certificates, and those that never got a certificate. */
export async function clearAuthorityKeys(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  const before = daysAgo(ctx, SPARE_DAYS);
  const clear = async () => (await destroyRetiredKeys(ctx.db, before)) + (await deleteUnusedKeys(ctx.db, before));
  await clearRecords(ctx, origin, signal, { table: 'keystore_keys', clear });
}
