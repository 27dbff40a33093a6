import type { ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import type { Started } from '../app.ts';
import { systemClock } from '../core/clock.ts';
import { StartupError } from '../core/errors.ts';
import type { ToSupervisor, ToWorker } from './messages.ts';
import { createPost, type Post } from './post.ts';
import type { SiblingMessage } from './relay.ts';

/** As in main.ts. */
const EXIT_FAULT = 70;

/** A worker as its supervisor has it. */
export interface WorkerProcess {
  readonly number: number;
  readonly pid: number | undefined;
  readonly post: Post<ToWorker>;
  /** Monotonic milliseconds. */
  readonly startedMs: number;
  /** Its doors are open. */
  readonly isServing: () => boolean;
  /** Resolves when it serves. @throws StartupError when it ends before that, its own if it gave one */
  readonly ready: Promise<Started>;
  /** Resolves with the reason when it finds that the whole replica cannot go on. */
  readonly failed: Promise<string>;
  /** Resolves with how it ended. */
  readonly ended: Promise<WorkerEnd>;
  readonly kill: () => void;
  /** Asks whether it still does anything, and returns how many earlier probes in a row have had no answer. At most one question waits for it. */
  readonly probe: () => number;
}

export interface WorkerEnd {
  /** Exit code or signal. */
  how: string;
  /** What it said it failed of. */
  fault: StartupError | undefined;
}

/** All workers share the doors; connections are handed to them in turn. Call it once, before the first worker. */
export function prepareCluster(): void {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  cluster.setupPrimary({ serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

/** Starts the process of a worker, which waits for its order. `heard` gets what it says to its siblings. */
export function forkWorker(number: number, heard: (message: SiblingMessage) => void): WorkerProcess {
  const { process: child } = cluster.fork();
  closeLostConnections(child);
  const ready = Promise.withResolvers<Started>();
  const failed = Promise.withResolvers<string>();
  const ended = Promise.withResolvers<WorkerEnd>();
  let serving = false;
  let fault: StartupError | undefined;
  let unanswered = 0;
  ready.promise.catch(() => undefined);

  child.on('message', (message: ToSupervisor) => {
    switch (message.kind) {
      case 'ready':
        serving = true;
        ready.resolve(message.started);
        return;
      case 'cannot-go-on':
        failed.resolve(message.reason);
        return;
      case 'failed':
        fault = new StartupError(message.message, message.exitCode);
        return;
      case 'alive':
        unanswered = 0;
        return;
      default:
        heard(message);
    }
  });
  // A channel that breaks is followed by the end of the process; unheard, the event would end this one.
  child.on('error', () => undefined);
  child.once('exit', (code, signal) => {
    const how = signal ?? `exit code ${code}`;
    serving = false;
    ready.reject(fault ?? new StartupError(`worker ${number} ended before it was ready (${how})`, EXIT_FAULT));
    ended.resolve({ how, fault });
  });
  const post = createPost<ToWorker>(child);
  return {
    number,
    pid: child.pid,
    post,
    startedMs: systemClock.monotonicMs(),
    isServing: () => serving,
    ready: ready.promise,
    failed: failed.promise,
    ended: ended.promise,
    kill: () => void child.kill('SIGKILL'),
    probe() {
      if (unanswered === 0) post.insist({ kind: 'probe' });
      return unanswered++;
    },
  };
}

/**
 * node:cluster forgets a connection that was on its way to a worker when that ended, and its client would wait for ever: it is closed here, so that the client
 * can ask again. At most one a door is on its way to a worker. (The messages are node's own: should a newer Node name them otherwise, this does nothing, and
 * test/slow/workers.load.test.ts says so.)
 */
function closeLostConnections(child: ChildProcess): void {
  const onTheWay = new Map<number, { close(): void }>();
  const send = child.send.bind(child) as (...args: unknown[]) => boolean;
  child.send = (...args: unknown[]) => {
    const [message, handle] = args as [{ act?: string; seq?: number }, { close(): void } | undefined];
    if (message.act === 'newconn' && message.seq !== undefined && handle) onTheWay.set(message.seq, handle);
    return send(...args);
  };
  child.on('internalMessage', ({ ack }: { ack?: number }) => ack !== undefined && onTheWay.delete(ack));
  child.once('exit', () => {
    for (const handle of onTheWay.values()) handle.close();
  });
}
