import pg from 'pg';
import { StartupError } from '../core/errors.ts';
import { ADVISORY_LOCK, LOCK_CLASS } from './advisory-locks.ts';

const PATIENCE_MS = 120_000;

/**
 * Runs `work` while no other replica runs its own: one lock around migrations and the first start. The lock is a session's, so it ends with this process
 * at the latest; `ownerUrl` must be a direct connection or a session-mode pooler.
 * @throws StartupError (69) when the database cannot be reached, or another start does not end
 */
export async function withStartLock<T>(ownerUrl: string, work: () => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'signet-start', keepAlive: true, connectionTimeoutMillis: 10_000 });
  let lost: Error | undefined;
  client.on('error', (error) => {
    lost = error;
  });
  try {
    await client.connect();
  } catch (error) {
    throw new StartupError(`the database cannot be reached: ${(error as Error).message}`, 69, error);
  }
  try {
    await client.query(`SET lock_timeout = ${PATIENCE_MS}`);
    await client.query('SELECT pg_advisory_lock($1, $2)', [LOCK_CLASS, ADVISORY_LOCK.start]).catch((error: unknown) => {
      throw new StartupError(`another Signet has been starting on this database for ${PATIENCE_MS / 1000} s: ${(error as Error).message}`, 69, error);
    });
    const result = await work();
    if (lost !== undefined) throw new StartupError(`the connection that holds the start lock was lost: ${lost.message}`, 69, lost);
    return result;
  } finally {
    await client.end().catch(() => undefined);
  }
}
