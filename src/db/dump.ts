import { once } from 'node:events';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { StartupError } from '../core/errors.ts';
import { RESTORATION, type AppliedMigration } from './migrate.ts';

/** A table in a dump, in an order in which each comes after those it refers to. */
export interface DumpedTable {
  name: string;
  columns: string[];
}

/** What a dump is of. */
export interface DumpFacts {
  /** server_version_num. */
  postgres: number;
  migrations: AppliedMigration[];
  cluster: { id: string; epoch: number; trustDomain: string };
  feedN: string;
  auditN: string;
  /** Of the last audit event in it; null without one. */
  lastAuditAt: string | null;
  /** Ids of the key-encryption keys under which private keys in it are sealed. */
  keks: string[];
  /** Days of expiry that have a partition. */
  partitions: number[];
  tables: DumpedTable[];
}

/** The database as of one moment. */
export interface Snapshot {
  facts: DumpFacts;
  /** Rows of a table as COPY's text format has them. */
  rows: (table: DumpedTable) => AsyncIterable<Buffer>;
}

async function withClient<T>(ownerUrl: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'signet-backup', keepAlive: true, connectionTimeoutMillis: 10_000 });
  // What breaks the connection fails the statement under way as well.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw new StartupError(`the database cannot be reached: ${(error as Error).message}`, 69, error);
  }
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Reads the database as of one moment (REPEATABLE READ), while it is used. Needs a role that may read every table.
 * @throws StartupError (69) when it cannot be reached; (78) when there is no Signet in it, or a half restored one
 */
export async function withSnapshot<T>(ownerUrl: string, use: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  return withClient(ownerUrl, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const facts = await readFacts(client);
    const result = await use({ facts, rows: (table) => client.query(copyTo(`COPY (SELECT ${columnList(table)} FROM ${quote(table.name)}) TO STDOUT`)) });
    await client.query('COMMIT');
    return result;
  });
}

/** Whether there is something to back up: before anything is written. @throws StartupError as `withSnapshot` */
export const assertWhole = (ownerUrl: string): Promise<void> => withSnapshot(ownerUrl, () => Promise.resolve());

const CLUSTER = 'SELECT id, epoch, trust_domain AS "trustDomain" FROM cluster';

async function readFacts(client: pg.Client): Promise<DumpFacts> {
  const one = async <R extends pg.QueryResultRow>(sql: string): Promise<R> => (await client.query<R>(sql)).rows[0] as R;
  const { there, half } = await one<{ there: boolean; half: boolean }>(
    `SELECT to_regclass('_prisma_migrations') IS NOT NULL AND to_regclass('cluster') IS NOT NULL AS there, to_regprocedure('${RESTORATION}()') IS NOT NULL AS half`,
  );
  if (half) throw new StartupError('a restore into this database was begun and not finished: there is nothing whole in it to back up', 78);
  const { rows: clusters } = there ? await client.query<DumpFacts['cluster']>(CLUSTER) : { rows: [] };
  const [cluster] = clusters;
  if (!cluster) throw new StartupError('there is no Signet in this database: nothing to back up', 78);
  const { postgres } = await one<{ postgres: number }>("SELECT current_setting('server_version_num')::int AS postgres");
  const numbers = await one<{ feedN: string; auditN: string; lastAuditAt: Date | null }>(
    `SELECT f.value::text AS "feedN", a.value::text AS "auditN", (SELECT at FROM audit_events ORDER BY n DESC LIMIT 1) AS "lastAuditAt" FROM counters f, counters a WHERE f.name = 'feed' AND a.name = 'audit'`,
  );
  const { keks } = await one<{ keks: string[] }>("SELECT coalesce(array_agg(id ORDER BY id), '{}') AS keks FROM key_encryption_keys");
  const { partitions } = await one<{ partitions: number[] }>(
    `SELECT coalesce(array_agg(substr(c.relname, 15)::int ORDER BY 1), '{}') AS partitions FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'certificates'::regclass AND c.relname ~ '^certificates_d[0-9]{1,8}$'`,
  );
  const { rows: migrations } = await client.query<AppliedMigration>('SELECT migration_name AS name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY 1');
  return { postgres, migrations, cluster, ...numbers, lastAuditAt: numbers.lastAuditAt?.toISOString() ?? null, keks, partitions, tables: await readTables(client) };
}

const TABLES = `
  SELECT c.oid::int AS oid, c.relname::text AS name, (
    SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  ) AS columns, (
    SELECT coalesce(array_agg(f.confrelid::int), '{}') FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid
  ) AS refers
  FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relname !~ '^certificates_d[0-9]+$' AND c.relname <> '_prisma_migrations' ORDER BY c.relname`;

/** Every table, each after those it refers to. */
async function readTables(client: pg.Client): Promise<DumpedTable[]> {
  let { rows: left } = await client.query<{ oid: number; name: string; columns: string[]; refers: number[] }>(TABLES);
  const ordered: DumpedTable[] = [];
  while (left.length > 0) {
    const waiting = new Set(left.map(({ oid }) => oid));
    const free = left.filter(({ refers }) => !refers.some((oid) => waiting.has(oid)));
    if (free.length === 0) throw new Error('tables refer to each other in a circle');
    ordered.push(...free.map(({ name, columns }) => ({ name, columns })));
    left = left.filter((table) => !free.includes(table));
  }
  return ordered;
}

