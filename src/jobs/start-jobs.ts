import { schedule as startTicker } from 'node-cron';
import type { Context } from '../context.ts';
import { ulid } from '../core/random.ts';
import { hasRun, settledBuckets } from '../db/job-runs.ts';
import { dailyTimes, timesUpTo } from './cron.ts';
import type { Job } from './job.ts';
import { MAX_ATTEMPTS, runExclusive } from './run-exclusive.ts';
import { JOBS } from './schedule.ts';

/** How often the schedule is looked at: the finest cron expression, a retry and an expired lease need no more. */
const TICK = '*/5 * * * * *';

export interface RunningJobs {
  /** Looks at the schedule now; resolves when everything due here has run. */
  tick(): Promise<void>;
  /** No new run, and those that can take minutes are interrupted; resolves when all under way have ended. */
  stop(): Promise<void>;
}

/** Starts the ticker (node-cron is no more than that) and catches up at once on what was missed. */
export function startJobs(ctx: Context, jobs: readonly Job[] = JOBS): RunningJobs {
  const holder = ulid(ctx.clock.now(), ctx.random);
  const underWay = new Map<string, Promise<void>>();
  const runners = jobs.map((job) => createCatchUp(ctx, job, holder));
  const stopping = new AbortController();

  async function tick(): Promise<void> {
    if (stopping.signal.aborted) return;
    for (const { name, catchUp } of runners) {
      if (underWay.has(name)) continue;
      const run = catchUp(stopping.signal)
        .catch((error: unknown) => ctx.log.warn({ err: error, job: name }, 'the schedule of a job could not be read'))
        .finally(() => underWay.delete(name));
      underWay.set(name, run);
    }
    await Promise.all(underWay.values());
  }

  const ticker = startTicker(TICK, () => void tick(), { name: 'signet jobs', timezone: 'UTC', suppressMissedWarning: true });
  void tick();
  return {
    tick,
    async stop() {
      stopping.abort(new Error('the replica stops'));
      await ticker.destroy();
      await Promise.all(underWay.values());
    },
  };
}

/** Runs the buckets of one job that are still open, oldest first, one at a time. */
function createCatchUp(ctx: Context, job: Job, holder: string): { name: string; catchUp: (signal: AbortSignal) => Promise<void> } {
  const times = dailyTimes(job.cron);
  /** Up to here nothing is left to do, as far as this process knows; saves asking the database at every tick. */
  let settledUntil = 0;

  async function openBuckets(now: Date): Promise<Date[]> {
    const newest = timesUpTo(times, now, 1);
    if (newest.every((bucket) => bucket.getTime() <= settledUntil)) return [];
    // In a new database nothing was missed.
    const candidates = job.backfill > 0 && (await hasRun(ctx.db, job.name)) ? timesUpTo(times, now, 1 + job.backfill) : newest;
    const first = candidates[0] ?? now;
    const settled = new Set((await settledBuckets(ctx.db, job.name, first, MAX_ATTEMPTS)).map((bucket) => bucket.getTime()));
    return candidates.filter((bucket) => !settled.has(bucket.getTime()));
  }

  return {
    name: job.name,
    async catchUp(signal) {
      const now = ctx.clock.now();
      const open = await openBuckets(now);
      let left = 0;
      for (const bucket of open) {
        if (signal.aborted) return;
        if (job.isDue !== undefined && !(await job.isDue(ctx))) continue;
        if ((await runExclusive(ctx, job, bucket, holder, signal)) !== 'succeeded') left++;
      }
      if (left === 0) settledUntil = timesUpTo(times, now, 1)[0]?.getTime() ?? settledUntil;
    },
  };
}
