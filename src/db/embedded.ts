import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { systemClock } from '../core/clock.ts';
import { StartupError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { createSystemRandom, type Random } from '../core/random.ts';
import { lockFolder, readServerPort, stopLeftover } from './data-lock.ts';
import { closedFolder, findBinaries, serverUser, type RunAs } from './postgres-binaries.ts';

/** The service's role in an embedded database (db/roles.ts makes it). */
export const SERVICE_ROLE = 'signet_service';
const DATABASE = 'signet';
const START_MS = 60_000;
const STOP_MS = 15_000;

export interface EmbeddedOptions {
  /** Signet's data folder; everything of the database rests in `<dataDir>/postgres`. */
  dataDir: string;
  /** Tests only: gives up durability for speed. */
  fast?: boolean;
  maxConnections?: number;
  log?: Logger;
  random?: Random;
  /** Where binaries are copied to if the server's user cannot reach them; by default beside the data. */
  binariesDir?: string;
}

/** The ways into an embedded database; secret. */
export interface EmbeddedAccess {
  /** As the superuser: migrations, roles, partitions. */
  ownerUrl: string;
  /** As SERVICE_ROLE, which `ensureServiceRole` has yet to make. */
  serviceUrl: string;
  servicePassword: string;
}

export interface EmbeddedDatabase extends EmbeddedAccess {
  port: number;
  /** Resolves when the server ends, asked or not, with the end of its log. */
  exited: Promise<string>;
  /** Fast shutdown. Idempotent. */
  stop(): Promise<void>;
}

interface Cluster {
  user: RunAs;
  /** Parent of the data, password files and copied binaries. */
  work: string;
  data: string;
  binaries: string;
  password: string;
}

/**
 * Starts a PostgreSQL of our own on a free port of 127.0.0.1, made at the first start. Leftovers of a killed run are recovered.
 * @throws StartupError when it cannot run, or another process uses the folder
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const work = path.resolve(options.dataDir, 'postgres');
  makeFolders(options.dataDir, work);
  const lock = await lockFolder(work);
  try {
    const random = options.random ?? createSystemRandom();
    const cluster = prepareCluster(work, options, random);
    const leftover = await stopLeftover(cluster.data);
    if (leftover !== undefined) options.log?.warn({ postgresPid: leftover }, 'stopped a PostgreSQL that a killed Signet had left running');
    const servicePassword = readOrMakePassword(path.join(work, 'service-password'), random);
    const server = await startServer(cluster, options);
    const url = (user: string, password: string, database: string) => `postgresql://${user}:${password}@127.0.0.1:${server.port}/${database}`;
    const stop = async () => {
      await server.stop();
      await lock.release();
    };
    try {
      await ensureDatabase(url('postgres', cluster.password, 'postgres'));
    } catch (error) {
      await stop();
      throw error;
    }
    return {
      port: server.port,
      ownerUrl: url('postgres', cluster.password, DATABASE),
      serviceUrl: url(SERVICE_ROLE, servicePassword, DATABASE),
      servicePassword,
      exited: server.exited,
      stop,
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Resolves with a reason when an embedded database has ended by itself; never, where there is none. */
export const failureOf = (embedded: Pick<EmbeddedDatabase, 'exited'> | undefined): Promise<string> =>
  embedded ? embedded.exited.then((end) => `the embedded PostgreSQL ended: ${end}`) : new Promise<string>(() => undefined);

/** Whether there is an embedded database in this data folder. */
export const hasEmbedded = (dataDir: string): boolean => fs.existsSync(path.resolve(dataDir, 'postgres', 'data', 'PG_VERSION'));

/**
 * The embedded database that another process of ours runs in this data folder: for local commands beside a running service.
 * @throws StartupError (69) when it is not up, or its passwords cannot be read
 */
export function joinEmbedded(dataDir: string): EmbeddedAccess {
  const work = path.resolve(dataDir, 'postgres');
  const port = readServerPort(path.join(work, 'data'));
  if (port === undefined) throw new StartupError(`another process holds ${work}, but its database is not up: try again in a moment`, 69);
  const servicePassword = readPassword(path.join(work, 'service-password'));
  const url = (user: string, password: string) => `postgresql://${user}:${password}@127.0.0.1:${port}/${DATABASE}`;
  return { ownerUrl: url('postgres', readPassword(path.join(work, 'password'))), serviceUrl: url(SERVICE_ROLE, servicePassword), servicePassword };
}

/** As root the server's own user must get through: 0711 lets it pass without listing. */
function makeFolders(dataDir: string, work: string): void {
  const mode = process.getuid?.() === 0 ? 0o711 : 0o700;
  try {
    fs.mkdirSync(dataDir, { recursive: true, mode });
    fs.mkdirSync(work, { recursive: true, mode });
    fs.chmodSync(work, mode);
    if (mode === 0o711 && (fs.statSync(dataDir).mode & 0o001) === 0) fs.chmodSync(dataDir, (fs.statSync(dataDir).mode & 0o7777) | mode);
  } catch (error) {
    throw new StartupError(`cannot make the data folder ${work}: ${(error as Error).message}; set SIGNET_DATA_DIR to a folder this user can write`, 73, error);
  }
}

function prepareCluster(work: string, options: EmbeddedOptions, random: Random): Cluster {
  const data = path.join(work, 'data');
  const user = serverUser(data);
  const closed = closedFolder(work, user);
  if (closed !== undefined) throw new StartupError(`PostgreSQL runs as user ${user.uid}, who may not enter ${closed}: set SIGNET_DATA_DIR to another folder, or open that one (chmod o+x)`, 73);
  const binaries = findBinaries(user, options.binariesDir ?? work);
  const cluster: Cluster = { user, work, data, binaries: binaries.dir, password: '' };
  if (!fs.existsSync(path.join(data, 'PG_VERSION'))) initialize(cluster, random, options.fast ?? false);
  const found = fs.readFileSync(path.join(data, 'PG_VERSION'), 'utf8').trim();
  if (found !== binaries.major) throw new StartupError(`${data} was made by PostgreSQL ${found}, this Signet carries ${binaries.major}: make a backup with the Signet that made it (signet backup), move the folder postgres away, and restore with this one (signet restore): docs/upgrade.md`, 78);
  return { ...cluster, password: readPassword(path.join(work, 'password')) };
}

/** initdb beside its place, then a rename: a run killed in the middle leaves nothing that looks finished. */
function initialize(cluster: Cluster, random: Random, fast: boolean): void {
  const { user, work, data } = cluster;
  const partial = `${data}.new`;
  const passwordFile = path.join(work, 'password');
  fs.rmSync(data, { recursive: true, force: true });
  fs.rmSync(partial, { recursive: true, force: true });
  fs.rmSync(passwordFile, { force: true });
  fs.mkdirSync(partial, { mode: 0o700 });
  writeSecret(passwordFile, makePassword(random));
  if (user.uid !== undefined && user.gid !== undefined) for (const item of [partial, passwordFile]) fs.chownSync(item, user.uid, user.gid);
  const locale = ['-E', 'UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const made = spawnSync(
    path.join(cluster.binaries, 'bin', 'initdb'),
    ['-D', partial, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, ...locale, ...(fast ? ['--no-sync'] : [])],
    { ...user, cwd: work, env: serverEnvironment(work), encoding: 'utf8' },
  );
  if (made.status !== 0) throw new StartupError(`the embedded database could not be made in ${data}: ${made.error?.message ?? made.stderr.trim()}`, 73);
  if (user.uid !== undefined) fs.chownSync(passwordFile, 0, 0);
  fs.renameSync(partial, data);
}

interface Server {
  port: number;
  exited: Promise<string>;
  stop(): Promise<void>;
}

async function startServer(cluster: Cluster, options: EmbeddedOptions): Promise<Server> {
  const port = await freePort();
  const settings = [
    'unix_socket_directories=', 'listen_addresses=127.0.0.1', `max_connections=${options.maxConnections ?? 100}`,
    'log_min_messages=fatal', 'log_min_error_statement=panic',
    ...(options.fast ? ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'wal_level=minimal', 'max_wal_senders=0', 'autovacuum=off'] : []),
  ];
  const child = spawn(path.join(cluster.binaries, 'bin', 'postgres'), ['-D', cluster.data, '-p', String(port), ...settings.flatMap((s) => ['-c', s])], {
    ...cluster.user,
    cwd: cluster.work,
    env: serverEnvironment(cluster.work),
    stdio: ['ignore', 'ignore', 'pipe'],
    // A session of its own: Ctrl-C at a terminal must reach us first, so that we drain before the database goes.
    detached: true,
  });
  let tail = '';
  let stopping = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-4_000);
    if (!stopping) options.log?.warn({ postgres: text.trim() }, 'embedded PostgreSQL says');
  });
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', () => resolve(tail));
  });
  const killAtExit = () => void child.kill('SIGINT');
  process.once('exit', killAtExit);
  void exited.then(() => process.off('exit', killAtExit));
  await untilReady(child, cluster.data, exited);
  return {
    port,
    exited,
    async stop() {
      stopping = true;
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGQUIT'), STOP_MS);
      await exited;
      clearTimeout(late);
    },
  };
}

