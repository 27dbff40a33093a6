import { StartupError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Config } from '../config/schema.ts';
import { connect, type Db } from '../db/client.ts';
import { FolderInUse } from '../db/data-lock.ts';
import { hasEmbedded, joinEmbedded, SERVICE_ROLE, startEmbedded } from '../db/embedded.ts';
import { ensureServiceRole, roleOf } from '../db/roles.ts';

/** The database of this installation, whether the service runs or not. */
export interface LocalDatabase {
  ownerUrl: string;
  embedded: boolean;
  /** Gives the service's role its rights, which new tables change; makes it with an embedded database. */
  ensureServiceRole(): Promise<void>;
  close(): Promise<void>;
}

/**
 * As the service finds it: the one given; or the embedded one, joined where a running service has it, else started for as long as the command takes.
 * `make`: an embedded one may be made.
 * @throws StartupError when there is none
 */
export async function openLocalDatabase(config: Config, log: Logger, { make = false } = {}): Promise<LocalDatabase> {
  const { databaseUrl } = config;
  if (databaseUrl !== undefined) {
    const ownerUrl = config.ownerDatabaseUrl ?? databaseUrl;
    return {
      ownerUrl,
      embedded: false,
      async ensureServiceRole() {
        if (ownerUrl !== databaseUrl) await ensureServiceRole(ownerUrl, { name: await roleOf(databaseUrl) });
      },
      close: () => Promise.resolve(),
    };
  }
  if (!make && !hasEmbedded(config.dataDir)) {
    throw new StartupError(`there is no database in ${config.dataDir}: set SIGNET_DATA_DIR to the data folder of this Signet, or DATABASE_URL to its database, and run as its user`, 78);
  }
  const embedded = await startEmbedded({ dataDir: config.dataDir, log }).catch((error: unknown) => {
    if (error instanceof FolderInUse) return { ...joinEmbedded(config.dataDir), stop: () => Promise.resolve() };
    throw error;
  });
  return {
    ownerUrl: embedded.ownerUrl,
    embedded: true,
    ensureServiceRole: () => ensureServiceRole(embedded.ownerUrl, { name: SERVICE_ROLE, password: embedded.servicePassword }),
    close: () => embedded.stop(),
  };
}

/** Statements of local commands may take long: a recovery reads lists of a million entries. */
const STATEMENT_TIMEOUT_MS = 600_000;

/** Uses the local database as its owner, and closes everything after it. */
export async function withOwner<T>(database: Pick<LocalDatabase, 'ownerUrl'>, use: (ownerDb: Db) => Promise<T>): Promise<T> {
  const ownerDb = connect(database.ownerUrl, { maxConnections: 3, statementTimeoutMs: STATEMENT_TIMEOUT_MS, applicationName: 'signet-admin' });
  try {
    return await use(ownerDb);
  } finally {
    await ownerDb.$disconnect();
  }
}

export async function withLocalDatabase<T>(config: Config, log: Logger, use: (database: LocalDatabase) => Promise<T>, options?: { make?: boolean }): Promise<T> {
  const database = await openLocalDatabase(config, log, options);
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}
