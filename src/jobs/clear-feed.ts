import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteOldAcknowledgements, deleteOldEnforcement } from '../db/enforcement-points.ts';
import { deleteFeedEvents } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Deletes feed events older than `feedRetentionDays`, lost enforcement points, and after `acknowledgementRetentionDays` who acknowledged what; numbers are never used again. */
export async function clearFeed(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  const before = daysAgo(ctx, ctx.config.feedRetentionDays);
  await clearRecords(ctx, origin, signal, { table: 'feed_events', clear: (run) => deleteFeedEvents(ctx.db, before, run) });
  await clearRecords(ctx, origin, signal, { table: 'enforcement_points', clear: (run) => deleteOldEnforcement(ctx.db, before, run) });
  const acknowledgedBefore = daysAgo(ctx, Math.min(ctx.config.acknowledgementRetentionDays, ctx.config.feedRetentionDays));
  await clearRecords(ctx, origin, signal, { table: 'feed_acknowledgements', clear: (run) => deleteOldAcknowledgements(ctx.db, acknowledgedBefore, run) });
}
