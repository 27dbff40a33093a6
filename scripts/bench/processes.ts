/** What processes use, from /proc: Linux only, as the bench is. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The kernel counts process time in ticks of 10 ms here (USER_HZ is 100 on every Linux Node runs on). */
const MICROS_A_TICK = 10_000;

interface Stat {
  parent: number;
  /** User and system time of its own. */
  micros: number;
  /** The same of children that have ended and were waited for. */
  endedChildrenMicros: number;
}

function statOf(pid: number): Stat | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ').map(Number);
    const sum = (a: number, b: number) => ((fields[a] ?? 0) + (fields[b] ?? 0)) * MICROS_A_TICK;
    return { parent: fields[1] ?? 0, micros: sum(11, 12), endedChildrenMicros: sum(13, 14) };
  } catch {
    return undefined;
  }
}

function allProcesses(): Map<number, Stat> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
  return new Map(pids.flatMap((pid) => {
    const stat = statOf(pid);
    return stat ? [[pid, stat] as const] : [];
  }));
}

/** `root` and everything below it, leaving out the trees of `except`. */
function treeOf(all: ReadonlyMap<number, Stat>, root: number, except: readonly number[] = []): number[] {
  const children = [...all].filter(([pid, { parent }]) => parent === root && !except.includes(pid)).map(([pid]) => pid);
  return [root, ...children.flatMap((pid) => treeOf(all, pid, except))];
}

/** CPU µs by side, since each began. */
export interface CpuUse {
  /** Supervisor and workers. */
  service: number;
  /** Postmaster and all its children, ended ones too. */
  postgres: number;
  /** By process of the service. */
  byPid: Map<number, number>;
}

/** CPU µs used until now. `service` is the process that was started; the postmaster is its child, and counted apart. */
export function cpuUse(service: number, postmaster: number): CpuUse {
  const all = allProcesses();
  const microsOf = (pid: number) => all.get(pid)?.micros ?? 0;
  const byPid = new Map(treeOf(all, service, [postmaster]).map((pid) => [pid, microsOf(pid)]));
  const postgres = treeOf(all, postmaster).reduce((sum, pid) => sum + microsOf(pid), all.get(postmaster)?.endedChildrenMicros ?? 0);
  return { service: [...byPid.values()].reduce((sum, micros) => sum + micros, 0), postgres, byPid };
}

/** Pids of the workers: the children of the process that was started, or that process itself where it serves alone. */
export function workersOf(service: number, postmaster: number): number[] {
  const [, ...children] = treeOf(allProcesses(), service, [postmaster]);
  return children.length > 0 ? children : [service];
}

const memoryMb = (pid: number, field: RegExp): number => Number(field.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

/** Resident memory, MB. */
export const residentMb = (pid: number): number => memoryMb(pid, /VmRSS:\s+(\d+)/);
/** The same at its highest since the process began. */
export const peakMb = (pid: number): number => memoryMb(pid, /VmHWM:\s+(\d+)/);

/** Which process has each connection, by the port of the other side. `pids` are those asked about. */
export function ownersOfConnections(serverPort: number, pids: readonly number[]): Map<number, number> {
  const ownerOfInode = new Map(pids.flatMap((pid) => inodesOf(pid).map((inode) => [inode, pid] as const)));
  const owners = new Map<number, number>();
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, local = '', remote = '', , , , , , , inode = ''] = line.trim().split(/\s+/);
    const owner = ownerOfInode.get(inode);
    if (owner !== undefined && portOf(local) === serverPort) owners.set(portOf(remote), owner);
  }
  return owners;
}

const portOf = (address: string): number => Number.parseInt(address.split(':')[1] ?? '', 16);

function inodesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
}

/** CPU µs of the children of this process that have ended, until now. */
export const endedChildrenMicros = (): number => statOf(process.pid)?.endedChildrenMicros ?? 0;
