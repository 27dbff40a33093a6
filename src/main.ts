import { banner } from './admin/banner.ts';
import { startApp, type App } from './app.ts';
import { configWarnings, loadConfig } from './config/load.ts';
import { StartupError } from './core/errors.ts';
import { createLogger, redactSecrets, type Logger } from './core/log.ts';

/** Exit code of what should not happen: told to stop twice, lost its database for good, an unforeseen fault (sysexits EX_SOFTWARE). */
const EXIT_FORCED = 70;

function stopOnSignal(app: App, log: Logger): void {
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) process.exit(EXIT_FORCED);
    stopping = true;
    log.info({ signal }, 'stopping: requests under way are finished first');
    app.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.fatal({ err: error }, 'could not stop cleanly');
        process.exit(EXIT_FORCED);
      },
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  // A closed terminal: without this the embedded database would stay behind.
  process.on('SIGHUP', stop);
  app.failed.then(
    (reason) => {
      if (stopping) return;
      log.fatal({ reason }, 'cannot go on');
      stop('failure');
    },
    () => undefined,
  );
}

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
