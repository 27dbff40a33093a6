/** One measured phase: what it took from each side, and how long its callers waited. */
import type { CryptoFloor } from './csrs.ts';
import type { Answers } from './loops.ts';
import { cpuUse } from './processes.ts';
import type { Service } from './service.ts';

/** Figures of a phase. CPU in µs an operation. */
export interface Figures {
  operations: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  cpu: { service: number; postgres: number; load: number };
  /** Crypto floor, µs: mean of right before and right after. */
  floor: number;
  timesFloor: { service: number; serviceAndPostgres: number };
  /** Share of the service's CPU by process; the first is the one that was started. */
  shares: Record<string, number>;
}

export interface Measured {
  figures: Figures;
  answers: Answers;
}

/** Runs a phase between two readings of everybody's CPU. `operationsEach`: what one request stands for. */
export async function measure({ service, floor }: { service: Service; floor: CryptoFloor }, run: () => Promise<Answers>): Promise<Measured> {
  const floorBefore = floor.measure();
  const before = cpuUse(service.pid, service.postmaster);
  const loadBefore = process.cpuUsage();
  const answers = await run();
  const loadUsed = process.cpuUsage(loadBefore);
  const after = cpuUse(service.pid, service.postmaster);
  const floorMicros = (floorBefore + floor.measure()) / 2;

  const count = answers.replies.length;
  const cpu = {
    service: (after.service - before.service) / count,
    postgres: (after.postgres - before.postgres) / count,
    load: (loadUsed.user + loadUsed.system) / count,
  };
  const used = [...after.byPid].map(([pid, micros]) => [String(pid), micros - (before.byPid.get(pid) ?? 0)] as const);
  const figures: Figures = {
    operations: count,
    perSecond: count / answers.seconds,
    p50Ms: quantile(answers.latenciesMs, 0.5),
    p99Ms: quantile(answers.latenciesMs, 0.99),
    cpu,
    floor: floorMicros,
    timesFloor: { service: cpu.service / floorMicros, serviceAndPostgres: (cpu.service + cpu.postgres) / floorMicros },
    shares: Object.fromEntries(used.map(([pid, micros]) => [pid, micros / Math.max(1, after.service - before.service)])),
  };
  return { figures, answers };
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** @throws Error naming the first answer that is not `status` */
export function assertAll(answers: Answers, status: number): void {
  const other = answers.replies.find((reply) => reply.status !== status);
  if (other) throw new Error(`expected ${status}, got ${other.status} ${other.body.toString('utf8').slice(0, 400)}`);
}
