import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { connect } from '../../src/db/client.ts';
import { lockFolder, stopLeftover } from '../../src/db/data-lock.ts';
import { SERVICE_ROLE, startEmbedded } from '../../src/db/embedded.ts';
import { migrate } from '../../src/db/migrate.ts';
import { ensurePartitions } from '../../src/db/partitions.ts';
import { closedFolder, serverUser } from '../../src/db/postgres-binaries.ts';
import { ensureServiceRole } from '../../src/db/roles.ts';
import { everyChangeSql } from './every-change.ts';

/** The database that every test file's own is cloned from: migrated, two roles, partitions. */
export const TEMPLATE = 'tpl';
/** The fixed clock of deterministic tests. */
export const FIXED_NOW = new Date('2026-11-21T00:00:00Z');

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

export interface TestServer {
  /** As the superuser, to the template's server; put a database in with `databaseUrl`. */
  ownerUrl: string;
  serviceUrl: string;
  stop(): Promise<void>;
}

/** The first of the usual temporary folders that PostgreSQL's user can reach: as root, a TMPDIR below a closed folder is not. */
function reachableTemp(): string {
  const user = serverUser('');
  return [os.tmpdir(), '/tmp', '/var/tmp'].find((folder) => fs.existsSync(folder) && closedFolder(folder, user) === undefined) ?? os.tmpdir();
}

export function temporaryFolder(prefix: string): string {
  return fs.mkdtempSync(path.join(reachableTemp(), prefix));
}

/** Copied binaries (the checkout of root below a closed folder) serve all runs of one user; never taken from a folder that others can write. */
export function binariesFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const folder = path.join(reachableTemp(), `signet-test-binaries-${uid}`);
  const existing = fs.lstatSync(folder, { throwIfNoEntry: false });
  const ours = existing === undefined || (existing.isDirectory() && existing.uid === uid && (existing.mode & 0o022) === 0);
  return ours ? folder : temporaryFolder('signet-test-binaries-');
}

/** The same server and role, another database. */
export function databaseUrl(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

/** One statement on a connection of its own, outside any transaction. */
export async function runSql(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** Stops and removes what killed runs left behind. The age spares a run that has made its folder and not yet locked it. */
async function sweep(): Promise<void> {
  const folder = reachableTemp();
  for (const name of fs.readdirSync(folder).filter((entry) => /^signet-(test|data|embedded)-/.test(entry))) {
    const dataDir = path.join(folder, name);
    const work = path.join(dataDir, 'postgres');
    const { uid, mtimeMs } = fs.lstatSync(dataDir, { throwIfNoEntry: false }) ?? {};
    if (uid !== process.getuid?.() || mtimeMs === undefined || Date.now() - mtimeMs < HOUR_MS || !fs.existsSync(work)) continue;
    const lock = await lockFolder(work).catch(() => undefined);
    if (lock === undefined) continue;
    await stopLeftover(path.join(work, 'data'));
    fs.rmSync(dataDir, { recursive: true, force: true });
    await lock.release();
  }
}

/** A server without durability, with the template in it. */
export async function startTestServer(): Promise<TestServer> {
  await sweep();
  const dataDir = temporaryFolder('signet-test-');
  const server = await startEmbedded({ dataDir, fast: true, maxConnections: 300, binariesDir: binariesFolder() });
  const stop = async () => {
    await server.stop();
    fs.rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    await runSql(server.ownerUrl, `CREATE DATABASE ${TEMPLATE}`);
    await makeTemplate(databaseUrl(server.ownerUrl, TEMPLATE), server.servicePassword);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ownerUrl: server.ownerUrl, serviceUrl: server.serviceUrl, stop };
}

async function makeTemplate(ownerUrl: string, servicePassword: string): Promise<void> {
  await migrate(ownerUrl);
  await ensureServiceRole(ownerUrl, { name: SERVICE_ROLE, password: servicePassword });
  const db = connect(ownerUrl, { maxConnections: 1, statementTimeoutMs: 60_000, applicationName: 'test-template' });
  try {
    const columns = await db.$queryRaw<{ table: string; column: string }[]>`SELECT table_name AS "table", column_name AS "column" FROM information_schema.columns WHERE table_schema = 'public'`;
    await runSql(ownerUrl, everyChangeSql((table) => columns.filter((one) => one.table === table).map(({ column }) => column)));
    // Around the fixed clock of deterministic tests, and around the real one of those that start the program.
    for (const day of new Set([FIXED_NOW, new Date()].map((time) => Math.floor(time.getTime() / DAY_MS)))) await ensurePartitions(db, day - 2, day + 40);
  } finally {
    await db.$disconnect();
  }
}
