import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import { StartupError } from '../../src/core/errors.ts';
import { stopLeftover } from '../../src/db/data-lock.ts';
import { startEmbedded, type EmbeddedDatabase } from '../../src/db/embedded.ts';
import { binariesFolder, temporaryFolder } from '../support/postgres.ts';

const isRoot = process.getuid?.() === 0;
const folders: string[] = [];
let dataDir: string;
let started: EmbeddedDatabase[] = [];
const children: ChildProcess[] = [];

beforeEach(() => {
  dataDir = temporaryFolder('signet-embedded-');
  folders.push(dataDir);
});
afterEach(async () => {
  await Promise.all(started.map((server) => server.stop()));
  started = [];
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) {
    await stopLeftover(path.join(folder, 'postgres/data'));
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

async function start(folder = dataDir): Promise<EmbeddedDatabase> {
  const server = await startEmbedded({ dataDir: folder, fast: true, maxConnections: 20, binariesDir: binariesFolder() });
  started.push(server);
  return server;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

const fault = (work: Promise<unknown>): Promise<unknown> => work.then(() => undefined, (error: unknown) => error);

async function startupFault(folder = dataDir): Promise<[exitCode: number, message: string]> {
  const error = await fault(start(folder));
  if (!(error instanceof StartupError)) throw new Error(`no StartupError: ${String(error)}`);
  return [error.exitCode, error.message];
}

/** Another process on the same folder, and its postgres. */
async function startElsewhere(): Promise<{ child: ChildProcess; ownerUrl: string }> {
  const module = path.resolve('src/db/embedded.ts');
  const options = JSON.stringify({ dataDir, fast: true, maxConnections: 20, binariesDir: binariesFolder() });
  const script = `const { startEmbedded } = await import(${JSON.stringify(module)}); console.log((await startEmbedded(${options})).ownerUrl); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, ownerUrl: text.toString().trim() };
}

test('a second start finds what the first one left, and secrets are 0600', async () => {
  const first = await start();
  await query(first.ownerUrl, 'CREATE TABLE kept AS SELECT 7 AS n');
  await first.stop();
  await first.stop();
  const second = await start();
  expect(await query(second.ownerUrl, 'SELECT n FROM kept')).toEqual([{ n: 7 }]);
  expect(second.servicePassword).toBe(first.servicePassword);
  for (const name of ['password', 'service-password']) expect(fs.statSync(path.join(dataDir, 'postgres', name)).mode & 0o777).toBe(0o600);
  expect(fs.statSync(path.join(dataDir, 'postgres/data')).mode & 0o777).toBe(0o700);
});

test('it listens on 127.0.0.1 only, with no socket file, and wants the password', async () => {
  const server = await start();
  expect(await query(server.ownerUrl, "SELECT current_setting('listen_addresses') AS l, current_setting('unix_socket_directories') AS u")).toEqual([{ l: '127.0.0.1', u: '' }]);
  const wrong = new URL(server.ownerUrl);
  wrong.password = 'x';
  expect(await fault(query(wrong.href, 'SELECT 1'))).toMatchObject({ code: '28P01' });
});

test('a killed process leaves its server running: the next start stops it, and what was committed is there', async () => {
  const { child, ownerUrl } = await startElsewhere();
  await query(ownerUrl, 'CREATE TABLE kept AS SELECT 1 AS n');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await query(ownerUrl, 'SELECT n FROM kept')).toEqual([{ n: 1 }]);
  const next = await start();
  expect(await query(next.ownerUrl, 'SELECT n FROM kept')).toEqual([{ n: 1 }]);
  expect(await fault(query(ownerUrl, 'SELECT 1'))).toMatchObject({ code: 'ECONNREFUSED' });
});

test('two processes on one folder: the second one is told, the first one goes on', async () => {
  const { ownerUrl } = await startElsewhere();
  const [exitCode, message] = await startupFault();
  expect(exitCode).toBe(73);
  expect(message).toContain('another Signet is using');
  expect(await query(ownerUrl, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
});

test('a postmaster.pid whose number is another program now: that program is left alone', async () => {
  await (await start()).stop();
  const bystander = spawn('sleep', ['60']);
  children.push(bystander);
  fs.writeFileSync(path.join(dataDir, 'postgres/data/postmaster.pid'), `${bystander.pid}\n${path.join(dataDir, 'postgres/data')}\n0\n5432\n\n127.0.0.1\n\nready   \n`);
  expect(await query((await start()).ownerUrl, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
  expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
});

test('a first start that was killed while the database was made is begun anew', async () => {
  fs.mkdirSync(path.join(dataDir, 'postgres/data.new/base'), { recursive: true });
  fs.writeFileSync(path.join(dataDir, 'postgres/data.new/PG_VERSION'), '18\n');
  fs.writeFileSync(path.join(dataDir, 'postgres/password'), 'of-the-killed-run\n', { mode: 0o600 });
  expect(await query((await start()).ownerUrl, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
});

test('data of another major version, and a lost password, are said and not overwritten', async () => {
  await (await start()).stop();
  const version = path.join(dataDir, 'postgres/data/PG_VERSION');
  const real = fs.readFileSync(version, 'utf8');
  fs.writeFileSync(version, '12\n');
  const [exitCode, message] = await startupFault();
  expect(exitCode).toBe(78);
  expect(message).toContain('made by PostgreSQL 12');
  // The steps of the page, by its commands.
  const page = fs.readFileSync('docs/upgrade.md', 'utf8').split('**PostgreSQL.**')[1] ?? '';
  for (const step of ['signet backup', 'signet restore', 'postgres']) for (const text of [message, page]) expect(text).toContain(step);
  fs.writeFileSync(version, real);
  fs.renameSync(path.join(dataDir, 'postgres/password'), path.join(dataDir, 'password'));
  expect((await startupFault())[1]).toContain('is missing or empty');
  fs.renameSync(path.join(dataDir, 'password'), path.join(dataDir, 'postgres/password'));
  await start();
});

test('a data folder that cannot be made, or that the server cannot enter, is a clear fault', async () => {
  fs.writeFileSync(path.join(dataDir, 'file'), '');
  const [exitCode, message] = await startupFault(path.join(dataDir, 'file/below'));
  expect(exitCode).toBe(73);
  expect(message).toContain('SIGNET_DATA_DIR');
  if (!isRoot) return;
  fs.chmodSync(dataDir, 0o711);
  fs.mkdirSync(path.join(dataDir, 'closed'), { mode: 0o700 });
  expect((await startupFault(path.join(dataDir, 'closed/data')))[1]).toContain(`may not enter ${path.join(dataDir, 'closed')}:`);
});

test('as root the server runs as somebody else, else as ourselves', async () => {
  await start();
  const [pid] = fs.readFileSync(path.join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n');
  const { uid } = fs.statSync(`/proc/${pid}`);
  if (isRoot) expect(uid).not.toBe(0);
  else expect(uid).toBe(process.getuid?.());
});

test('a server that ends by itself is told to the caller', async () => {
  const server = await start();
  const [pid] = fs.readFileSync(path.join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n');
  process.kill(Number(pid), 'SIGQUIT');
  expect(typeof (await server.exited)).toBe('string');
});
