import { banner } from './admin/banner.ts';
import { startApp, type App } from './app.ts';
import { configWarnings, loadConfig } from './config/load.ts';
import { systemClock } from './core/clock.ts';
import { StartupError } from './core/errors.ts';
import { createLogger, redactSecrets, type Logger } from './core/log.ts';

/** Exit code of what should not happen: told to stop twice, lost its database for good, an unforeseen fault (sysexits EX_SOFTWARE). */
const EXIT_FORCED = 70;
/** Told to stop before it was up. */
const EXIT_INTERRUPTED = 130;
/** SIGHUP: a closed terminal; without it the embedded database would stay behind. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** One Ctrl-C may come twice at once: from the terminal, and from npm, which passes on what it gets. */
const SAME_REQUEST_MS = 500;

/** Until there is something to drain: an exit, which takes the embedded database along. */
const interrupted = () => process.exit(EXIT_INTERRUPTED);

function stopOnSignal(app: App, log: Logger): void {
  let stoppingSinceMs: number | undefined;
  const stop = (signal: string, exitCode = 0) => {
    const nowMs = systemClock.monotonicMs();
    if (stoppingSinceMs !== undefined) {
      if (nowMs - stoppingSinceMs > SAME_REQUEST_MS) process.exit(EXIT_FORCED);
      return;
    }
    stoppingSinceMs = nowMs;
    log.info({ signal }, 'stopping: requests under way are finished first');
    app.stop().then(
      () => process.exit(exitCode),
      (error: unknown) => {
        log.fatal({ err: error }, 'could not stop cleanly');
        process.exit(EXIT_FORCED);
      },
    );
  };
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop(signal)).off(signal, interrupted);
  app.failed.then(
    (reason) => {
      if (stoppingSinceMs !== undefined) return;
      log.fatal({ reason }, 'cannot go on');
      stop('failure', EXIT_FORCED);
    },
    () => undefined,
  );
}

for (const signal of STOP_SIGNALS) process.on(signal, interrupted);
// Nobody reads what is printed, or the disk it goes to is full: no reason to stop.
process.stdout.on('error', () => undefined);
try {
  const config = loadConfig();
  const log = createLogger(config.logLevel);
  const app = await startApp(config, configWarnings(config), log);
  stopOnSignal(app, log);
  process.stdout.write(banner(config, app, process.stdout.isTTY));
} catch (error) {
  const known = error instanceof StartupError;
  const said = known ? error.message : `could not start, for a reason nobody foresaw:\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  process.stderr.write(`signet: ${redactSecrets(said)}\n`);
  process.exit(known ? error.exitCode : EXIT_FORCED);
}
