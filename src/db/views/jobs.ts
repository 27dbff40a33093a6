import type { Db } from '../client.ts';

/** One run of a job: one time bucket. */
export interface JobRunView {
  job: string;
  bucket: Date;
  startedAt: Date;
  finishedAt: Date | null;
  outcome: 'succeeded' | 'failed' | null;
  attempts: number;
  error: string | null;
}

/** The newest run of every job that ever ran here. */
export async function lastRuns(db: Db): Promise<JobRunView[]> {
  return db.$queryRaw<JobRunView[]>`
    SELECT DISTINCT ON (job) job, bucket, started_at AS "startedAt", finished_at AS "finishedAt", outcome, attempts, error
    FROM job_runs ORDER BY job, bucket DESC`;
}
