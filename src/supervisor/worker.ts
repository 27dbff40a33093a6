import cluster from 'node:cluster';
import type { App, startApp } from '../app.ts';
import { StartupError } from '../core/errors.ts';
import { createLogger, redactSecrets, type Logger } from '../core/log.ts';
import type { ToSupervisor, ToWorker, WorkerOrder } from './messages.ts';
import { createPost } from './post.ts';
import { createSiblings, type RelayedSiblings } from './siblings.ts';
import { STOP_SIGNALS } from './stop-signals.ts';

/** Whether this process was started by a supervisor. */
export const { isWorker } = cluster;

const EXIT_STOPPED = 0;
/** As in main.ts. */
const EXIT_FAULT = 70;

/**
 * The life of a worker: waits for its order, serves, and does what the supervisor says. Without a supervisor it ends at once: node:cluster sees to that.
 * `load` gives `startApp`, whose modules are loaded while the supervisor opens the database.
 */
export function work(load: Promise<typeof startApp>): void {
  // A terminal's Ctrl-C reaches every process of its group, and service managers signal every process of a service: the supervisor says when.
  for (const signal of STOP_SIGNALS) process.on(signal, () => undefined);
  const post = createPost<ToSupervisor>(process);
  let siblings: RelayedSiblings | undefined;
  let running: { app: App; log: Logger } | undefined;

  process.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'start':
        siblings = createSiblings(message.order, post.send);
        start(message.order, siblings).catch(fail);
        return;
      case 'lead':
        running?.app.lead().catch((error: unknown) => running?.log.error({ err: error }, 'what the lists lack waits for the job'));
        return;
      case 'stop':
        // Before it serves there is nothing to drain.
        if (!running) process.exit(EXIT_STOPPED);
        running.app.stop().then(() => process.exit(EXIT_STOPPED), fail);
        return;
      case 'probe':
        return post.insist({ kind: 'alive' });
      default:
        siblings?.heard(message);
    }
  });

  async function start({ config, warnings, embedded, leads }: WorkerOrder, place: RelayedSiblings): Promise<void> {
    const log = createLogger(config.logLevel);
    const app = await (await load)(config, warnings, log, { siblings: place, leads, embedded });
    running = { app, log };
    void app.failed.then((reason) => post.insist({ kind: 'cannot-go-on', reason }));
    const { addresses, rootFingerprint, database, bootstrap } = app;
    post.insist({ kind: 'ready', started: { addresses, rootFingerprint, database, bootstrap } });
  }
}

/** Ends this process; the supervisor says why, where the fault keeps the replica from starting, or replaces it. */
function fail(error: unknown): void {
  const known = error instanceof StartupError;
  const said = known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  const exitCode = known ? error.exitCode : EXIT_FAULT;
  const message: ToSupervisor = { kind: 'failed', message: redactSecrets(said), exitCode };
  process.send?.(message, undefined, undefined, () => process.exit(exitCode));
}
