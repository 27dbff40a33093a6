import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { thinCheckpoints } from '../db/audit-logs.ts';
import { inOneChunk } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

const BATCH = 5_000;

/** Takes away checkpoints older than `checkpointRetentionDays`, but for the last of each day; as the owner, for the service cannot. */
export async function clearCheckpoints(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  const before = daysAgo(ctx, ctx.config.checkpointRetentionDays);
  await clearRecords(ctx, origin, signal, {
    table: 'audit_checkpoints',
    async clear(run) {
      let cleared = 0;
      for (let rows = BATCH; rows === BATCH && !run.signal.aborted; cleared += rows) rows = await inOneChunk(ctx.ownerDb, (tx) => thinCheckpoints(tx, before, BATCH), run);
      return cleared;
    },
  });
}
