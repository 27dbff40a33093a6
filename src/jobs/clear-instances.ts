import type { Origin } from '../audit/events.ts';
import { deadBefore } from '../authorities/retire.ts';
import type { Context } from '../context.ts';
import { deleteDeadInstances } from '../db/retention.ts';
import { daysAgo, recordCleared } from './records-cleared.ts';

/** Forgets instances whose last certificate is gone with its partition, `certificateRetentionDays` and the grace of renewal after expiry behind them. */
export async function clearInstances(ctx: Context, origin: Origin): Promise<void> {
  const retained = daysAgo(ctx, ctx.config.certificateRetentionDays);
  const dead = deadBefore(ctx, ctx.clock.now());
  await recordCleared(ctx, origin, 'instances', await deleteDeadInstances(ctx.db, dead < retained ? dead : retained));
}