/** Ready when line 8 of postmaster.pid says so for this process: no reading of log text in some language. */
async function untilReady(child: ChildProcess, data: string, exited: Promise<string>): Promise<void> {
  const ended = exited.then((log) => {
    throw new StartupError(`the embedded PostgreSQL ended at its start: ${log.trim()}`, 69);
  });
  ended.catch(() => undefined);
  const deadline = systemClock.monotonicMs() + START_MS;
  while (systemClock.monotonicMs() < deadline) {
    const lines = readIfThere(path.join(data, 'postmaster.pid')).split('\n');
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return;
    await Promise.race([sleep(10), ended]);
  }
  child.kill('SIGQUIT');
  await exited;
  throw new StartupError(`the embedded PostgreSQL was not ready after ${START_MS / 1000} s`, 69);
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

const serverEnvironment = (home: string) => ({ PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC', HOME: home });

const makePassword = (random: Random): string => Buffer.from(random.bytes(24)).toString('hex');

function readOrMakePassword(file: string, random: Random): string {
  if (!fs.existsSync(file)) writeSecret(file, makePassword(random));
  return readPassword(file);
}

function readPassword(file: string): string {
  const text = readIfThere(file).trim();
  if (text === '') throw new StartupError(`${file} is missing or empty, and with it the way into the embedded database`, 73);
  return text;
}

/** Durable and whole or not there: written beside its place, synced, renamed. */
function writeSecret(file: string, secret: string): void {
  const partial = `${file}.new`;
  fs.rmSync(partial, { force: true });
  fs.writeFileSync(partial, `${secret}\n`, { mode: 0o600, flag: 'wx', flush: true });
  fs.renameSync(partial, file);
}

function readIfThere(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
