import './admin/node-version.ts';
import { banner } from './admin/banner.ts';
import { assertDoorsFree } from './admin/free-doors.ts';
import type { Replica } from './app.ts';
import { configWarnings, loadConfig } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { systemClock } from './core/clock.ts';
import { StartupError } from './core/errors.ts';
import { createLogger, redactSecrets, type Logger } from './core/log.ts';
import { STOP_SIGNALS } from './supervisor/stop-signals.ts';
import { supervise } from './supervisor/supervise.ts';
import { isWorker, work } from './supervisor/worker.ts';

/** Exit code of what should not happen: told to stop twice, lost its database for good, an unforeseen fault (sysexits EX_SOFTWARE). */
const EXIT_FORCED = 70;
/** Told to stop before it was up. */
const EXIT_INTERRUPTED = 130;

/** One Ctrl-C may come twice at once: from the terminal, and from npm, which passes on what it gets. */
const SAME_REQUEST_MS = 500;

/** A supervisor does without the modules that serve: it stays small. */
const loadApp = async () => (await import('./app.ts')).startApp;

/** Until there is something to drain: an exit, which takes the embedded database and the workers along. */
const interrupted = () => process.exit(EXIT_INTERRUPTED);

function stopOnSignal(replica: Replica, log: Logger): void {
  let stoppingSinceMs: number | undefined;
  const stop = (signal: string, exitCode = 0) => {
    const nowMs = systemClock.monotonicMs();
    if (stoppingSinceMs !== undefined) {
      if (nowMs - stoppingSinceMs > SAME_REQUEST_MS) process.exit(EXIT_FORCED);
      return;
    }
    stoppingSinceMs = nowMs;
    log.info({ signal }, 'stopping: requests under way are finished first');
    replica.stop().then(
      () => {
        log.info({ seconds: Math.round((systemClock.monotonicMs() - nowMs) / 100) / 10 }, 'stopped');
        process.exit(exitCode);
      },
      (error: unknown) => {
        log.fatal({ err: error }, 'could not stop cleanly');
        process.exit(EXIT_FORCED);
      },
    );
  };
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop(signal)).off(signal, interrupted);
  replica.failed.then(
    (reason) => {
      if (stoppingSinceMs !== undefined) return;
      log.fatal({ reason }, 'cannot go on');
      stop('failure', EXIT_FORCED);
    },
    () => undefined,
  );
}

async function startReplica(config: Config, log: Logger): Promise<Replica> {
  const warnings = configWarnings(config);
  await assertDoorsFree(config);
  return config.workers === 1 ? (await loadApp())(config, warnings, log) : supervise(config, warnings, log);
}

async function serve(): Promise<void> {
  for (const signal of STOP_SIGNALS) process.on(signal, interrupted);
  try {
    const config = loadConfig();
    const log = createLogger(config.logLevel);
    const replica = await startReplica(config, log);
    stopOnSignal(replica, log);
    process.stdout.write(banner(config, replica, process.stdout.isTTY));
  } catch (error) {
    const known = error instanceof StartupError;
    const said = known ? error.message : `could not start, for a reason nobody foresaw:\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    process.stderr.write(`signet: ${redactSecrets(said)}\n`);
    process.exit(known ? error.exitCode : EXIT_FORCED);
  }
}

// Nobody reads what is printed, or the disk it goes to is full: no reason to stop.
process.stdout.on('error', () => undefined);
if (isWorker) work(loadApp());
else await serve();
