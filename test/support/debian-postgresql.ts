/** A PostgreSQL server of the operating system's, on a temporary folder: not the version that Signet brings along. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { serverUser } from '../../src/db/postgres-binaries.ts';
import { temporaryFolder } from './postgres.ts';

const DEBIAN_BINARIES = '/usr/lib/postgresql';
const START_MS = 60_000;

/** Where the newest one's binaries are; undefined when there is none. */
export function installedPostgresql(): string | undefined {
  const majors = fs.existsSync(DEBIAN_BINARIES) ? fs.readdirSync(DEBIAN_BINARIES).map(Number) : [];
  return majors
    .toSorted((a, b) => b - a)
    .map((major) => path.join(DEBIAN_BINARIES, String(major), 'bin'))
    .find((folder) => fs.existsSync(path.join(folder, 'initdb')) && fs.existsSync(path.join(folder, 'postgres')));
}

export interface RunningPostgresql {
  port: number;
  /** URL of a database as a role; nothing is asked of local roles. */
  url(role: string, database: string): string;
  /** Statements, one after the other, as the superuser; or as somebody else in another database. */
  sql(statements: readonly string[], at?: string): Promise<void>;
  /** A physical standby of it that streams from it under that name, started; made by pg_basebackup. */
  standby(name: string): Promise<RunningPostgresql>;
  /** Its process, to send signals to. */
  pid(): number;
  /** Ends it as the machine's death would: nothing is flushed, nobody is told. Its data stay. */
  crash(): Promise<void>;
  /** Starts it again on its data after a crash, on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Writes into the data folder of a new cluster; what it writes must be readable by `user`, where that is not who we are. */
export type Configure = (data: string, user: { uid?: number; gid?: number }) => void;

/** Makes a cluster and starts it on a free port of 127.0.0.1; as root it runs as `postgres` or `nobody`. */
export async function startPostgresql(binaries: string, configure: Configure = () => undefined): Promise<RunningPostgresql> {
  return start(binaries, (data, options) => {
    const made = spawnSync(path.join(binaries, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'], { ...options, encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`initdb: ${made.error?.message ?? made.stderr}`);
    configure(data, options);
  });
}

interface RunOptions {
  uid?: number;
  gid?: number;
  cwd: string;
  env: NodeJS.ProcessEnv;
}

async function start(binaries: string, make: (data: string, options: RunOptions) => void): Promise<RunningPostgresql> {
  const folder = temporaryFolder('signet-postgresql-');
  const user = serverUser('');
  if (user.uid !== undefined && user.gid !== undefined) fs.chownSync(folder, user.uid, user.gid);
  const data = path.join(folder, 'data');
  const options: RunOptions = { ...user, cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', HOME: folder } };
  make(data, options);
  const port = await freePort();
  const settings = ['unix_socket_directories=', 'listen_addresses=127.0.0.1', 'fsync=off'].flatMap((setting) => ['-c', setting]);
  let server: ChildProcess;
  let ended: Promise<void>;
  let log = '';
  const killAtExit = () => void server.kill('SIGQUIT');
  process.once('exit', killAtExit);

  const url: RunningPostgresql['url'] = (role, database) => `postgresql://${role}@127.0.0.1:${port}/${database}`;
  const running: RunningPostgresql = {
    port,
    url,
    async sql(statements, at = url('postgres', 'postgres')) {
      const client = new pg.Client({ connectionString: at });
      await client.connect();
      try {
        for (const statement of statements) await client.query(statement);
      } finally {
        await client.end();
      }
    },
    standby: (name) =>
      start(binaries, (copy, copyOptions) => {
        const args = ['-d', `postgresql://postgres@127.0.0.1:${port}/?application_name=${name}`, '-D', copy, '-R', '-X', 'stream', '--checkpoint=fast', '--no-sync'];
        const made = spawnSync(path.join(binaries, 'pg_basebackup'), args, { ...copyOptions, encoding: 'utf8' });
        if (made.status !== 0) throw new Error(`pg_basebackup: ${made.error?.message ?? made.stderr}`);
      }),
    pid: () => server.pid ?? 0,
    async crash() {
      server.kill('SIGQUIT');
      await ended;
    },
    async restart() {
      server = spawn(path.join(binaries, 'postgres'), ['-D', data, '-p', String(port), ...settings], { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
      server.stderr?.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-4_000)));
      ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
      for (const deadline = performance.now() + START_MS; ; await sleep(50)) {
        const isUp = await running.sql([]).then(() => true, () => false);
        if (isUp) return;
        if (server.exitCode !== null || performance.now() > deadline) {
          await running.stop();
          throw new Error(`PostgreSQL did not start:\n${log}`);
        }
      }
    },
    async stop() {
      server.kill('SIGINT');
      await ended;
      process.off('exit', killAtExit);
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
  await running.restart();
  return running;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as net.AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
