import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteJobRuns } from '../db/retention.ts';
import { daysAgo, recordCleared } from './records-cleared.ts';

/** Deletes records of job runs older than `jobRunRetentionDays`; the newest of each job stays. */
export async function clearJobRuns(ctx: Context, origin: Origin): Promise<void> {
  await recordCleared(ctx, origin, 'job_runs', await deleteJobRuns(ctx.db, daysAgo(ctx, ctx.config.jobRunRetentionDays)));
}
