import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteFeedEvents } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Deletes feed events older than `feedRetentionDays`; numbers are never used again. */
export async function clearFeed(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  await clearRecords(ctx, origin, signal, { table: 'feed_events', clear: (stop) => deleteFeedEvents(ctx.db, daysAgo(ctx, ctx.config.feedRetentionDays), stop) });
}
