import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TestDatabase } from '../db.ts';

const POLL_MS = 5;
const SETTLE_MS = 8_000;

/** Rows as they stand in the test database, read as its owner. */
export async function rowsOf<T extends object>(database: Pick<TestDatabase, 'ownerUrl'>, sql: string, values: unknown[] = []): Promise<T[]> {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  try {
    return (await client.query<T>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** A transaction of the test's own that stands in the way of another process at a statement, where no named barrier can stop it. */
export interface Obstacle {
  remove(): Promise<void>;
}

async function obstacle(database: TestDatabase, sql: string, values: unknown[]): Promise<Obstacle> {
  const client = new pg.Client({ connectionString: database.ownerUrl, application_name: 'obstacle' });
  await client.connect();
  await client.query('BEGIN');
  await client.query(sql, values);
  return {
    async remove() {
      await client.query('ROLLBACK');
      await client.end();
    },
  };
}

/** A commit that certifies this key stops after its checks and before it stores anything: the key is being claimed by somebody else, who will not. */
export const obstructKey = (database: TestDatabase, keyHash: Buffer): Promise<Obstacle> =>
  obstacle(database, `INSERT INTO public_keys (key_hash, agent_id, instance_id, first_seen_at, not_after) VALUES ($1, 'obstacle', 'obstacle', now(), now())`, [keyHash]);

/** A change of status stops after its changes and before its commit: the feed's number is held by somebody else. */
export const obstructFeed = (database: TestDatabase): Promise<Obstacle> => obstacle(database, `SELECT FROM counters WHERE name = 'feed' FOR UPDATE`, []);

/** A change of state stops right before its commit: the audit log's number is held by somebody else. */
export const obstructAudit = (database: TestDatabase): Promise<Obstacle> => obstacle(database, `SELECT FROM counters WHERE name = 'audit' FOR UPDATE`, []);

/** A first start stops where it asks whether there is an admin token. */
export const obstructAdminTokens = (database: TestDatabase): Promise<Obstacle> => obstacle(database, 'LOCK TABLE admin_tokens IN ACCESS EXCLUSIVE MODE', []);

/** Resolves when `count` sessions wait for a lock, or when `work` has ended without waiting: as far as it comes while the other is in the way. */
export async function stuckOrDone(database: TestDatabase, count: number, work: Promise<unknown>, patienceMs = SETTLE_MS): Promise<void> {
  let done = false;
  const settled = work.then(
    () => (done = true),
    () => (done = true),
  );
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  try {
    for (const deadline = performance.now() + patienceMs; performance.now() < deadline; await Promise.race([settled, sleep(POLL_MS)])) {
      if (done) return;
      const { rows } = await client.query<{ waiting: number }>(
        `SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      if ((rows[0]?.waiting ?? 0) >= count) return;
    }
    throw new Error(`nobody waited for a lock in ${patienceMs / 1000} s`);
  } finally {
    await client.end();
  }
}

/** Enough for several later batches. */
const HELD_BACK_MS = 400;

/** Gives an enrollment time to be refused or put back: the agent's row is held by somebody, and it waits for a later batch, not for a lock. */
export async function heldBackOrDone(work: Promise<unknown>): Promise<void> {
  await Promise.race([work.catch(() => undefined), sleep(HELD_BACK_MS)]);
}

/** Whether any transaction of Signet is open. */
export async function anyoneAtWork(database: TestDatabase): Promise<boolean> {
  const rows = await rowsOf(database, `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'signet%' AND xact_start IS NOT NULL`);
  return rows.length > 0;
}
