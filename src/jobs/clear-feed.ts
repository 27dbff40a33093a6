import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteFeedEvents } from '../db/retention.ts';
import { daysAgo, recordCleared } from './records-cleared.ts';

/** Deletes feed events older than `feedRetentionDays`; numbers are never used again. */
export async function clearFeed(ctx: Context, origin: Origin): Promise<void> {
  await recordCleared(ctx, origin, 'feed_events', await deleteFeedEvents(ctx.db, daysAgo(ctx, ctx.config.feedRetentionDays)));
}
