import { userInfo } from 'node:os';
import { PurgeUnderWay, purgeAuditEvents } from '../audit/purge.ts';
import { required, UsageError } from '../cli/command.ts';
import { systemClock } from '../core/clock.ts';
import { StartupError } from '../core/errors.ts';
import { createSystemRandom } from '../core/random.ts';
import { purgeScope } from '../db/audit-purge.ts';
import type { Db } from '../db/client.ts';
import { EXIT, Refused, type LocalRun, type LocalContext } from './local-command.ts';
import { withLocalDatabase, withOwner } from './local-database.ts';

/** `signet audit purge`: the only way an audit event ever goes. */
export const runAuditPurge: LocalRun = async (local, input) => {
  const before = parseBefore(required(input, 'before'), systemClock.now());
  return withLocalDatabase(local.config(), local.log, (database) => withOwner(database, (ownerDb) => purge(local, ownerDb, before, input.values['yes'] === true).catch(explain)));
};

function parseBefore(given: string, now: Date): Date {
  const before = /^\d{4}-\d\d-\d\d(T[\d:.]+Z)?$/.test(given) ? new Date(given) : new Date(NaN);
  if (Number.isNaN(before.getTime())) throw new UsageError('--before must be a date such as 2026-01-31 or 2026-01-31T12:00:00Z');
  if (before > now) throw new UsageError('--before lies in the future');
  return before;
}

async function purge(local: LocalContext, ownerDb: Db, before: Date, yes: boolean): Promise<number> {
  const { first, until } = await purgeScope(ownerDb, before);
  const matching = first === undefined || until <= first.n ? 0n : until - first.n;
  let purged = 0n;
  if (yes && matching > 0n) {
    const operator = userInfo().username;
    const origin = { actor: { kind: 'command', id: 'audit purge' }, credential: { kind: 'database-owner' }, requestId: null, source: null } as const;
    purged = await purgeAuditEvents({ ownerDb, random: createSystemRandom() }, origin, { before, until, operator, now: () => systemClock.now() });
  }
  const wouldBe = `about ${matching} audit events are older than ${before.toISOString()}${first ? ` (the oldest is of ${first.at.toISOString()})` : ''}; to delete them: --yes\n`;
  local.show(
    { before: before.toISOString(), oldest: first?.at.toISOString() ?? null, matching: Number(matching), purged: Number(purged) },
    yes ? `${purged} audit events older than ${before.toISOString()} were purged; their hashes are kept\n` : wouldBe,
  );
  return EXIT.ok;
}

function explain(error: unknown): never {
  if (error instanceof PurgeUnderWay) throw new Refused('another purge is under way', 'leave it to finish');
  return explainOwnerOnly(error, 'purge');
}

/** Why what only the owner of the tables may do was not done. @throws StartupError (69) */
export function explainOwnerOnly(error: unknown, what: 'purge' | 'erase'): never {
  if (error instanceof StartupError) throw error;
  const message = error instanceof Error ? error.message.trim() : String(error);
  const isDenied = /42501|permission denied|append-only/.test(message);
  throw new StartupError(`${message}\n${isDenied ? `Only the role that owns the tables may ${what}: give SIGNET_OWNER_DATABASE_URL` : 'Is the database there? signet config check'}`, 69, error);
}
