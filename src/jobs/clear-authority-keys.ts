import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteUnusedKeys, destroyRetiredKeys } from '../db/keystore.ts';
import { inOneChunk } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** No replica signs with what was retired a day ago, or is still making a certificate for a key of yesterday. */
const SPARE_DAYS = 1;

/** Destroys private keys that no living certificate needs: of retired issuers, responders and TLS certificates, and those that never got a certificate. */
export async function clearAuthorityKeys(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  const before = daysAgo(ctx, SPARE_DAYS);
  await clearRecords(ctx, origin, signal, { table: 'keystore_keys', clear: (run) => inOneChunk(ctx.db, async (tx) => (await destroyRetiredKeys(tx, before)) + (await deleteUnusedKeys(tx, before)), run) });
}
