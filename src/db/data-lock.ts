import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../core/clock.ts';
import { StartupError } from '../core/errors.ts';

/** sizeof(sun_path) without the zero in front. */
const ABSTRACT_NAME_LENGTH = 107;

/** Another process holds the folder. */
export class FolderInUse extends StartupError {
  constructor(folder: string) {
    super(`another Signet is using ${folder}: stop it, or give this one its own SIGNET_DATA_DIR (or both one DATABASE_URL)`, 73);
  }
}

export interface DataLock {
  release(): Promise<void>;
}

/**
 * Takes a folder for this process until it ends, however it ends: the lock is a listening local socket named after the folder.
 * @throws FolderInUse when another process holds it
 */
export async function lockFolder(folder: string): Promise<DataLock> {
  const name = `signet-${createHash('sha256').update(fs.realpathSync(folder)).digest('hex').slice(0, 32)}`;
  // Linux: an abstract name, which the kernel frees; of full length, for Node 20 pads a shorter one with zeros and newer ones do not, and
  // then two Nodes would hold the same folder. Elsewhere a file, stale when nobody answers.
  const address = process.platform === 'linux' ? `\0${name.padEnd(ABSTRACT_NAME_LENGTH, '-')}` : path.join(os.tmpdir(), name);
  if (process.platform !== 'linux' && !(await answers(address))) fs.rmSync(address, { force: true });
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new FolderInUse(folder) : error);
    });
    server.listen(address, resolve);
  });
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Stops the server that a killed Signet left running on `data`, and removes a postmaster.pid that names no such server
 * (its number may by now be another program's: PostgreSQL alone would refuse to start). Call it under the folder's lock.
 * @returns the process id that was stopped
 */
export async function stopLeftover(data: string): Promise<number | undefined> {
  const file = path.join(data, 'postmaster.pid');
  const pid = readServerPid(data);
  if (pid === undefined || !isServerOf(pid, data)) {
    fs.rmSync(file, { force: true });
    return undefined;
  }
  // Fast shutdown, then immediate (the next start replays the log), then the end.
  for (const [signal, patienceMs] of [['SIGINT', 15_000], ['SIGQUIT', 5_000], ['SIGKILL', 5_000]] as const) {
    kill(pid, signal);
    const until = systemClock.monotonicMs() + patienceMs;
    while (systemClock.monotonicMs() < until) {
      if (!isServerOf(pid, data)) {
        fs.rmSync(file, { force: true });
        return pid;
      }
      await sleep(20);
    }
  }
  throw new StartupError(`a PostgreSQL left behind (process ${pid}) still uses ${data} and does not stop`, 73);
}

/** Port of the server that runs on `data`, once it is ready; undefined when there is none. */
export function readServerPort(data: string): number | undefined {
  const pid = readServerPid(data);
  if (pid === undefined || !isServerOf(pid, data)) return undefined;
  const lines = fs.readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n');
  return lines[7]?.trim() === 'ready' ? Number(lines[3]) : undefined;
}

/** First line of postmaster.pid. */
function readServerPid(data: string): number | undefined {
  try {
    const pid = Number(fs.readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Whether process `pid` is a postgres started with `-D data`. */
function isServerOf(pid: number, data: string): boolean {
  let command: string;
  if (process.platform === 'linux') {
    try {
      command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    } catch {
      return false;
    }
  } else {
    command = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
  }
  return command.includes('postgres') && command.includes(` ${data} `);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
