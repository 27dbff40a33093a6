import type { SignetProcess } from './signet-process.ts';

/** A worker as the log of its supervisor tells of it (log level info). */
export interface LoggedWorker {
  number: number;
  pid: number;
  leads: boolean;
}

/** The workers that serve, or served last, by number. The one that leads is the one said last to do so. */
export function workersOf(signet: Pick<SignetProcess, 'stdout'>): LoggedWorker[] {
  const workers = new Map<number, LoggedWorker>();
  // What comes after the last line end is still being written.
  for (const line of signet.stdout().split('\n').slice(0, -1)) {
    if (!line.startsWith('{')) continue;
    const { msg, worker: number = 0, workerPid: pid = 0, leads = false } = JSON.parse(line) as { msg: string; worker?: number; workerPid?: number; leads?: boolean };
    if (msg === 'a worker serves') workers.set(number, { number, pid, leads });
    if (msg === 'another worker leads from now on') for (const worker of workers.values()) worker.leads = worker.number === number;
  }
  return [...workers.values()].toSorted((a, b) => a.number - b.number);
}
