import type { Started } from '../app.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { EmbeddedAccess } from '../db/embedded.ts';
import { createRelay } from './relay.ts';
import { QUICK_MS, restartWaitMs } from './restart-wait.ts';
import { createWatchdog } from './watchdog.ts';
import { forkWorker, type WorkerEnd, type WorkerProcess } from './worker-process.ts';

/** Jobs under way may take a while after the last request; then a worker is ended by force. */
const STOP_SLACK_MS = 30_000;

/** The workers of a replica. */
export interface Crew {
  /**
   * Starts the one that leads, then the others; resolves when each serves or has failed. From the first's readiness on, whoever ends is replaced.
   * @throws StartupError when the first cannot start
   */
  start(embedded: EmbeddedAccess | undefined): Promise<Started>;
  /** Resolves with the reason when a worker finds that the whole replica cannot go on. */
  readonly failed: Promise<string>;
  /** Drains all of them at once. Resolves, when all have ended, with whether each did so by itself and without a fault. */
  stop(): Promise<boolean>;
}

export interface CrewNeeds {
  config: Config;
  warnings: readonly string[];
  log: Logger;
}

/** Starts the process of the first worker; its modules are loaded while the database starts. */
export function createCrew({ config, warnings, log }: CrewNeeds): Crew {
  const relay = createRelay();
  const running = new Map<number, WorkerProcess>();
  const failed = Promise.withResolvers<string>();
  const quickEnds = new Map<number, number>();
  const restarts = new Map<number, NodeJS.Timeout>();
  let embedded: EmbeddedAccess | undefined;
  /** Exactly one worker leads, or none serves. */
  let leader: number | undefined;
  let phase: 'starting' | 'started' | 'stopping' = 'starting';
  let wasComplete = false;
  let killed = 0;

  const serving = (): WorkerProcess[] => [...running.values()].filter((worker) => worker.isServing());
  const watchdog = createWatchdog(config.workerSilenceSeconds, serving, (worker) => {
    killed++;
    log.error({ worker: worker.number, workerPid: worker.pid, silentSeconds: config.workerSilenceSeconds }, 'a worker hangs and is killed');
    worker.kill();
  });

  function fork(number: number): WorkerProcess {
    const worker = forkWorker(number, (message) => relay.heard(number, message));
    running.set(number, worker);
    relay.join(number, worker.post.send);
    worker.ready.then(() => serves(worker), () => undefined);
    void worker.failed.then(failed.resolve);
    void worker.ended.then((end) => hasEnded(worker, end));
    return worker;
  }

  function order({ number, post }: WorkerProcess): void {
    leader ??= number;
    post.insist({ kind: 'start', order: { config, warnings, embedded, number, workers: config.workers, leads: leader === number } });
  }

  function serves({ number, pid }: WorkerProcess): void {
    log.info({ worker: number, workerPid: pid, leads: leader === number }, 'a worker serves');
    wasComplete ||= serving().length === config.workers;
    tellState();
    // Whoever was to lead has ended while this one was starting.
    if (leader === undefined) lead(number);
  }

  function tellState(): void {
    const workers = serving();
    const state = { serving: workers.map(({ number }) => number), wasComplete, killed };
    for (const { post } of workers) post.insist({ kind: 'replica', state });
  }

  function lead(number: number): void {
    leader = number;
    running.get(number)?.post.insist({ kind: 'lead' });
    log.info({ worker: number }, 'another worker leads from now on');
  }

  function hasEnded(worker: WorkerProcess, end: WorkerEnd): void {
    const { number } = worker;
    running.delete(number);
    relay.leave(number);
    if (leader === number) leader = undefined;
    if (phase !== 'started') return;
    tellState();
    const [heir] = serving();
    if (leader === undefined && heir) lead(heir.number);
    replace(worker, end);
  }

  function replace({ number, pid, startedMs }: WorkerProcess, { how, fault }: WorkerEnd): void {
    const quick = systemClock.monotonicMs() - startedMs < QUICK_MS ? (quickEnds.get(number) ?? 0) + 1 : 0;
    quickEnds.set(number, quick);
    const waitMs = restartWaitMs(quick);
    log.error({ worker: number, workerPid: pid, how, reason: fault?.message, waitMs }, 'a worker ended and is replaced');
    restarts.set(number, setTimeout(() => order(fork(number)), waitMs));
  }

  const first = fork(1);
  return {
    failed: failed.promise,
    async start(access) {
      embedded = access;
      order(first);
      // They load their modules while the first one starts.
      const numbers = Array.from({ length: config.workers - 1 }, (_, i) => i + 2);
      for (const number of numbers) fork(number);
      const started = await first.ready;
      phase = 'started';
      const others = numbers.map((number) => running.get(number) ?? fork(number));
      for (const worker of others) order(worker);
      await Promise.allSettled(others.map(({ ready }) => ready));
      return started;
    },
    async stop() {
      phase = 'stopping';
      watchdog.stop();
      for (const timer of restarts.values()) clearTimeout(timer);
      const patienceMs = (config.drainDelaySeconds + config.drainSeconds) * 1000 + STOP_SLACK_MS;
      const clean = await Promise.all([...running.values()].map((worker) => end(worker, patienceMs, log)));
      return clean.every(Boolean);
    },
  };
}

/** Resolves, when it has ended, with whether it did so by itself and without a fault. */
async function end({ number, pid, post, ended, kill }: WorkerProcess, patienceMs: number, log: Logger): Promise<boolean> {
  post.insist({ kind: 'stop' });
  let forced = false;
  const late = setTimeout(() => {
    forced = true;
    log.error({ worker: number, workerPid: pid }, 'a worker does not end and is killed');
    kill();
  }, patienceMs);
  const { fault } = await ended;
  clearTimeout(late);
  return !forced && fault === undefined;
}
