import type { Db } from '../client.ts';
import { COMPLETE } from '../crls.ts';

/** Resolves when the database answers. */
export async function pingDatabase(db: Db): Promise<void> {
  await db.$queryRaw`SELECT 1`;
}

/** A list that relying parties ask for, and when it was published; nulls: never. */
export interface ListState {
  issuerId: string;
  shard: number;
  isComplete: boolean;
  thisUpdate: Date | null;
  nextUpdate: Date | null;
}

/** Lists that were published before `publishedBefore`, or never, or that begin after `beginsAfter`, the oldest first; at most `limit`. */
export const untimelyLists = (db: Db, { publishedBefore, beginsAfter }: { publishedBefore: Date; beginsAfter: Date }, limit: number): Promise<ListState[]> =>
  db.$queryRaw`
    SELECT l.issuer_id AS "issuerId", l.shard, l.shard = ${COMPLETE} AS "isComplete", l.this_update AS "thisUpdate", l.next_update AS "nextUpdate"
    FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id
    WHERE a.state <> 'retired' AND (coalesce(l.this_update, a.created_at) < ${publishedBefore} OR l.this_update > ${beginsAfter}) ORDER BY l.this_update NULLS FIRST LIMIT ${limit}`;

/** Lists past half of their life, and those that were never published in half of what a life would be; at most `limit`. */
export const wornLists = (db: Db, now: Date, validitySeconds: number, limit: number): Promise<ListState[]> =>
  db.$queryRaw`
    SELECT l.issuer_id AS "issuerId", l.shard, l.shard = ${COMPLETE} AS "isComplete", l.this_update AS "thisUpdate", l.next_update AS "nextUpdate"
    FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id
    WHERE a.state <> 'retired' AND ${now} > CASE WHEN l.next_update IS NULL THEN a.created_at + ${validitySeconds}::int * interval '0.5 second' ELSE l.this_update + (l.next_update - l.this_update) / 2 END
    ORDER BY l.next_update NULLS FIRST LIMIT ${limit}`;

/** How the last runs of a job went. */
export interface JobHealth {
  job: string;
  /** Outcomes of the newest runs that ended, newest first. */
  outcomes: ('succeeded' | 'failed')[];
  lastSuccessAt: Date | null;
}

/** Of each job by its own index entries, however many runs are kept. `runs`: how many outcomes. */
export const jobHealth = (db: Db, jobs: readonly string[], runs: number): Promise<JobHealth[]> =>
  db.$queryRaw`
    SELECT j.job, ARRAY(SELECT r.outcome FROM job_runs r WHERE r.job = j.job AND r.outcome IS NOT NULL ORDER BY r.bucket DESC LIMIT ${runs}) AS outcomes,
      (SELECT r.finished_at FROM job_runs r WHERE r.job = j.job AND r.outcome = 'succeeded' ORDER BY r.bucket DESC LIMIT 1) AS "lastSuccessAt"
    FROM unnest(${jobs}::text[]) AS j (job)`;

/** Days from `today` on (days since 1970) that have a partition of certificates, up to the first that has none. */
export async function partitionDaysAhead(db: Db, today: number): Promise<number> {
  const [row] = await db.$queryRaw<{ buckets: number[] }[]>`
    SELECT coalesce(array_agg(substr(c.relname, length('certificates_d') + 1)::integer), '{}') AS buckets
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'certificates'::regclass AND c.relname ~ '^certificates_d[0-9]{1,8}$'`;
  const there = new Set(row?.buckets);
  let days = 0;
  while (there.has(today + days)) days++;
  return days;
}

/** When the cluster was made: jobs of a young one have not had their time yet. */
export async function clusterSince(db: Db): Promise<Date | undefined> {
  return (await db.cluster.findFirst({ select: { createdAt: true } }))?.createdAt;
}

/** What time it is for the database. */
export async function databaseClock(db: Db): Promise<Date> {
  const [row] = await db.$queryRaw<{ at: Date }[]>`SELECT clock_timestamp() AS at`;
  if (!row) throw new Error('no answer');
  return row.at;
}
