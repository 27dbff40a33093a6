/** What a backup may write into a database: the tables of its schema, each once and whole, and nothing else, whatever its file names. */
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadTables, withSnapshot, type DumpedTable, type TableRows } from '../../src/db/dump.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { runSql } from '../support/postgres.ts';

let database: TestDatabase;
let tables: DumpedTable[];
beforeAll(async () => {
  database = await testDatabase();
  await runSql(database.ownerUrl, "INSERT INTO cluster (id, epoch, trust_domain, created_at) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 1, 'example.org', now())");
  tables = await withSnapshot(database.ownerUrl, ({ facts }) => Promise.resolve(facts.tables));
});
afterAll(() => database.drop());

const CLUSTER = { id: '01ARZ3NDEKTSV4RRFFQ69G5FAV', epoch: 1, trustDomain: 'example.org' };
const CATALOGUE: DumpedTable = { name: 'pg_description', columns: ['objoid', 'classoid', 'objsubid', 'description'] };

const rowsOf = (named: readonly DumpedTable[], rows: Readonly<Record<string, string>> = {}): AsyncIterable<TableRows> =>
  Readable.from(named.map((table): TableRows => ({ table, rows: Readable.from([Buffer.from(rows[table.name] ?? '')]) })));

const described = async (): Promise<unknown[]> => (await database.ownerDb.$queryRaw<unknown[]>`SELECT 1 FROM pg_description WHERE description = 'written by a backup'`);
const clusters = async (): Promise<unknown[]> => (await database.ownerDb.$queryRaw<unknown[]>`SELECT 1 FROM cluster`);

describe('a backup that was made to do harm', () => {
  test.each([
    ['a table of the system catalogue', () => [...tables, CATALOGUE], { pg_description: '1\t1259\t0\twritten by a backup\n' }],
    ['the record of migrations', () => [...tables, { name: '_prisma_migrations', columns: ['id'] }], {}],
    ['a table twice', () => [...tables, ...tables.filter(({ name }) => name === 'cluster')], {}],
    ['not all tables', () => tables.filter(({ name }) => name !== 'counters'), {}],
    ['not all columns', () => tables.map((table) => (table.name === 'cluster' ? { ...table, columns: table.columns.slice(1) } : table)), {}],
  ] as const)('that names %s writes nothing', async (_, named, rows) => {
    await expect(loadTables(database.ownerUrl, { sha256: '00', cluster: CLUSTER }, rowsOf(named(), rows))).rejects.toMatchObject({ name: 'StartupError', exitCode: 70, message: expect.stringContaining('nothing was loaded') as unknown });
    expect(await described()).toHaveLength(0);
    expect(await clusters()).toHaveLength(1);
  });
});
