import type { Clock } from '../core/clock.ts';
import type { Db } from '../db/client.ts';
import { lastRuns, type JobRunView } from '../db/views/jobs.ts';
import { dailyTimes, timeAfter } from './cron.ts';
import { JOBS } from './schedule.ts';

/** A job as operators see it. */
export interface JobView {
  name: string;
  /** Cron expression, UTC. */
  schedule: string;
  lastRun: JobRunView | null;
  nextRunAt: Date;
}

/** Every job of the schedule with its last run in the cluster and the next time it is looked at. */
export async function listJobs(ctx: { db: Db; clock: Clock }): Promise<JobView[]> {
  const now = ctx.clock.now();
  const last = new Map((await lastRuns(ctx.db)).map((run) => [run.job, run]));
  return JOBS.map(({ name, cron }) => ({ name, schedule: cron, lastRun: last.get(name) ?? null, nextRunAt: timeAfter(dailyTimes(cron), now) }));
}
