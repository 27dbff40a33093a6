import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteJobRuns } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Deletes records of job runs older than `jobRunRetentionDays`; the newest of each job stays. */
export async function clearJobRuns(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  await clearRecords(ctx, origin, signal, { table: 'job_runs', clear: (run) => deleteJobRuns(ctx.db, daysAgo(ctx, ctx.config.jobRunRetentionDays), run) });
}
