import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deletePublicKeys } from '../db/retention.ts';
import { daysAgo, recordCleared } from './records-cleared.ts';

/** Forgets public keys `keyRetentionDays` after their last certificate expired. */
export async function clearPublicKeys(ctx: Context, origin: Origin): Promise<void> {
  await recordCleared(ctx, origin, 'public_keys', await deletePublicKeys(ctx.db, daysAgo(ctx, ctx.config.keyRetentionDays)));
}
