import path from 'node:path';
import type { Barrier } from '../core/barrier.ts';
import { systemClock } from '../core/clock.ts';
import { StartupError } from '../core/errors.ts';
import { createSystemRandom, ulid } from '../core/random.ts';
import { appendAudit } from '../audit/append.ts';
import { inTransaction, type Db } from '../db/client.ts';
import { beginRestoration, END_RESTORATION, loadTables, readRestoration } from '../db/dump.ts';
import { assertKnownMigrations, migrate } from '../db/migrate.ts';
import { ensurePartitions } from '../db/partitions.ts';
import { withStartLock } from '../db/start-lock.ts';
import { findUnrecovered, insertUnrecovered } from '../db/worlds.ts';
import { required } from '../cli/command.ts';
import { openBackup, type OpenBackup } from './backup-file.ts';
import { fileBarriers } from './fault-barriers.ts';
import { EXIT, Refused, type LocalRun } from './local-command.ts';
import { withLocalDatabase, withOwner, type LocalDatabase } from './local-database.ts';

const ORIGIN = { actor: { kind: 'command', id: 'restore' }, credential: { kind: 'database-owner' }, requestId: null, source: null } as const;

/** `signet restore`: a backup into an empty database. What is restored is an older world: no Signet starts on it before `admin recover --restored`. */
export const runRestore: LocalRun = async (local, input) => {
  const config = local.config();
  const backup = await openBackup(path.resolve(required(input, 'from')));
  try {
    assertKnownMigrations(backup.header.migrations);
    const { cluster, auditN, lastAuditAt } = backup.header;
    if (cluster.trustDomain !== config.trustDomain) {
      throw new Refused(`the backup is of trust domain ${cluster.trustDomain}, but SIGNET_TRUST_DOMAIN is ${config.trustDomain}`, 'give the configuration of the Signet that the backup is of');
    }
    await withLocalDatabase(config, local.log, (database) => withStartLock(database.ownerUrl, () => restore(database, backup, fileBarriers(config.faultBarriersDir))), { make: true });
    local.show(
      { restored: true, cluster, auditN, lastAuditAt, next: 'signet admin recover --restored' },
      `restored: cluster ${cluster.id}, everything up to audit event ${auditN} (${lastAuditAt ?? 'none'})\n`
        + 'What was revoked after that is not in it. Before the service starts: signet admin recover --restored (docs/backup.md)\n',
    );
    return EXIT.ok;
  } finally {
    await backup.close();
  }
};

/** Each step is noted in the database, so that a restore that was cut short can be run again with the same file. */
async function restore(database: LocalDatabase, backup: OpenBackup, barrier: Barrier): Promise<void> {
  const { ownerUrl } = database;
  const found = await readRestoration(ownerUrl);
  if (found.state === 'in-use') {
    throw new Refused('the database is not empty', database.embedded ? 'stop Signet and move the folder postgres in its data folder away (docs/backup.md)' : 'make an empty database and name it in SIGNET_OWNER_DATABASE_URL and DATABASE_URL');
  }
  if (found.state === 'begun' && found.sha256 !== backup.sha256) throw new Refused('the restore of another backup into this database was cut short', 'run it again with that file, or make an empty database');
  if (found.state === 'empty') await beginRestoration(ownerUrl, backup.sha256);
  await barrier('restore:begun');
  if (!(found.state === 'begun' && found.loaded)) {
    await migrate(ownerUrl, { only: backup.header.migrations.map(({ name }) => name), restoring: true });
    await withOwner(database, async (ownerDb) => {
      for (const day of backup.header.partitions) await ensurePartitions(ownerDb, day, day);
    });
    await loadTables(ownerUrl, { sha256: backup.sha256, cluster: backup.header.cluster }, backup.tables());
  }
  await barrier('restore:loaded');
  await migrate(ownerUrl, { restoring: true });
  await withOwner(database, (ownerDb) => finish(ownerDb, backup));
}

/** From this commit on the database is whole, and marked as an older world. */
async function finish(ownerDb: Db, { header, sha256 }: OpenBackup): Promise<void> {
  const random = createSystemRandom();
  const now = systemClock.now();
  const detail = { backup: sha256, madeAt: header.createdAt, auditN: header.auditN, feedN: header.feedN };
  await inTransaction(ownerDb, async (tx) => {
    // Of a database that was waiting for its recovery when it was backed up, the mark is in the backup, with the older loss.
    const marked = (await insertUnrecovered(tx, { id: ulid(now, random), cause: 'restored', notedAt: now, detail })) || (await findUnrecovered(tx)) !== undefined;
    if (!marked) throw new Error('the database could not be marked as an older world');
    await tx.$executeRawUnsafe(END_RESTORATION);
    await appendAudit({ random }, tx, ORIGIN, now, { kind: 'world.restored', outcome: 'success', detail });
  }).catch((error: unknown) => {
    throw new StartupError(`the data is loaded, but the restore could not be finished: ${(error as Error).message}; run it again`, 70, error);
  });
}
