/** The built service with its embedded PostgreSQL, as `npm start` runs it. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { CONFIG_KEYS, environmentName } from '../../src/config/schema.ts';
import { freePort } from '../free-port.ts';
import type { Door } from './connection.ts';
import { SHARDS } from './crl.ts';
import { workersOf } from './processes.ts';

const PROGRAM = path.resolve(import.meta.dirname, '../../dist/main.js');
const PROBE = path.join(import.meta.dirname, 'event-loop-probe.mjs');
const READY_MS = 60_000;

/** All load comes from one address: the limits are raised to what no load reaches, and work all the same. Zero would switch them off. */
const RAISED_RATE = 1_000_000;
const RAISED_LIMITS = Object.fromEntries(CONFIG_KEYS.filter((key) => /(Rate|Burst)$/.test(key)).map((key) => [environmentName(key), String(RAISED_RATE)]));
export const RAISED_KEYS = Object.keys(RAISED_LIMITS).length;

/** OCSP answers and statuses that a worker remembers: all that a run asks about, also when the older half of them has just been forgotten. */
export const REMEMBERED = 250_000;

export interface ServiceOptions {
  dataDir: string;
  workers: number;
  /** Folder for a V8 CPU profile of each process; none when undefined. */
  profileDir: string | undefined;
  /** Another replica over the database of this one, which has it embedded in its own folder. */
  beside?: Service;
}

export interface Service {
  dataDir: string;
  pid: number;
  postmaster: number;
  workers: number[];
  readyMs: number;
  doors: { api: Door; mtls: Door; status: Door };
  /** PEM. */
  rootPem: string;
  /** Bootstrap admin token. */
  adminToken: string;
  /** As superuser, and as the role the service has. */
  databaseUrls: { owner: string; service: string };
  /** The metrics page, all workers together. */
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

/** What a replica beside another one needs: its database, and its key-encryption key. */
const besideEnv = ({ dataDir, databaseUrls }: Service) => ({
  DATABASE_URL: databaseUrls.service, SIGNET_OWNER_DATABASE_URL: databaseUrls.owner, SIGNET_KEK_FILE: path.join(dataDir, 'kek'),
});

export async function startService({ dataDir, workers, profileDir, beside }: ServiceOptions): Promise<Service> {
  const ports = { api: await freePort(), mtls: await freePort(), status: await freePort(), operations: await freePort() };
  const started = performance.now();
  const env = {
    PATH: process.env.PATH, SIGNET_DATA_DIR: dataDir, SIGNET_LOG_LEVEL: 'error', [environmentName('workers')]: String(workers), [environmentName('ocspCacheEntries')]: String(REMEMBERED), ...RAISED_LIMITS,
    ...Object.fromEntries(Object.entries(ports).map(([door, port]) => [`SIGNET_${door.toUpperCase()}_LISTEN`, `127.0.0.1:${port}`])),
    [environmentName('crlShards')]: String(SHARDS),
    NODE_OPTIONS: `--import=${PROBE}${profileDir === undefined ? '' : ` --cpu-prof --cpu-prof-dir=${profileDir}`}`,
    ...(beside && besideEnv(beside)),
  };
  const child = spawn(process.execPath, [PROGRAM], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  const operations = `http://127.0.0.1:${ports.operations}`;
  try {
    while (!(await fetch(`${operations}/readyz`).then((answer) => answer.ok, () => false))) {
      if (child.exitCode !== null || performance.now() - started > READY_MS) throw new Error('Signet did not get ready');
      await sleep(10);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const pid = child.pid ?? 0;
  const { postmaster, databaseUrls } = beside ?? embeddedIn(dataDir);
  const readyMs = performance.now() - started;
  const rootPem = await (await fetch(`http://127.0.0.1:${ports.status}/trust-bundle.pem`)).text();
  const secure = tls.createSecureContext({ ca: rootPem });
  return {
    dataDir,
    pid,
    postmaster,
    workers: workersOf(pid, postmaster),
    readyMs,
    doors: { api: { port: ports.api, secure }, mtls: { port: ports.mtls, secure }, status: { port: ports.status } },
    rootPem,
    adminToken: beside?.adminToken ?? readFileSync(path.join(dataDir, 'bootstrap-admin-token'), 'utf8').trim(),
    databaseUrls,
    metrics: async () => (await fetch(`${operations}/metrics`)).text(),
    stop,
  };
}

/** The embedded database of a data folder. */
export function embeddedIn(dataDir: string): Pick<Service, 'postmaster' | 'databaseUrls'> {
  const [pid, , , port = ''] = readFileSync(path.join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n');
  const password = (file: string) => readFileSync(path.join(dataDir, 'postgres', file), 'utf8').trim();
  const url = (user: string, file: string) => `postgresql://${user}:${password(file)}@127.0.0.1:${port.trim()}/signet`;
  return { postmaster: Number(pid), databaseUrls: { owner: url('postgres', 'password'), service: url('signet_service', 'service-password') } };
}
