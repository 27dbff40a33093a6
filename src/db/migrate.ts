import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import * as engine from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';
import { StartupError } from '../core/errors.ts';
import { ADVISORY_LOCK, LOCK_CLASS } from './advisory-locks.ts';

/** prisma/ of this installation: two folders above src/db as above dist/db. */
const PRISMA_FOLDER = path.resolve(import.meta.dirname, '../../prisma');
/** SQLSTATE of a statement that waited longer than lock_timeout. */
const LOCK_NOT_AVAILABLE = '55P03';
/** All that applying needs to know of a schema. */
const DATASOURCE = 'datasource db {\n  provider = "postgresql"\n}\n';
/** Held by every script for its transaction. */
const TAKE_SCRIPT_LOCK = `SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${ADVISORY_LOCK.migrationScript})`;
const FILTERS: engine.SchemaFilter = { externalTables: [], externalEnums: [] };

export interface MigrateOptions {
  prismaFolder?: string;
  /** Apply these only: the level of a dump that is being restored. */
  only?: readonly string[];
  /** The caller is the restore that is under way. */
  restoring?: boolean;
}

/**
 * Brings the database to the newest migration, and returns the names of what was applied (nothing: []). Run it under the start lock, as the owner.
 * Prisma's own engine does it, so `_prisma_migrations` is what its command line would have written; that command line itself is never used
 * (without its downloaded engine it exits 0 and does nothing). A migration is one transaction: it may be killed and started again.
 * @throws StartupError when a migration fails, was changed after it was applied, the database is newer than this program, or half restored
 */
export async function migrate(ownerUrl: string, { prismaFolder = PRISMA_FOLDER, only, restoring = false }: MigrateOptions = {}): Promise<string[]> {
  const migrations = listMigrations(prismaFolder).filter(({ name }) => only === undefined || only.includes(name));
  const done = await withClient(ownerUrl, async (client) => {
    if (!restoring) await assertNotHalfRestored(client);
    return appliedMigrations(client);
  });
  assertKnown(done, listMigrations(prismaFolder));
  if (migrations.every(({ name }) => done.some((applied) => applied.name === name))) return [];
  return withEngine(ownerUrl, migrations, async (engineOfDatabase) => {
    const input = { migrationsList: asMigrationList(prismaFolder, migrations), filters: FILTERS };
    return (await engineOfDatabase.applyMigrations(input)).appliedMigrationNames;
  });
}

/** What `migrate` would apply, without changing anything. @throws StartupError as `migrate` */
export async function pendingMigrations(ownerUrl: string, prismaFolder = PRISMA_FOLDER): Promise<string[]> {
  const done = await withClient(ownerUrl, async (client) => {
    await assertNotHalfRestored(client);
    return (await isMigrated(client)) ? readApplied(client) : [];
  });
  const known = listMigrations(prismaFolder);
  assertKnown(done, known);
  return known.map(({ name }) => name).filter((name) => !done.some((applied) => applied.name === name));
}

/** @throws StartupError (78) when this program does not know one of a backup's migrations, or knows it otherwise */
export function assertKnownMigrations(applied: readonly AppliedMigration[]): void {
  assertKnown(applied, listMigrations(PRISMA_FOLDER), 'backup');
}

function assertKnown(applied: readonly AppliedMigration[], migrations: readonly Migration[], what: 'database' | 'backup' = 'database'): void {
  for (const { name, checksum } of applied) {
    const known = migrations.find((migration) => migration.name === name);
    if (known === undefined) {
      throw new StartupError(`the ${what} carries the migration ${name}, which this Signet does not know: it was used by a newer one. Nothing was changed; use that Signet, or a backup made before it`, 78);
    }
    if (known.checksum !== checksum) throw new StartupError(`the migration ${name} was changed after the ${what} got it`, 78);
  }
}

/** A migration the database has; `checksum` as recorded then. */
export interface AppliedMigration {
  name: string;
  checksum: string;
}

/**
 * Stands in a database that a restore has begun to fill and not finished (db/dump.ts): a function that returns how far it came. A function, because the
 * schema engine refuses to begin where there is any table.
 */
export const RESTORATION = 'signet_restoration';

