import { StartupError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { ulid } from '../core/random.ts';
import { appendAudit } from '../audit/append.ts';
import { crlCopyDirOf } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { Context } from '../context.ts';
import { inTransaction, type Db } from '../db/client.ts';
import { auditEventAt, findUnrecovered, insertUnrecovered, noteDatabaseIdentity, notedDatabaseIdentity, readDatabaseIdentity, readListStandings, readStanding } from '../db/worlds.ts';
import { COMPLETE } from '../db/crls.ts';
import { listCopies, readEvidence } from './crl-evidence.ts';
import { readWorldFile } from './world-file.ts';

/** What shows that the database is an older world than one that was seen. */
export interface SetBack {
  /** `marked`: noted in the database itself. `moved`: its tables are a copy of others, which may have lost nothing. `behind`: others have seen what it does not know. */
  kind: 'marked' | 'moved' | 'behind';
  says: string;
}

interface Needs {
  config: Pick<Config, 'dataDir' | 'crlCopyDir' | 'databaseUrl'>;
  db: Db;
  ownerDb: Db;
  log: Pick<Logger, 'warn'>;
}

/** Everything that shows it; empty for a database that is what it was, or new. */
export async function findSetBacks({ config, db, ownerDb, log }: Needs): Promise<SetBack[]> {
  const standing = await readStanding(db);
  if (!standing) return [];
  const found: SetBack[] = [];
  const unrecovered = await findUnrecovered(db);
  if (unrecovered) {
    const how = unrecovered.cause === 'restored' ? 'a backup was restored into it' : 'a running replica saw it go back';
    found.push({ kind: 'marked', says: `${how} (${unrecovered.notedAt.toISOString()}); nothing is known of what came after ${unrecovered.lostFrom.toISOString()}` });
  }
  const [noted, identity] = [await notedDatabaseIdentity(db), await readDatabaseIdentity(ownerDb)];
  if (noted !== null && identity !== undefined && noted !== identity) found.push({ kind: 'moved', says: 'its tables were copied here from another database or server' });

  const seen = readWorldFile(config.dataDir, log);
  if (seen !== undefined && seen.clusterId !== standing.clusterId) {
    log.warn({ dataDir: config.dataDir, was: seen.clusterId, is: standing.clusterId }, 'this data folder was last used with another cluster');
  } else if (seen !== undefined && seen.epoch > standing.epoch) {
    found.push({ kind: 'behind', says: `this machine has seen epoch ${seen.epoch}, the database is in epoch ${standing.epoch}` });
  } else if (seen !== undefined && seen.epoch === standing.epoch) {
    const id = await auditEventAt(db, seen.auditN);
    if (seen.auditN > standing.auditN || seen.feedN > standing.feedN) {
      found.push({ kind: 'behind', says: `this machine has seen audit event ${seen.auditN} and feed event ${seen.feedN}, the database ends at ${standing.auditN} and ${standing.feedN}` });
    } else if (seen.auditId !== null && id !== 'purged' && id !== seen.auditId) {
      found.push({ kind: 'behind', says: `audit event ${seen.auditN} is another one than this machine has seen` });
    }
  }

  const copies = await readEvidence(db, listCopies(crlCopyDirOf(config)));
  for (const { file, why } of copies.unusable) log.warn({ file }, `a copy of a list tells nothing: ${why}`);
  const standings = await readListStandings(db);
  for (const { file, issuerId, shard, number } of copies.lists) {
    const stored = standings.find((list) => list.issuerId === issuerId && list.shard === shard)?.number ?? 0n;
    const name = `${issuerId}/${shard === COMPLETE ? 'complete' : shard}`;
    if (number > stored) found.push({ kind: 'behind', says: `list ${name} was published with number ${number} (${file}), the database knows it up to ${stored}` });
  }
  return found;
}

/**
 * What must not start does not: a database that was set back may call good what was revoked (DESIGN invariant 14).
 * @throws StartupError (78) with what shows it and what to do
 */
export async function assertNotSetBack(needs: Needs): Promise<void> {
  const found = await findSetBacks(needs);
  if (found.length > 0) throw new StartupError(explain(found), 78);
}

/** Notes, once there is a cluster, where its tables are: a copy of them will know itself for one. */
export async function noteWhereTablesAre({ db, ownerDb }: Pick<Needs, 'db' | 'ownerDb'>): Promise<void> {
  if ((await notedDatabaseIdentity(db)) !== null) return;
  const identity = await readDatabaseIdentity(ownerDb);
  if (identity !== undefined) await noteDatabaseIdentity(ownerDb, identity);
}

/** Writes into the database that a running replica saw it go back: from now on none starts on it. What cannot be written is logged. */
export async function noteSetBack({ db, clock, random, log }: Pick<Context, 'db' | 'clock' | 'random' | 'log'>, says: string): Promise<void> {
  const now = clock.now();
  const origin = { actor: { kind: 'system', id: 'feed-follower' }, requestId: null, source: null } as const;
  await inTransaction(db, async (tx) => {
    if (!(await insertUnrecovered(tx, { id: ulid(now, random), cause: 'set-back', notedAt: now, detail: { says } }))) return;
    await appendAudit({ random }, tx, origin, now, { kind: 'world.set-back', outcome: 'failure', detail: { says } });
  }).catch((error: unknown) => log.error({ err: error }, 'that the database was set back could not be noted in it: other replicas may start'));
}

function explain(found: readonly SetBack[]): string {
  const reasons = found.map(({ says }) => `  ${says}\n`).join('');
  const moved = found.every(({ kind }) => kind === 'moved')
    ? 'Was Signet stopped before they were copied, and nothing lost: signet admin recover --moved. Was a backup restored, or is that not certain: signet admin recover --restored'
    : 'Stop every replica, then: signet admin recover --restored';
  return `the database is not the one that was last in use:\n${reasons}It may call good what was revoked, so nothing is served from it.\n${moved} (docs/backup.md)`;
}
