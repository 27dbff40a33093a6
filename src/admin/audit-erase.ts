import { userInfo } from 'node:os';
import { erasePerson, StillRegistered } from '../audit/erase.ts';
import { required, UsageError } from '../cli/command.ts';
import { systemClock } from '../core/clock.ts';
import { createSystemRandom } from '../core/random.ts';
import { explainOwnerOnly } from './audit-purge.ts';
import { EXIT, Refused, type LocalRun } from './local-command.ts';
import { withLocalDatabase, withOwner } from './local-database.ts';

const ORIGIN = { actor: { kind: 'command', id: 'audit erase' }, credential: { kind: 'database-owner' }, requestId: null, source: null } as const;

/** `signet audit erase`: takes a person out of the records and leaves the log as it is. */
export const runAuditErase: LocalRun = (local, input) => {
  const email = required(input, 'email').toLowerCase();
  if (!/^[^\s@]+@[^\s@]+$/.test(email) || email.length > 254) throw new UsageError('--email must be an e-mail address');
  const dryRun = input.values['yes'] !== true;
  return withLocalDatabase(local.config(), local.log, (database) =>
    withOwner(database, async (ownerDb) => {
      const erased = await erasePerson({ ownerDb, random: createSystemRandom() }, ORIGIN, { email, operator: userInfo().username, now: systemClock.now(), dryRun });
      // What was deleted stands in the pages of the table until they are cleared.
      if (!dryRun && erased.personalFields > 0) await ownerDb.$executeRawUnsafe('VACUUM audit_personal');
      const counts = `${erased.personalFields} fields beside audit events, ${erased.owners} owners, ${erased.texts} other texts`;
      local.show({ erased: !dryRun, ...erased }, dryRun ? `would be erased: ${counts}; to erase them: --yes\n` : `erased: ${counts}; no audit event has changed\n`);
      return EXIT.ok;
    }).catch((error: unknown) => {
      if (error instanceof StillRegistered) throw new Refused(`the person is ${error.message}`, 'give these another owner or deputy, or retire them: signet agent change, signet relying-party change');
      return explainOwnerOnly(error, 'erase');
    }),
  );
};
