import type { Db } from './client.ts';

/** A time bucket of a job: what a lease is taken on. */
export interface JobBucket {
  job: string;
  bucket: Date;
}

/** Whose lease, and for how long. The database's clock rules leases: replicas need not agree on the time. */
export interface LeaseTerms {
  holder: string;
  leaseSeconds: number;
  maxAttempts: number;
}

/**
 * Takes the lease of a bucket: of a new one, of one whose runner is gone (its lease ran out), or of one that failed and may be tried again.
 * Returns the number of this attempt, or undefined when another holds it, it succeeded, or was tried often enough.
 */
export async function takeLease(db: Db, { job, bucket }: JobBucket, { holder, leaseSeconds, maxAttempts }: LeaseTerms): Promise<number | undefined> {
  const rows = await db.$queryRaw<{ attempts: number }[]>`
    INSERT INTO job_runs AS r (job, bucket, holder, lease_until, attempts, started_at)
    VALUES (${job}, ${bucket}, ${holder}, clock_timestamp() + make_interval(secs => ${leaseSeconds}), 1, clock_timestamp())
    ON CONFLICT (job, bucket) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until, attempts = r.attempts + 1,
      started_at = excluded.started_at, finished_at = NULL, outcome = NULL, error = NULL
    WHERE r.outcome IS DISTINCT FROM 'succeeded' AND r.lease_until < clock_timestamp() AND r.attempts < ${maxAttempts}
    RETURNING attempts`;
  return rows[0]?.attempts;
}

/** Makes the lease last from now on; false when it is no longer ours. */
export async function extendLease(db: Db, { job, bucket }: JobBucket, { holder, leaseSeconds }: LeaseTerms): Promise<boolean> {
  const extended = await db.$executeRaw`
    UPDATE job_runs SET lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds})
    WHERE job = ${job} AND bucket = ${bucket} AND holder = ${holder} AND outcome IS NULL`;
  return extended === 1;
}

/** How a run ended. A failed one may be tried again after `retryAfterSeconds`. */
export type RunEnd = { outcome: 'succeeded' } | { outcome: 'failed'; error: string; retryAfterSeconds: number };

/** Records the end of a run; false when the lease was lost and another runner has it. */
export async function finishRun(db: Db, { job, bucket }: JobBucket, holder: string, end: RunEnd): Promise<boolean> {
  const retrySeconds = end.outcome === 'failed' ? end.retryAfterSeconds : 0;
  const finished = await db.$executeRaw`
    UPDATE job_runs SET outcome = ${end.outcome}, error = ${end.outcome === 'failed' ? end.error : null}, finished_at = clock_timestamp(),
      lease_until = clock_timestamp() + make_interval(secs => ${retrySeconds})
    WHERE job = ${job} AND bucket = ${bucket} AND holder = ${holder} AND outcome IS NULL`;
  return finished === 1;
}

/** Buckets of a job from `since` on that succeeded, or failed for good. */
export async function settledBuckets(db: Db, job: string, since: Date, maxAttempts: number): Promise<Date[]> {
  const rows = await db.jobRun.findMany({
    where: { job, bucket: { gte: since }, OR: [{ outcome: 'succeeded' }, { outcome: 'failed', attempts: { gte: maxAttempts } }] },
    select: { bucket: true },
    orderBy: { bucket: 'asc' },
  });
  return rows.map((row) => row.bucket);
}

/** True once the job has ever run in this database: before that nothing was missed. */
export async function hasRun(db: Db, job: string): Promise<boolean> {
  return (await db.jobRun.findFirst({ where: { job }, select: { job: true } })) !== null;
}
