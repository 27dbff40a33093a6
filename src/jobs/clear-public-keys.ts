import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deletePublicKeys } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Forgets public keys `keyRetentionDays` after their last certificate expired. */
export async function clearPublicKeys(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  await clearRecords(ctx, origin, signal, { table: 'public_keys', clear: (run) => deletePublicKeys(ctx.db, daysAgo(ctx, ctx.config.keyRetentionDays), run) });
}
