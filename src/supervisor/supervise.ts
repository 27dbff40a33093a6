import type { Replica, Started } from '../app.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../core/log.ts';
import { failureOf, startEmbedded, type EmbeddedDatabase } from '../db/embedded.ts';
import { createCrew } from './crew.ts';
import { prepareCluster } from './worker-process.ts';

/** Connections of a worker beside its pool: two that listen. */
const BESIDE_POOL = 2;
/** What the leader needs more at times, and people who look into the database. */
const BESIDE_WORKERS = 20;

/**
 * Runs a replica of several workers. The process that was started becomes their supervisor: it owns the embedded database, where there is none given, starts
 * and replaces workers, carries what they say to each other, and drains them together; the database stops last. It serves nothing itself.
 * @throws StartupError when the database or the first worker cannot start
 */
export async function supervise(config: Config, warnings: readonly string[], log: Logger): Promise<Replica> {
  prepareCluster();
  const crew = createCrew({ config, warnings, log });
  let database: EmbeddedDatabase | undefined;
  let started: Started;
  try {
    if (config.databaseUrl === undefined) {
      const maxConnections = config.workers * (config.databaseConnections + BESIDE_POOL) + BESIDE_WORKERS;
      database = await startEmbedded({ dataDir: config.dataDir, log, maxConnections });
    }
    started = await crew.start(database && { ownerUrl: database.ownerUrl, serviceUrl: database.serviceUrl, servicePassword: database.servicePassword });
  } catch (error) {
    await crew.stop();
    await database?.stop();
    throw error;
  }
  return {
    ...started,
    failed: Promise.race([failureOf(database), crew.failed]),
    async stop() {
      const clean = await crew.stop();
      await database?.stop();
      if (!clean) throw new Error('not every worker ended by itself');
    },
  };
}
