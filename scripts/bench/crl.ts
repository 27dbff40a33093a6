/** Lists: how long after a revocation its shard is stored again, at so and so many revoked, and what the complete list of all of them costs. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, requestOf, type Connection } from './connection.ts';
import { quantile } from './measure.ts';
import { cpuUse, peakMb, residentMb } from './processes.ts';
import type { Stage } from './stage.ts';

export interface CrlFigures {
  shards: ShardFigures[];
  complete: CompleteFigures;
}

/** From sending a revocation until the shard that has it is stored. */
export interface ShardFigures {
  /** Revoked when it began. */
  revoked: number;
  operations: number;
  p50Ms: number;
  p99Ms: number;
}

export interface CompleteFigures {
  entries: number;
  megabytes: number;
  /** Of building and storing, as the publisher says. */
  seconds: number;
  /** Everything between the revocation before it and the list. */
  cpuSeconds: { service: number; postgres: number };
  /** Of the process that built it: before, and at the highest while it did. */
  rssMb: { before: number; peak: number };
  /** Longest time that the event loop of that process was blocked meanwhile. */
  blockedMs: number;
}

/** What step-ca 0.28 takes to revoke with its list generated on revocation, all in one list, milliseconds. */
export const STEP_CA_MS: Readonly<Record<number, number>> = { 10_000: 175, 100_000: 1_580 };
export const SHARDS = 128;

const COMPLETE = -1;
const POLL_MS = 5;
/** A shard is published once a second: each revocation is in another one. */
const REVOCATIONS = 100;

export interface CrlWanted {
  issuerId: string;
  /** Good certificates, to be revoked one by one. */
  serials: readonly Buffer[];
  /** Numbers of revoked certificates to measure at, from small to large. */
  levels: readonly number[];
  waitMs: number;
}

/** @throws Error when a list does not come within `waitMs` */
export async function crl(stage: Stage, { issuerId, serials, levels, waitMs }: CrlWanted): Promise<CrlFigures> {
  const { service, database } = stage;
  const connection = await connect(service.doors.api);
  const shardOf = (serial: Buffer): number => serial.readUInt16BE(4) % SHARDS;
  const [last, ...others] = serials;
  if (!last) throw new Error('no certificate is left to be revoked');
  const each = Math.floor(others.length / levels.length);
  const shards: ShardFigures[] = [];
  for (const [n, level] of levels.entries()) {
    const revoked = await database.revokeSeeded({ issuerId, level, except: serials });
    const latencies: number[] = [];
    for (const serial of onePerShard(others.slice(n * each, (n + 1) * each), shardOf)) {
      latencies.push(await republished(stage, connection, { issuerId, serial, shard: shardOf(serial), waitMs }));
    }
    shards.push({ revoked, operations: latencies.length, p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) });
  }
  const complete = await completeList(stage, connection, { issuerId, serial: last, waitMs });
  connection.close();
  return { shards, complete };
}

function onePerShard(serials: readonly Buffer[], shardOf: (serial: Buffer) => number): Buffer[] {
  return [...new Map(serials.map((serial) => [shardOf(serial), serial])).values()].slice(0, REVOCATIONS);
}

async function revoke({ service }: Stage, connection: Connection, serial: Buffer): Promise<void> {
  const headers = { authorization: `Bearer ${service.adminToken}`, 'content-type': 'application/json' };
  const answer = await connection.ask(requestOf('POST', `/v1/certificates/${serial.toString('hex')}/revoke`, headers, Buffer.from('{}')));
  if (answer.status !== 200) throw new Error(`a revocation was answered ${answer.status} ${answer.body.toString('utf8')}`);
}

interface Stored {
  number: string;
  entries: number;
  octets: number | null;
  buildMs: number;
}

async function storedList({ database }: Stage, issuerId: string, shard: number): Promise<Stored> {
  const [list] = await database.query<Stored>('SELECT number, entries, octets, build_ms AS "buildMs" FROM crls WHERE issuer_id = $1 AND shard = $2', [issuerId, shard]);
  if (!list) throw new Error(`there is no list ${shard}`);
  return list;
}

/** Waits for a list other than `before`. */
async function nextList(stage: Stage, name: { issuerId: string; shard: number; waitMs: number }, before: Stored, pollMs: number): Promise<Stored> {
  const began = performance.now();
  for (;;) {
    const list = await storedList(stage, name.issuerId, name.shard);
    if (list.number !== before.number) return list;
    if (performance.now() - began > name.waitMs) throw new Error(`list ${name.shard} did not come within ${name.waitMs / 1000} s`);
    if (pollMs > 0) await sleep(pollMs);
  }
}

/** Milliseconds from the request to the stored list. */
async function republished(stage: Stage, connection: Connection, { serial, ...name }: { issuerId: string; serial: Buffer; shard: number; waitMs: number }): Promise<number> {
  const before = await storedList(stage, name.issuerId, name.shard);
  const began = performance.now();
  await revoke(stage, connection, serial);
  await nextList(stage, name, before, 1);
  return performance.now() - began;
}

async function completeList(stage: Stage, connection: Connection, { issuerId, serial, waitMs }: { issuerId: string; serial: Buffer; waitMs: number }): Promise<CompleteFigures> {
  const { service } = stage;
  const name = { issuerId, shard: COMPLETE, waitMs };
  const before = await storedList(stage, issuerId, COMPLETE);
  await Promise.all(service.workers.map(longestBlock));
  const rssBefore = service.workers.map(residentMb);
  for (const pid of service.workers) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const cpuBefore = cpuUse(service.pid, service.postmaster);
  await revoke(stage, connection, serial);
  const list = await nextList(stage, name, before, POLL_MS);
  const cpuAfter = cpuUse(service.pid, service.postmaster);
  const peaks = service.workers.map(peakMb);
  const blocked = await Promise.all(service.workers.map(longestBlock));
  // The builder is the one that grew.
  const builder = peaks.reduce((best, peak, i) => (peak - (rssBefore[i] ?? 0) > (peaks[best] ?? 0) - (rssBefore[best] ?? 0) ? i : best), 0);
  return {
    entries: list.entries,
    megabytes: (list.octets ?? 0) / 2 ** 20,
    seconds: list.buildMs / 1000,
    cpuSeconds: { service: (cpuAfter.service - cpuBefore.service) / 1e6, postgres: (cpuAfter.postgres - cpuBefore.postgres) / 1e6 },
    rssMb: { before: rssBefore[builder] ?? 0, peak: peaks[builder] ?? 0 },
    blockedMs: blocked[builder] ?? 0,
  };
}

/** Since it was last asked. */
async function longestBlock(pid: number): Promise<number> {
  const file = path.join(os.tmpdir(), `signet-bench-loop-${pid}`);
  process.kill(pid, 'SIGUSR2');
  for (let tries = 0; tries < 1_000; tries++) {
    try {
      const blocked = readFileSync(file, 'utf8');
      rmSync(file);
      if (blocked !== '') return Number(blocked);
    } catch {
      // Not written yet.
    }
    await sleep(POLL_MS);
  }
  throw new Error(`process ${pid} does not tell how long its event loop was blocked`);
}
