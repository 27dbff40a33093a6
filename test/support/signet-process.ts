import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll } from '@jest/globals';
import { stopLeftover } from '../../src/db/data-lock.ts';
import type { TestDatabase } from './db.ts';
import { temporaryFolder } from './postgres.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const PROGRAM = path.join(ROOT, 'dist/main.js');
const READY_MS = 60_000;
const STOP_MS = 30_000;

export interface Ports {
  api: number;
  mtls: number;
  status: number;
  operations: number;
}

export interface SignetOptions {
  /** Given: both its roles are used, and a key-encryption key that is the same for every process. Not given: an embedded database in `dataDir`. */
  database?: TestDatabase | undefined;
  /** A folder of an earlier process, to start on it again; it is then the caller's to remove. */
  dataDir?: string | undefined;
  /** The doors of an earlier process. */
  ports?: Ports | undefined;
  /** More or other environment; an undefined value takes a variable away. */
  env?: Record<string, string | undefined>;
  /** Another main.js than the built one. */
  program?: string | undefined;
  /** A file descriptor for its standard output, instead of what `stdout()` tells. */
  logTo?: number;
  /** false: do not wait for /readyz. */
  ready?: boolean;
}

export interface SignetExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A running Signet: the built program, started as `npm start` does. */
export interface SignetProcess {
  pid: number;
  ports: Ports;
  urls: Record<keyof Ports, string>;
  dataDir: string;
  /** The bootstrap admin token. Only the process that made the authority has the file. */
  readonly adminToken: string;
  /** Certificates of the roots, PEM: what a client of the TLS doors trusts. Empty when started with `ready: false`. */
  rootPem: string;
  stdout(): string;
  stderr(): string;
  exited: Promise<SignetExit>;
  /** SIGKILL leaves an embedded database running: `stop` cleans up after that, too. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when standard output holds `text`. */
  says(text: string): Promise<void>;
  /** SIGTERM and the end; SIGKILL when that takes too long. Removes the data folder, unless it was given. Idempotent. */
  stop(): Promise<SignetExit>;
}

const running = new Set<SignetProcess>();
afterAll(async () => {
  await Promise.all([...running].map((one) => one.stop()));
});
process.once('exit', () => {
  for (const one of running) one.kill('SIGKILL');
});

/** Starts the built program and waits until /readyz on the operations door says 200. What it says is in the error when it ends before that. */
export async function startSignet(options: SignetOptions = {}): Promise<SignetProcess> {
  if (!fs.existsSync(PROGRAM)) throw new Error('dist/main.js is not there: run node scripts/build.ts');
  const dataDir = options.dataDir ?? temporaryFolder('signet-data-');
  const ports = options.ports ?? (await freePorts());
  const env = environment(options, dataDir, ports);
  const child = spawn(process.execPath, [options.program ?? PROGRAM], { cwd: '/', env, stdio: ['ignore', options.logTo ?? 'pipe', 'pipe'] });
  const signet = describeProcess(child, { dataDir, ports, ours: options.dataDir === undefined });
  running.add(signet);
  if (options.ready === false) return signet;
  try {
    await untilReady(signet);
    signet.rootPem = (await get(`${signet.urls.status}/trust-bundle.pem`)).body;
  } catch (error) {
    await signet.stop();
    throw error;
  }
  return signet;
}

function environment(options: SignetOptions, dataDir: string, ports: Ports): NodeJS.ProcessEnv {
  const { database } = options;
  const wanted: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    HOME: dataDir,
    SIGNET_DATA_DIR: dataDir,
    SIGNET_LOG_LEVEL: 'info',
    // A replica of one process starts quickest; SIGNET_WORKERS=2 runs a test on two.
    SIGNET_WORKERS: process.env.SIGNET_WORKERS ?? '1',
    SIGNET_API_LISTEN: `127.0.0.1:${ports.api}`,
    SIGNET_MTLS_LISTEN: `127.0.0.1:${ports.mtls}`,
    SIGNET_STATUS_LISTEN: `127.0.0.1:${ports.status}`,
    SIGNET_OPERATIONS_LISTEN: `127.0.0.1:${ports.operations}`,
    SIGNET_PUBLIC_URL: `http://127.0.0.1:${ports.status}`,
    SIGNET_API_URL: `https://127.0.0.1:${ports.api}`,
    SIGNET_MTLS_URL: `https://127.0.0.1:${ports.mtls}`,
    ...(database && { DATABASE_URL: database.serviceUrl, SIGNET_OWNER_DATABASE_URL: database.ownerUrl, SIGNET_KEK_FILE: writeKek(dataDir) }),
    ...options.env,
  };
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
}

