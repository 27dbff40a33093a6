/** Backups that somebody else made, or altered and sealed anew: nothing of them reaches a terminal or a database unlooked at; and what lies beside a backup stays. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openBackup, writeBackup, type BackupHeader } from '../../src/admin/backup-file.ts';
import { beginRestoration, loadTables, readRestoration, withSnapshot } from '../../src/db/dump.ts';
import { migrate } from '../../src/db/migrate.ts';
import { insertUnrecovered } from '../../src/db/worlds.ts';
import { inTransaction } from '../../src/db/client.ts';
import { emptyDatabase, FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';
import { runLocal, type LocalSite } from '../support/local-cli.ts';
import { temporaryFolder } from '../support/postgres.ts';

const LONG = 60_000;
let source: TestDatabase;
let folder: string;
let backup: string;
beforeAll(async () => {
  folder = temporaryFolder('signet-backup-file-');
  source = await testDatabase();
  await source.ownerDb.cluster.create({ data: { id: 'C', trustDomain: 'signet.internal', createdAt: FIXED_NOW } });
  await inTransaction(source.ownerDb, (tx) => insertUnrecovered(tx, { id: 'W', cause: 'set-back', notedAt: FIXED_NOW, detail: {} }));
  backup = path.join(folder, 'a.backup');
  await withSnapshot(source.ownerUrl, ({ facts, rows }) => writeBackup(backup, { signet: '1.0.0', createdAt: FIXED_NOW.toISOString(), ...facts }, rows));
}, LONG);
afterAll(async () => {
  await source.drop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const site = (database?: TestDatabase): LocalSite => ({ dataDir: folder, database });

/** The backup with another header, sealed by whoever made it. */
function altered(change: (header: BackupHeader) => unknown): string {
  const whole = fs.readFileSync(backup);
  const start = whole.indexOf(0x0a) + 1;
  const end = whole.indexOf(0x0a, start);
  const header = JSON.parse(whole.toString('utf8', start, end)) as BackupHeader;
  change(header);
  const content = Buffer.concat([whole.subarray(0, start), Buffer.from(JSON.stringify(header)), whole.subarray(end, -72)]);
  const file = path.join(folder, 'altered.backup');
  fs.writeFileSync(file, Buffer.concat([content, Buffer.from(`sha256 ${createHash('sha256').update(content).digest('hex')}\n`)]));
  return file;
}

describe('a hostile header', () => {
  const escape = '\u001b]0;pwned\u0007\u001b[2J';
  test.each<[string, (header: BackupHeader) => unknown]>([
    ['its version', (h) => (h.signet = escape)],
    ['a cluster', (h) => (h.cluster.id = `C\r\n${escape}`)],
    ['a trust domain', (h) => (h.cluster.trustDomain = escape)],
    ['a migration', (h) => h.migrations.push({ name: `0001_${escape}`, checksum: 'x' })],
    ['a key', (h) => h.keks.push(escape)],
    ['a table', (h) => h.tables.push({ name: escape, columns: ['x'] })],
    ['a column', (h) => h.tables[0]?.columns.push(escape)],
    ['what looks like text but is none', (h) => (h.signet = '1.0\u202e0\u009b2J')],
    ['more partitions than any history has', (h) => (h.partitions = Array.from({ length: 22_001 }, (_, day) => day))],
    ['a partition that no serial can name', (h) => h.partitions.push(0x1000000)],
  ])('%s: refused, and nothing of it is shown', async (_, change) => {
    const refusal = await openBackup(altered(change)).then(() => undefined, (error: unknown) => (error as Error).message);
    expect(refusal).toMatch(/is not a whole backup: its header cannot be read$/);
    expect(refusal).not.toMatch(/\p{Cc}/u);
  });

  test('that names another cluster, epoch or trust domain than the data: nothing is loaded', async () => {
    const database = await emptyDatabase();
    try {
      const opened = await openBackup(backup);
      const { header, sha256 } = opened;
      await beginRestoration(database.ownerUrl, sha256);
      await migrate(database.ownerUrl, { restoring: true });
      for (const lie of [{ id: 'D' }, { epoch: 2 }, { trustDomain: 'other.internal' }]) {
        await expect(loadTables(database.ownerUrl, { sha256, cluster: { ...header.cluster, ...lie } }, opened.tables())).rejects.toMatchObject({ exitCode: 70, message: expect.stringMatching(/not the one that its header names; nothing was loaded/) as unknown });
        expect(await database.ownerDb.cluster.count()).toBe(0);
      }
      await loadTables(database.ownerUrl, { sha256, cluster: header.cluster }, opened.tables());
      expect(await readRestoration(database.ownerUrl)).toEqual({ state: 'begun', sha256, loaded: true });
      await opened.close();
    } finally {
      await database.drop();
    }
  }, LONG);
});

test('the backup of a database that waits for its recovery is restored, and waits for it with the older loss', async () => {
  const database = await emptyDatabase();
  try {
    expect(await runLocal(site(database), ['restore', '--from', backup])).toMatchObject({ code: 0, err: '' });
    expect(await database.ownerDb.world.findMany({ select: { id: true, cause: true, recoveredAt: true } })).toEqual([{ id: 'W', cause: 'set-back', recoveredAt: null }]);
    expect(await database.ownerDb.auditEvent.count({ where: { kind: 'world.restored' } })).toBe(1);
  } finally {
    await database.drop();
  }
}, LONG);

describe('what lies beside', () => {
  const rows = async function* () {};
  async function header(): Promise<BackupHeader> {
    const opened = await openBackup(backup);
    await opened.close();
    return opened.header;
  }

  test('what another program left under a name like ours stays', async () => {
    const file = path.join(folder, 'b.backup');
    fs.writeFileSync(`${file}.new`, "another program's");
    await writeBackup(file, { ...(await header()), tables: [] }, rows);
    expect(fs.readFileSync(`${file}.new`, 'utf8')).toBe("another program's");
    expect(fs.readdirSync(folder).filter((name) => name.startsWith('b.backup')).toSorted()).toEqual(['b.backup', 'b.backup.new']);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
  });

  test('a write that breaks off leaves nothing', async () => {
    const file = path.join(folder, 'c.backup');
    const broken = function* (): Generator<Buffer> {
      yield Buffer.from('x');
      throw new Error('gone');
    };
    await expect(writeBackup(file, await header(), () => Readable.from(broken()))).rejects.toThrow('gone');
    expect(fs.readdirSync(folder).filter((name) => name.startsWith('c.backup'))).toEqual([]);
  });

  test('a pipe that nobody writes to is there already, and no backup: neither is waited for', async () => {
    const fifo = path.join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    await expect(writeBackup(fifo, await header(), rows)).rejects.toThrow('already there');
    await expect(openBackup(fifo)).rejects.toThrow('it is no file');
    expect(fs.lstatSync(fifo).isFIFO()).toBe(true);
  });
});
