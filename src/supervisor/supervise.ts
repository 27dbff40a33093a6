import cluster from 'node:cluster';
import type { ChildProcess } from 'node:child_process';
import type { Replica, Started } from '../app.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { StartupError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { failureOf, startEmbedded, type EmbeddedAccess } from '../db/embedded.ts';
import type { ToSupervisor, ToWorker } from './messages.ts';
import { createPost } from './post.ts';
import { createRelay } from './relay.ts';
import { QUICK_MS, restartWaitMs } from './restart-wait.ts';

/** Jobs under way may take a while after the last request; then a worker is ended by force. */
const STOP_SLACK_MS = 30_000;
/** A worker of the embedded database: its pool and two listeners; the leader three more; some for people. */
const CONNECTIONS_BESIDE_POOL = 2;
const CONNECTIONS_BESIDE_WORKERS = 20;
/** As in main.ts. */
const EXIT_FAULT = 70;

/** One worker process. */
interface Run {
  number: number;
  child: ChildProcess;
  post: (message: ToWorker) => void;
  startedMs: number;
  serving: boolean;
  /** What kept it from starting, in its own words. */
  failed: StartupError | undefined;
  /** Resolves when it serves. @throws StartupError when it ends before that */
  ready: Promise<Started>;
  ended: Promise<void>;
}

/**
 * Starts a replica of several workers and keeps it running: the database first, then the worker that leads (it makes the first start, runs the jobs and publishes
 * the lists), then the others. A worker that ends by itself is replaced; if it led, another one leads from then on.
 * @throws StartupError when the database or the first worker cannot start
 */
export async function supervise(config: Config, warnings: readonly string[], log: Logger): Promise<Replica> {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  cluster.setupPrimary({ serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const relay = createRelay();
  const runs = new Map<number, Run>();
  const quickEnds = new Map<number, number>();
  const restarts = new Map<number, NodeJS.Timeout>();
  let embedded: EmbeddedAccess | undefined;
  let leader: number | undefined;
  let stopping = false;
  let wasComplete = false;

  const serving = (): Run[] => [...runs.values()].filter((run) => run.serving);

  /** The process only; `order` gives it its work. */
  function fork(number: number): Run {
    const { process: child } = cluster.fork();
    const post = createPost<ToWorker>(child);
    const ready = Promise.withResolvers<Started>();
    ready.promise.catch(() => undefined);
    const ended = Promise.withResolvers<void>();
    const run: Run = { number, child, post, startedMs: systemClock.monotonicMs(), serving: false, failed: undefined, ready: ready.promise, ended: ended.promise };
    runs.set(number, run);
    relay.join(number, post);
    child.on('message', (message: ToSupervisor) => {
      switch (message.kind) {
        case 'ready':
          run.serving = true;
          ready.resolve(message.started);
          return serves(run);
        case 'failed':
          run.failed = new StartupError(message.message, message.exitCode);
          return;
        default:
          return relay.heard(number, message);
      }
    });
    child.on('error', (error) => log.warn({ err: error, worker: number }, 'a worker cannot be spoken to'));
    child.once('exit', (code, signal) => {
      runs.delete(number);
      relay.leave(number);
      const how = signal ?? `exit code ${code}`;
      ready.reject(run.failed ?? new StartupError(`worker ${number} ended before it was ready (${how})`, EXIT_FAULT));
      ended.resolve();
      replace(run, how);
    });
    return run;
  }

  function order(run: Run): void {
    leader ??= run.number;
    run.post({ kind: 'start', order: { config, warnings, embedded, number: run.number, workers: config.workers, leads: leader === run.number } });
  }

  function serves({ number, child }: Run): void {
    log.info({ worker: number, workerPid: child.pid, leads: leader === number }, 'a worker serves');
    wasComplete ||= serving().length === config.workers;
    tellState();
    // Whoever was to lead has ended while this one was starting.
    if (leader === undefined) lead(number);
  }

  function tellState(): void {
    const state = { serving: serving().map(({ number }) => number), wasComplete };
    for (const { post } of serving()) post({ kind: 'replica', state });
  }

  function lead(number: number): void {
    leader = number;
    runs.get(number)?.post({ kind: 'lead' });
    log.info({ worker: number }, 'another worker leads from now on');
  }

  function replace(run: Run, how: string): void {
    const { number } = run;
    if (leader === number) leader = undefined;
    if (stopping || !wasStarted) return;
    tellState();
    const heir = serving()[0];
    if (leader === undefined && heir) lead(heir.number);
    const quick = systemClock.monotonicMs() - run.startedMs < QUICK_MS ? (quickEnds.get(number) ?? 0) + 1 : 0;
    quickEnds.set(number, quick);
    const waitMs = restartWaitMs(quick);
    log.error({ worker: number, workerPid: run.child.pid, how, reason: run.failed?.message, waitMs }, 'a worker ended and is replaced');
    restarts.set(number, setTimeout(() => order(fork(number)), waitMs));
  }

  async function end(run: Run): Promise<boolean> {
    run.post({ kind: 'stop' });
    let forced = false;
    const late = setTimeout(() => {
      forced = true;
      log.error({ worker: run.number, workerPid: run.child.pid }, 'a worker does not end and is killed');
      run.child.kill('SIGKILL');
    }, config.drainSeconds * 1000 + STOP_SLACK_MS);
    await run.ended;
    clearTimeout(late);
    return !forced && run.failed === undefined;
  }

  async function endAll(): Promise<boolean> {
    stopping = true;
    for (const timer of restarts.values()) clearTimeout(timer);
    return (await Promise.all([...runs.values()].map(end))).every((clean) => clean);
  }

  // Its modules are loaded while the database starts.
  let wasStarted = false;
  const first = fork(1);
  const maxConnections = config.workers * (config.databaseConnections + CONNECTIONS_BESIDE_POOL) + CONNECTIONS_BESIDE_WORKERS;
  let own: Awaited<ReturnType<typeof startEmbedded>> | undefined;
  let started: Started;
  try {
    own = config.databaseUrl === undefined ? await startEmbedded({ dataDir: config.dataDir, log, maxConnections }) : undefined;
    embedded = own && { ownerUrl: own.ownerUrl, serviceUrl: own.serviceUrl, servicePassword: own.servicePassword };
    order(first);
    started = await first.ready;
  } catch (error) {
    await endAll();
    await own?.stop();
    throw error;
  }
  wasStarted = true;
  const others = Array.from({ length: config.workers - 1 }, (_, i) => fork(i + 2));
  for (const run of others) order(run);
  await Promise.allSettled(others.map((run) => run.ready));

  return {
    ...started,
    failed: failureOf(own),
    async stop() {
      const clean = await endAll();
      await own?.stop();
      if (!clean) throw new Error('not every worker ended cleanly');
    },
  };
}
