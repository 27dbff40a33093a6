import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteIdempotencyRecords } from '../db/retention.ts';
import { recordCleared } from './records-cleared.ts';

/** Deletes stored answers whose time is over; sealed secrets among them. */
export async function clearIdempotencyRecords(ctx: Context, origin: Origin): Promise<void> {
  await recordCleared(ctx, origin, 'idempotency_records', await deleteIdempotencyRecords(ctx.db, ctx.clock.now()));
}
