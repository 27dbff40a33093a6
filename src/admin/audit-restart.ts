import { restartLog } from '../audit/log.ts';
import { required, UsageError } from '../cli/command.ts';
import { auditCopyDirOf } from '../config/load.ts';
import { systemClock } from '../core/clock.ts';
import { createSystemRandom } from '../core/random.ts';
import { readStanding } from '../db/worlds.ts';
import { openKeyStore, resolveKek } from '../keystore/index.ts';
import { EXIT, Refused, type LocalRun } from './local-command.ts';
import { withLocalDatabase, withOwner } from './local-database.ts';

const ORIGIN = { actor: { kind: 'command', id: 'audit restart-log' }, credential: { kind: 'database-owner' }, requestId: null, source: null } as const;
const REASON_MAX = 200;

/** `signet audit restart-log`: how an operator goes on after the audit log has stopped. */
export const runAuditRestart: LocalRun = async (local, input) => {
  const reason = required(input, 'reason');
  if (!/^[^\p{C}]+$/u.test(reason) || reason.length > REASON_MAX) throw new UsageError(`--reason must be one line of at most ${REASON_MAX} characters`);
  const config = local.config();
  const random = createSystemRandom();
  return withLocalDatabase(config, local.log, (database) =>
    withOwner(database, async (ownerDb) => {
      if (!(await readStanding(ownerDb))) throw new Refused('no Signet was ever started on this database', 'start it: the first start begins a log');
      const { keyStore } = await openKeyStore({ db: ownerDb, random, clock: systemClock, log: local.log }, resolveKek(config, database.embedded));
      const ctx = { db: ownerDb, ownerDb, keyStore, clock: systemClock, random, config, copyDir: auditCopyDirOf(config) };
      const { ended, begun } = await restartLog(ctx, ORIGIN, reason);
      local.show({ ended: ended?.origin ?? null, begun }, `${ended ? `log ${ended.origin} has ended; ` : ''}log ${begun} begins. Give its key (GET /v1/audit/log) to whoever follows it\n`);
      return EXIT.ok;
    }),
  );
};
