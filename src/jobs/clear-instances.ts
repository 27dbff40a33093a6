import type { Origin } from '../audit/events.ts';
import { deadBefore } from '../authorities/retire.ts';
import type { Context } from '../context.ts';
import { deleteDeadInstances } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Forgets instances whose last certificate is gone with its partition, `certificateRetentionDays` and the grace of renewal after expiry behind them. */
export async function clearInstances(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  const retained = daysAgo(ctx, ctx.config.certificateRetentionDays);
  const dead = deadBefore(ctx, ctx.clock.now());
  await clearRecords(ctx, origin, signal, { table: 'instances', clear: (run) => deleteDeadInstances(ctx.db, dead < retained ? dead : retained, run) });
}
