import { StartupError } from '../core/errors.ts';
import { migrate, pendingMigrations } from '../db/migrate.ts';
import { withStartLock } from '../db/start-lock.ts';
import { EXIT, type LocalCommand } from './local-command.ts';
import { withLocalDatabase } from './local-database.ts';

/** `signet migrate`: what a start does first, by itself; with --check only the question whether it is needed. */
export const MIGRATE: LocalCommand = {
  name: 'migrate',
  usage: '[--check]',
  summary: 'Bring the database to the schema of this Signet, as its owner; the service may be running or not',
  example: 'signet migrate --check',
  options: { check: { type: 'boolean' } },
  help: { check: 'change nothing; exit code 1 when something is to be applied' },
  refusal: 'something is to be applied (--check)',
  run: (local, input) =>
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
    }),
};

function unreachable(error: unknown): never {
  throw error instanceof StartupError ? error : new StartupError(`the database cannot be reached: ${(error as Error).message}`, 69, error);
}
