import { readFileSync } from 'node:fs';
import path from 'node:path';
import { StartupError } from '../core/errors.ts';
import { systemClock } from '../core/clock.ts';
import { createSystemRandom, ulid } from '../core/random.ts';
import { appendAudit } from '../audit/append.ts';
import type { AuditEvent } from '../audit/events.ts';
import type { Config } from '../config/schema.ts';
import { inTransaction, type Db } from '../db/client.ts';
import { assertWhole, withSnapshot } from '../db/dump.ts';
import { resolveKek } from '../keystore/index.ts';
import { required } from '../cli/command.ts';
import { openBackup, writeBackup, type BackupHeader } from './backup-file.ts';
import { EXIT, type LocalRun } from './local-command.ts';
import { withLocalDatabase, withOwner } from './local-database.ts';

const ORIGIN = { actor: { kind: 'command', id: 'backup' }, credential: { kind: 'database-owner' }, requestId: null, source: null } as const;

/** Version of this Signet, as package.json two folders up has it. */
export const signetVersion = (): string => (JSON.parse(readFileSync(path.resolve(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string }).version;

const record = (ownerDb: Db, event: AuditEvent) => inTransaction(ownerDb, (tx) => appendAudit({ random: createSystemRandom() }, tx, ORIGIN, systemClock.now(), event));

/** `signet backup`: the whole database as of one moment, while it is used. */
export const runBackup: LocalRun = (local, input) => {
  const file = path.resolve(required(input, 'out'));
  const config = local.config();
  return withLocalDatabase(config, local.log, async (database) => {
    // A half restored database gets no event: the restore that goes on would be of something else.
    await assertWhole(database.ownerUrl);
    const target = ulid(systemClock.now(), createSystemRandom());
    await withOwner(database, (ownerDb) => record(ownerDb, { kind: 'backup.begun', outcome: 'success', target }));
    const { header, written } = await withSnapshot(database.ownerUrl, async ({ facts, rows }) => {
      const made: BackupHeader = { signet: signetVersion(), createdAt: systemClock.now().toISOString(), ...facts };
      return { header: made, written: await writeBackup(file, made, rows) };
    }).catch(async (error: unknown) => {
      // What made the backup fail may make this fail as well, and is what is to be told.
      await withOwner(database, (ownerDb) => record(ownerDb, { kind: 'backup.failed', outcome: 'failure', target })).catch(() => undefined);
      throw error;
    });
    await withOwner(database, (ownerDb) => record(ownerDb, { kind: 'backup.made', outcome: 'success', target, detail: { sha256: written.sha256, feedN: header.feedN, auditN: header.auditN } }));
    const kek = kekPlace(config);
    local.show(
      { file, ...written, ...summaryOf(header), keyEncryptionKey: kek },
      `${file}: ${written.bytes} octets, everything up to audit event ${header.auditN}\n  sha256  ${written.sha256}\n\n`
        + `The key-encryption key is not in it: ${kek}. Without that key nobody can use this backup; with both, anybody is this authority. Keep both, apart from each other.\n`,
    );
    return EXIT.ok;
  });
};

/** `signet backup verify`: whether a backup is whole, without any database. */
export const runBackupVerify: LocalRun = async (local, input) => {
  const file = path.resolve(input.positionals[0] ?? '');
  const backup = await openBackup(file);
  try {
    for await (const { rows } of backup.tables()) for await (const part of rows) void part;
    const { header, bytes, sha256 } = backup;
    local.show(
      { file, bytes, sha256, ...summaryOf(header) },
      `${file} is whole\n  made            ${header.createdAt} by Signet ${header.signet}\n  cluster         ${header.cluster.id} (${header.cluster.trustDomain}), epoch ${header.cluster.epoch}\n`
        + `  last event      audit ${header.auditN}, feed ${header.feedN}\n  migrations      ${header.migrations.map(({ name }) => name).join(', ')}\n`
        + `  sealed under    key-encryption key ${header.keks.join(', ')}\n  sha256          ${sha256}\n`,
    );
    return EXIT.ok;
  } finally {
    await backup.close();
  }
};

function summaryOf(header: BackupHeader): Record<string, unknown> {
  const { createdAt, signet, cluster, feedN, auditN, migrations, keks } = header;
  return { createdAt, signet, cluster, feedN, auditN, migrations: migrations.map(({ name }) => name), keks };
}

/** Where the key-encryption key is, in words. */
function kekPlace(config: Config): string {
  try {
    const source = resolveKek(config, config.databaseUrl === undefined);
    return `it is ${source.kind === 'passphrase' ? 'derived from the passphrase in ' : ''}${source.path}`;
  } catch (error) {
    if (error instanceof StartupError) return 'this command was not told where it is (SIGNET_KEK_FILE or SIGNET_KEK_PASSPHRASE_FILE of the service)';
    throw error;
  }
}