async function assertNotHalfRestored(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>('SELECT to_regprocedure($1) IS NOT NULL AS there', [`${RESTORATION}()`]);
  if (rows[0]?.there === true) throw new StartupError('a backup is being restored into this database, or its restore was cut short: wait for it, or run signet restore again with the same file', 78);
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

const isMigrated = async (client: pg.Client): Promise<boolean> =>
  (await client.query<{ there: boolean }>("SELECT to_regclass('_prisma_migrations') IS NOT NULL AS there")).rows[0]?.there === true;

const readApplied = async (client: pg.Client): Promise<AppliedMigration[]> =>
  (await client.query<AppliedMigration>('SELECT migration_name AS name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY 1')).rows;

interface Migration {
  name: string;
  sql: string;
  /** SHA-256 of the file, hex, as the engine records it. */
  checksum: string;
}

function listMigrations(prismaFolder: string): Migration[] {
  const folder = path.join(prismaFolder, 'migrations');
  return fs
    .readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => {
      const sql = fs.readFileSync(path.join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * What is applied. Read without the engine: an unchanged database (every start but the first) pays for one query only.
 * An unfinished row is what a killed run left: nothing of its migration is there (see `inOneTransaction`), so it is forgotten;
 * the server may still be running a killed client's script, and is waited for.
 */
async function appliedMigrations(client: pg.Client): Promise<AppliedMigration[]> {
  if (!(await isMigrated(client))) return [];
  await client.query('BEGIN');
  await client.query(TAKE_SCRIPT_LOCK);
  await client.query('DELETE FROM _prisma_migrations WHERE finished_at IS NULL');
  const applied = await readApplied(client);
  await client.query('COMMIT');
  return applied;
}

function asMigrationList(prismaFolder: string, migrations: Migration[]): engine.MigrationList {
  return {
    baseDir: path.join(prismaFolder, 'migrations'),
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: migrations.map(({ name, sql }) => ({ path: name, migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql } } })),
  };
}

/** A pool of our own: the engine's free() closes nothing, and an idle session blocks CREATE DATABASE ... TEMPLATE. */
async function withEngine<T>(url: string, migrations: Migration[], use: (engineOfDatabase: engine.SchemaEngine) => Promise<T>): Promise<T> {
  loaded ??= loadEngine();
  await loaded;
  const pool = new pg.Pool({ connectionString: url, max: 2, allowExitOnIdle: true });
  // The engine itself says only that some error came from outside.
  let scriptFault: StartupError | undefined;
  try {
    const factory = bindMigrationAwareSqlAdapterFactory(inOneTransaction(pool, migrations, (fault) => (scriptFault = fault)));
    const engineOfDatabase = await engine.SchemaEngine.new({ datamodels: [['schema.prisma', DATASOURCE]] }, () => undefined, factory);
    try {
      return await use(engineOfDatabase);
    } finally {
      engineOfDatabase.free();
    }
  } catch (error) {
    throw scriptFault ?? new StartupError(`the database could not be migrated: ${(error as Error).message}`, 70, error);
  } finally {
    await pool.end();
  }
}

/**
 * The adapter cuts a script at every ';', in comments and function bodies too, and sends the pieces one by one. Sent whole it is one transaction,
 * and the last thing in it marks the migration finished: an unfinished row always means that nothing was done.
 */
function inOneTransaction(pool: pg.Pool, migrations: Migration[], onFault: (fault: StartupError) => void): PrismaPg {
  const factory = new PrismaPg(pool);
  const connect = factory.connect.bind(factory);
  factory.connect = async () => {
    const adapter = await connect();
    adapter.executeScript = async (script) => {
      const migration = migrations.find(({ sql }) => sql === script);
      const finish = migration === undefined ? '' : `\n;\nUPDATE _prisma_migrations SET finished_at = now() WHERE migration_name = '${migration.name}' AND finished_at IS NULL`;
      try {
        await pool.query(`${TAKE_SCRIPT_LOCK};\n${script}${finish}`);
      } catch (error) {
        const next = (error as pg.DatabaseError).code === LOCK_NOT_AVAILABLE ? '. Somebody reads or changes its tables for long (a backup, a report): run it again when that has ended' : '';
        onFault(new StartupError(`the migration ${migration?.name ?? ''} failed, and nothing of it was done: ${(error as Error).message}${next}`, 70, error));
        throw error;
      }
    };
    return adapter;
  };
  return factory;
}

let loaded: Promise<void> | undefined;

/** Node does not load the package's .wasm import by itself. */
async function loadEngine(): Promise<void> {
  const file = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg').replace(/\.js$/, '.wasm');
  const { instance } = await WebAssembly.instantiate(fs.readFileSync(file), { './schema_engine_bg.js': importsWithoutLingeringTimers() });
  (engine as unknown as { __wbg_set_wasm(exports: WebAssembly.Exports): void }).__wbg_set_wasm(instance.exports);
  (instance.exports.__wbindgen_start as (() => void) | undefined)?.();
}

/** The engine never clears its 10 s advisory-lock timer: unless unref'ed it would keep the process alive. */
function importsWithoutLingeringTimers(): Record<string, unknown> {
  const imports: Record<string, unknown> = { ...engine };
  for (const [key, original] of Object.entries(imports)) {
    if (!key.startsWith('__wbg_setTimeout')) continue;
    imports[key] = (...args: unknown[]) => {
      const real = globalThis.setTimeout;
      globalThis.setTimeout = ((work: () => void, ms?: number) => real(work, ms).unref()) as typeof setTimeout;
      try {
        return (original as (...a: unknown[]) => unknown)(...args);
      } finally {
        globalThis.setTimeout = real;
      }
    };
  }
  return imports;
}
