import type { Context } from '../context.ts';
import { redactSecrets } from '../core/log.ts';
import { extendLease, finishRun, takeLease, type JobBucket, type LeaseTerms } from '../db/job-runs.ts';
import { jobOrigin, type Job } from './job.ts';

/** How long a runner may be silent before another may take its bucket. */
export const LEASE_SECONDS = 60;
/** Tries of one bucket; after them the next bucket is the next chance. */
export const MAX_ATTEMPTS = 5;
const RETRY_SECONDS = 10;
const ERROR_MAX = 500;
const NEVER = new AbortController().signal;

/** `taken`: another runner has the bucket, or it is settled. */
export type RunResult = 'succeeded' | 'failed' | 'taken';

/**
 * Runs a job for one time bucket if this process gets its lease. The lease is extended while the job runs and runs out when the process dies;
 * its row is the record of the run. Never throws for a job that fails; that is recorded, and tried again with growing waits.
 * @throws when the lease cannot be asked for: the database is away
 */
export async function runExclusive(ctx: Context, job: Job, bucket: Date, holder: string, signal: AbortSignal = NEVER): Promise<RunResult> {
  const run: JobBucket = { job: job.name, bucket };
  const terms: LeaseTerms = { holder, leaseSeconds: LEASE_SECONDS, maxAttempts: MAX_ATTEMPTS };
  const attempt = await takeLease(ctx.db, run, terms);
  if (attempt === undefined) return 'taken';

  const heartbeat = setInterval(() => {
    extendLease(ctx.db, run, terms).catch((error: unknown) => ctx.log.warn({ err: error, job: job.name }, 'a job lease could not be extended'));
  }, (LEASE_SECONDS / 3) * 1000);
  heartbeat.unref();
  const startedMs = ctx.clock.monotonicMs();
  let failure: unknown;
  try {
    await job.run(ctx, jobOrigin(job.name), signal);
  } catch (error) {
    failure = error ?? new Error('unknown');
    if (failure === signal.reason) ctx.log.info({ job: job.name, bucket }, 'a job was interrupted: this replica stops');
    else ctx.log.error({ err: error, job: job.name, bucket, attempt }, 'a job failed');
  } finally {
    clearInterval(heartbeat);
  }
  const outcome = failure === undefined ? 'succeeded' : 'failed';
  const recorded = await finishRun(
    ctx.db, run, holder,
    outcome === 'succeeded' ? { outcome } : { outcome, error: describe(failure), retryAfterSeconds: RETRY_SECONDS * 2 ** (attempt - 1) },
  );
  if (!recorded) ctx.log.warn({ job: job.name, bucket }, 'the lease of a job was lost before it ended');
  ctx.metrics.jobRuns.inc({ job: job.name, outcome });
  ctx.metrics.jobDuration.observe({ job: job.name }, (ctx.clock.monotonicMs() - startedMs) / 1000);
  return outcome;
}

/** What went wrong, short and without secrets: it is shown by GET /v1/jobs. */
function describe(failure: unknown): string {
  const message = failure instanceof Error ? `${failure.name}: ${failure.message}` : 'unknown failure';
  return redactSecrets(message).slice(0, ERROR_MAX);
}
