import { StartupError } from '../core/errors.ts';
import { migrate, pendingMigrations } from '../db/migrate.ts';
import { withStartLock } from '../db/start-lock.ts';
import { EXIT, type LocalRun } from './local-command.ts';
import { withLocalDatabase } from './local-database.ts';

/** `signet migrate`: what a start does first, by itself; with --check only the question whether it is needed. */
export const runMigrate: LocalRun = (local, input) =>
  withLocalDatabase(local.config(), local.log, async (database) => {
    if (input.values['check'] === true) {
      const pending = await pendingMigrations(database.ownerUrl).catch(unreachable);
      local.show({ pending }, pending.length === 0 ? 'nothing is to be applied\n' : `to be applied:\n${pending.map((name) => `  ${name}\n`).join('')}`);
      return pending.length === 0 ? EXIT.ok : EXIT.refused;
    }
    const applied = await withStartLock(database.ownerUrl, async () => {
      const names = await migrate(database.ownerUrl);
      await database.ensureServiceRole();
      return names;
    });
    local.show({ applied }, applied.length === 0 ? 'nothing was to be applied\n' : `applied:\n${applied.map((name) => `  ${name}\n`).join('')}`);
    return EXIT.ok;
  });

function unreachable(error: unknown): never {
  throw error instanceof StartupError ? error : new StartupError(`the database cannot be reached: ${(error as Error).message}`, 69, error);
}