const quote = (name: string): string => pg.escapeIdentifier(name);
const columnList = ({ columns }: DumpedTable): string => columns.map(quote).join(', ');

/** How far a restore into a database has come. `loaded`: the data is in, from the dump with this SHA-256. */
export type Restoration = { state: 'empty' } | { state: 'in-use' } | { state: 'begun'; sha256: string; loaded: boolean };

/** @throws StartupError (69) when the database cannot be reached */
export async function readRestoration(ownerUrl: string): Promise<Restoration> {
  return withClient(ownerUrl, async (client) => {
    const { rows: marker } = await client.query<{ there: boolean }>('SELECT to_regprocedure($1) IS NOT NULL AS there', [`${RESTORATION}()`]);
    if (marker[0]?.there === true) {
      const { rows } = await client.query<{ progress: { sha256: string; loaded: boolean } }>(`SELECT ${RESTORATION}() AS progress`);
      return rows[0] ? { state: 'begun', ...rows[0].progress } : { state: 'in-use' };
    }
    const { rows } = await client.query<{ empty: boolean }>("SELECT NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace) AND NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace) AS empty");
    return { state: rows[0]?.empty === true ? 'empty' : 'in-use' };
  });
}

/** From here on no Signet starts on this database, until `endRestoration`. */
export async function beginRestoration(ownerUrl: string, sha256: string): Promise<void> {
  await withClient(ownerUrl, (client) => client.query(noteProgress({ sha256, loaded: false })));
}

/** Rows for a table, in the order of the dump. */
export interface TableRows {
  table: DumpedTable;
  /** As COPY's text format has them. */
  rows: AsyncIterable<Buffer>;
}

/**
 * Loads a dump into the migrated tables, each of them once and no other: the owner may write the system catalogue too, and what the dump names is only a file's
 * word. What its header says of the cluster must be what is in it. In one transaction that also notes it as loaded. What the migrations themselves put into a table goes first.
 * @throws StartupError (70) when it does not fit; nothing of it is there then
 */
export async function loadTables(ownerUrl: string, { sha256, cluster }: Pick<DumpFacts, 'cluster'> & { sha256: string }, tables: AsyncIterable<TableRows>): Promise<void> {
  await withClient(ownerUrl, async (client) => {
    await client.query('BEGIN');
    const left = new Map((await readTables(client)).map(({ name, columns }) => [name, columns]));
    for await (const { table, rows } of tables) {
      const columns = left.get(table.name);
      if (!left.delete(table.name) || !isSameSet(columns, table.columns)) throw misfit(`table ${table.name} of the backup, with these columns, is none of its schema's`);
      const { rows: seeds } = await client.query<{ there: boolean }>(`SELECT EXISTS (SELECT FROM ${quote(table.name)}) AS there`);
      // Not always: append-only tables refuse the statement itself.
      if (seeds[0]?.there === true) await client.query(`DELETE FROM ${quote(table.name)}`);
      await copyRows(client, table, rows).catch((error: unknown) => {
        throw new StartupError(`table ${table.name} of the backup could not be loaded, and nothing was: ${(error as Error).message}`, 70, error);
      });
    }
    if (left.size > 0) throw misfit(`the backup lacks ${[...left.keys()].join(', ')}`);
    const { rows: loaded } = await client.query<DumpFacts['cluster']>(CLUSTER);
    const [world] = loaded;
    if (loaded.length !== 1 || world?.id !== cluster.id || world.epoch !== cluster.epoch || world.trustDomain !== cluster.trustDomain) {
      throw misfit('the cluster in the backup, its epoch or its trust domain is not the one that its header names');
    }
    await client.query(noteProgress({ sha256, loaded: true }));
    await client.query('COMMIT');
  });
}

const misfit = (why: string): StartupError => new StartupError(`${why}; nothing was loaded`, 70);

const isSameSet = (a: readonly string[] = [], b: readonly string[]): boolean => a.length === b.length && new Set([...a, ...b]).size === a.length;

async function copyRows(client: pg.Client, table: DumpedTable, rows: AsyncIterable<Buffer>): Promise<void> {
  const into = client.query(copyFrom(`COPY ${quote(table.name)} (${columnList(table)}) FROM STDIN`));
  const ended = once(into, 'finish');
  ended.catch(() => undefined);
  for await (const chunk of rows) {
    if (!into.write(chunk)) await Promise.race([once(into, 'drain'), ended]);
  }
  into.end();
  await ended;
}

const noteProgress = (progress: { sha256: string; loaded: boolean }): string =>
  `CREATE OR REPLACE FUNCTION ${RESTORATION}() RETURNS json LANGUAGE sql AS $$ SELECT ${pg.escapeLiteral(JSON.stringify(progress))}::json $$`;

/** The statement that ends a restoration, inside the transaction that notes the restored world. */
export const END_RESTORATION = `DROP FUNCTION ${RESTORATION}()`;
