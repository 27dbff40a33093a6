import { randomBytes } from 'node:crypto';
import { connect, type Db } from '../../src/db/client.ts';
import { PRODUCT } from './every-change.ts';
import { databaseUrl, runSql, TEMPLATE } from './postgres.ts';

export { FIXED_NOW } from './postgres.ts';

/** A database of one's own, with the two roles of a real installation. */
export interface TestDatabase {
  name: string;
  /** As the superuser, who owns the tables. */
  ownerUrl: string;
  /** As the service, who cannot change audit rows. */
  serviceUrl: string;
  /** What tests look and write with, past the product. */
  db: Db;
  ownerDb: Db;
  /** As the service, for use cases that a test calls: each change of theirs must be recorded (every-change.ts). */
  product: Db;
  drop(): Promise<void>;
}

/** A database that others are copies of. */
export interface DatabaseMould {
  /** A copy as it was left (30 ms). */
  cast(): Promise<TestDatabase>;
  drop(): Promise<void>;
}

/** Clones the migrated template (30 ms). Partitions stand from two days before the fixed and the real today to 40 days after. */
export function testDatabase(): Promise<TestDatabase> {
  return makeDatabase(`TEMPLATE ${TEMPLATE}`);
}

/** What `prepare` makes once, for every test of a file; it must leave no connection of its own. */
export async function databaseMould(prepare: (database: TestDatabase) => Promise<void>): Promise<DatabaseMould> {
  const database = await testDatabase();
  await prepare(database);
  await Promise.all([database.db, database.ownerDb, database.product].map((one) => one.$disconnect()));
  return { cast: () => makeDatabase(`TEMPLATE ${database.name}`), drop: () => runSql(process.env.SIGNET_TEST_OWNER_URL ?? '', `DROP DATABASE ${database.name} WITH (FORCE)`) };
}

/** Nothing in it yet: what a first start meets. The service's role exists, as the server's. */
export function emptyDatabase(): Promise<TestDatabase> {
  return makeDatabase('');
}

async function makeDatabase(how: string): Promise<TestDatabase> {
  const owner = process.env.SIGNET_TEST_OWNER_URL;
  const service = process.env.SIGNET_TEST_SERVICE_URL;
  if (owner === undefined || service === undefined) throw new Error('no test database: run Jest with --selectProjects service');
  const name = `t_${process.env.JEST_WORKER_ID ?? '0'}_${randomBytes(6).toString('hex')}`;
  await runSql(owner, `CREATE DATABASE ${name} ${how}`);
  const [ownerUrl, serviceUrl] = [databaseUrl(owner, name), databaseUrl(service, name)];
  const pool = { statementTimeoutMs: 20_000, applicationName: name };
  const db = connect(serviceUrl, { ...pool, maxConnections: 10 });
  const product = connect(serviceUrl, { ...pool, maxConnections: 10, applicationName: PRODUCT });
  const ownerDb = connect(ownerUrl, { ...pool, maxConnections: 2 });
  return {
    name,
    ownerUrl,
    serviceUrl,
    db,
    ownerDb,
    product,
    async drop() {
      await Promise.all([db, ownerDb, product].map((one) => one.$disconnect()));
      await runSql(owner, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}