/** The key-encryption key of every process over a database of tests, base64. */
export const testKek = (): string => createHash('sha256').update('key-encryption key of tests').digest('base64');

/** The same key in every folder: replicas over one database share it. */
function writeKek(dataDir: string): string {
  const file = path.join(dataDir, 'test-kek');
  fs.writeFileSync(file, testKek(), { mode: 0o600 });
  return file;
}

function describeProcess(child: ChildProcess, place: { dataDir: string; ports: Ports; ours: boolean }): SignetProcess {
  const { dataDir, ports, ours } = place;
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) child[stream]?.setEncoding('utf8').on('data', (text: string) => (output[stream] += text));
  const exited = new Promise<SignetExit>((resolve) => {
    child.once('error', () => resolve({ code: null, signal: null }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  let stopped: Promise<SignetExit> | undefined;
  const signet: SignetProcess = {
    pid: child.pid ?? 0,
    ports,
    urls: {
      api: `https://127.0.0.1:${ports.api}`,
      mtls: `https://127.0.0.1:${ports.mtls}`,
      status: `http://127.0.0.1:${ports.status}`,
      operations: `http://127.0.0.1:${ports.operations}`,
    },
    dataDir,
    get adminToken() {
      return fs.readFileSync(path.join(dataDir, 'bootstrap-admin-token'), 'utf8').trim();
    },
    rootPem: '',
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    exited,
    kill: (signal) => void child.kill(signal),
    async says(text) {
      const ended = exited.then(() => true);
      while (!output.stdout.includes(text)) {
        if ((await Promise.race([ended, sleep(10)])) === true && !output.stdout.includes(text)) throw new Error(`Signet ended without saying ${JSON.stringify(text)}:\n${output.stdout}${output.stderr}`);
      }
    },
    stop() {
      stopped ??= (async () => {
        const exit = await end(child, exited);
        running.delete(signet);
        await stopLeftover(path.join(dataDir, 'postgres/data'));
        if (ours) fs.rmSync(dataDir, { recursive: true, force: true });
        return exit;
      })();
      return stopped;
    },
  };
  return signet;
}

async function end(child: ChildProcess, exited: Promise<SignetExit>): Promise<SignetExit> {
  child.kill('SIGCONT'); // one that a test has stopped hears nothing else
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  const exit = await exited;
  clearTimeout(late);
  return exit;
}

async function untilReady(signet: SignetProcess): Promise<void> {
  let ended: SignetExit | undefined;
  void signet.exited.then((exit) => (ended = exit));
  let last = 'no answer';
  for (const deadline = performance.now() + READY_MS; performance.now() < deadline; await sleep(20)) {
    if (ended) throw new Error(`Signet ended with ${ended.code ?? ended.signal} before it was ready:\n${signet.stdout()}${signet.stderr()}`);
    const answer = await get(`${signet.urls.operations}/readyz`).catch(() => undefined);
    if (answer?.status === 200) return;
    if (answer) last = `${answer.status} ${answer.body}`;
  }
  throw new Error(`Signet was not ready in ${READY_MS / 1000} s (${last}):\n${signet.stdout()}${signet.stderr()}`);
}

function get(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, timeout: 5_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.once('error', reject);
    });
    request.once('timeout', () => request.destroy(new Error('no answer in 5 s')));
    request.once('error', reject);
  });
}

/** Ports below the range the kernel hands out by itself, and apart for each Jest worker: nobody takes one between this and the listening. */
let nextPort = 20_000 + (Number(process.env.JEST_WORKER_ID ?? 0) % 10) * 1_000 + ((process.pid * 8) % 900);

export async function freePort(): Promise<number> {
  for (;;) {
    const port = nextPort++;
    if (await isFree(port)) return port;
  }
}

async function freePorts(): Promise<Ports> {
  return { api: await freePort(), mtls: await freePort(), status: await freePort(), operations: await freePort() };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
