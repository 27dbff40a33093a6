import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { migrate } from '../../src/db/migrate.ts';
import { connect, Prisma } from '../../src/db/client.ts';
import { readCrl } from '../../src/db/crls.ts';
import { databaseUrl, runSql, temporaryFolder } from '../support/postgres.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let t: TestDatabase;
let owner: pg.Client;
beforeAll(async () => {
  t = await testDatabase();
  owner = new pg.Client({ connectionString: t.ownerUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await t.drop();
});

const migrations = fs.readdirSync('prisma/migrations').filter((name) => /^\d{4}_/.test(name)).toSorted();

test('migrations: every one is recorded as finished, with its checksum', async () => {
  const { rows } = await owner.query<{ name: string; done: boolean; checksum: string }>(
    'SELECT migration_name AS name, finished_at IS NOT NULL AS done, checksum FROM _prisma_migrations ORDER BY 1',
  );
  expect(rows.map(({ name, done }) => [name, done])).toEqual(migrations.map((name) => [name, true]));
  for (const { checksum } of rows) expect(checksum).toMatch(/^[0-9a-f]{64}$/);
});

test('migrations: a second run applies nothing', async () => {
  expect(await migrate(t.ownerUrl)).toEqual([]);
});

test('migrations: triggers and functions came whole, though the adapter cuts scripts at every semicolon', async () => {
  const { rows } = await owner.query<{ name: string }>("SELECT tgname::text AS name FROM pg_trigger WHERE tgrelid = 'audit_events'::regclass AND NOT tgisinternal AND tgname <> 'every_change' ORDER BY 1");
  expect(rows).toEqual([{ name: 'audit_events_append_only' }, { name: 'audit_events_delete_keeps_hashes' }]);
  const functions = await owner.query<{ name: string }>("SELECT proname::text AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace");
  expect(functions.rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['refuse_change', 'commit_certificates', 'present_certificates']));
});

test('certificates: partitioned by range of bucket, without a DEFAULT partition', async () => {
  const { rows } = await owner.query("SELECT partstrat, partdefid::int AS partdefid, pg_get_partkeydef(partrelid) AS key FROM pg_partitioned_table WHERE partrelid = 'certificates'::regclass");
  expect(rows).toEqual([{ partstrat: 'r', partdefid: 0, key: 'RANGE (bucket)' }]);
});

const SQL_TYPES: Record<string, string> = { String: 'text', Int: 'integer', BigInt: 'bigint', Boolean: 'boolean', Bytes: 'bytea', Json: 'jsonb', DateTime: 'timestamp(3) with time zone' };

/** The tables as prisma/schema.prisma says they are: what queries believe. */
function modelled(): Map<string, string[]> {
  const tables = new Map<string, string[]>();
  for (const [, body = ''] of fs.readFileSync('prisma/schema.prisma', 'utf8').matchAll(/^model \w+ \{\n([\s\S]*?)^\}/gm)) {
    const table = /@@map\("(\w+)"\)/.exec(body)?.[1] ?? '';
    const columns = [...body.matchAll(/^ {2}(\w+)\s+(\w+)(\[\])?(\?)?(.*)$/gm)].map(([, field = '', type = '', list = '', optional, rest = '']) => {
      const column = /@map\("(\w+)"\)/.exec(rest)?.[1] ?? field;
      return `${column} ${SQL_TYPES[type] ?? type}${list}${optional === '?' ? '' : ' not null'}`;
    });
    tables.set(table, columns.toSorted());
  }
  return tables;
}

test('schema.prisma and the migrated tables agree on every table, column, type and null', async () => {
  const { rows } = await owner.query<{ table: string; column: string }>(`
    SELECT c.relname::text AS table, a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END AS column
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> '_prisma_migrations'`);
  const migrated = new Map<string, string[]>();
  for (const { table, column } of rows) migrated.set(table, [...(migrated.get(table) ?? []), column].toSorted());
  const models = modelled();
  expect(models.size).toBe(Object.keys(Prisma.ModelName).length);
  expect(Object.fromEntries(migrated)).toEqual(Object.fromEntries(models));
});

describe('on a database of its own', () => {
  let folder: string;
  let url: string;
  const name = `m_${process.pid}_${process.env.JEST_WORKER_ID ?? '0'}`;
  const write = (migration: string, sql: string) => {
    fs.mkdirSync(path.join(folder, 'migrations', migration), { recursive: true });
    fs.writeFileSync(path.join(folder, 'migrations', migration, 'migration.sql'), sql);
  };
  const rows = async (sql: string) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const result = await client.query<Record<string, unknown>>(sql).catch((error: Error) => error.message);
    await client.end();
    return typeof result === 'string' ? result : result.rows;
  };

  beforeEach(async () => {
    folder = temporaryFolder('signet-migrations-');
    await runSql(t.ownerUrl, `CREATE DATABASE ${name}`);
    url = databaseUrl(t.ownerUrl, name);
    write('0001_a', 'CREATE TABLE a (n int); -- a comment; with a semicolon and no end of line');
  });
  afterEach(async () => {
    await runSql(t.ownerUrl, `DROP DATABASE ${name} WITH (FORCE)`);
    fs.rmSync(folder, { recursive: true, force: true });
  });

  test('a failing migration leaves nothing of itself, says why, and is applied once it is repaired', async () => {
    write('0002_b', 'CREATE TABLE b (n int); INSERT INTO b VALUES (1); SELECT 1 / 0;');
    await expect(migrate(url, { prismaFolder: folder })).rejects.toThrow(/0002_b failed[^]*division by zero/);
    expect(await rows('SELECT * FROM a')).toEqual([]);
    expect(await rows('SELECT * FROM b')).toBe('relation "b" does not exist');
    write('0002_b', 'CREATE TABLE b (n int); INSERT INTO b VALUES (1);');
    expect(await migrate(url, { prismaFolder: folder })).toEqual(['0002_b']);
    expect(await rows('SELECT * FROM b')).toEqual([{ n: 1 }]);
    expect(await migrate(url, { prismaFolder: folder })).toEqual([]);
  });

  test('a migration that was changed after it was applied, or is not known, is refused', async () => {
    expect(await migrate(url, { prismaFolder: folder })).toEqual(['0001_a']);
    write('0001_a', 'CREATE TABLE a (n bigint);');
    await expect(migrate(url, { prismaFolder: folder })).rejects.toThrow(/0001_a was changed/);
    fs.renameSync(path.join(folder, 'migrations/0001_a'), path.join(folder, 'migrations/0001_b'));
    await expect(migrate(url, { prismaFolder: folder })).rejects.toThrow(/0001_a, which this Signet does not know/);
  });

  test('killed in the middle: the next run waits for what the server is still doing, and everything is there once', async () => {
    write('0002_b', 'CREATE TABLE b (n int); SELECT pg_sleep(1.5); INSERT INTO b VALUES (1);');
    const script = `const { migrate } = await import(${JSON.stringify(path.resolve('src/db/migrate.ts'))}); await migrate(${JSON.stringify(url)}, { prismaFolder: ${JSON.stringify(folder)} });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    const sleeping = `SELECT 1 FROM pg_stat_activity WHERE datname = '${name}' AND wait_event = 'PgSleep'`;
    while ((await rows(sleeping)).length === 0) expect(child.exitCode).toBeNull();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await migrate(url, { prismaFolder: folder })).toEqual([]);
    expect(await rows('SELECT * FROM b')).toEqual([{ n: 1 }]);
  });

  test('lists that were stored before lists had parts are there right after the migration, octet for octet', async () => {
    expect(await migrate(url, { only: migrations.filter((one) => one < '0010') })).toContain('0009_feed');
    const lengths = [1, 1_048_576, 1_048_577, 2_500_000];
    // Issuers are of no interest here.
    await runSql(url, `
      ALTER TABLE crls DROP CONSTRAINT crls_issuer_id_fkey;
      CREATE TABLE before AS SELECT i AS shard, (SELECT decode(left(string_agg(md5(i || ' ' || k), ''), 2 * length), 'hex') FROM generate_series(1, 1 + length / 16) k) AS der
        FROM unnest('{${lengths.join()}}'::int[]) WITH ORDINALITY AS l (length, i);
      INSERT INTO crls (issuer_id, shard, number, this_update, next_update, entries, feed_n, der) SELECT 'I', shard, 7, now(), now() + interval '4 hours', 3, 5, der FROM before;
      INSERT INTO crls (issuer_id, shard) VALUES ('I', 99)`);
    await migrate(url);
    const db = connect(url, { maxConnections: 1, statementTimeoutMs: 5_000, applicationName: 'migrated' });
    try {
      for (const [index, length] of lengths.entries()) {
        const name = { issuerId: 'I', shard: index + 1 };
        const list = await readCrl(db, name, 0n);
        if (typeof list !== 'object') throw new Error('there is no list');
        expect([list.number, list.entries, list.octets]).toEqual([7n, 3, length]);
        const parts: Buffer[] = [];
        for await (const part of list.parts) parts.push(part);
        expect(parts.every((part) => part.length <= 1_048_576)).toBe(true);
        expect(await rows(`SELECT md5(der) AS sum FROM before WHERE shard = ${name.shard}`)).toEqual([{ sum: createHash('md5').update(Buffer.concat(parts)).digest('hex') }]);
      }
      expect(await readCrl(db, { issuerId: 'I', shard: 99 }, 0n)).toBeUndefined();
    } finally {
      await db.$disconnect();
    }
  });

  test('killed before its script began: the next run applies it', async () => {
    await migrate(url, { prismaFolder: folder });
    write('0002_b', 'CREATE TABLE b (n int)');
    await runSql(url, "INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ('x', 'y', '0002_b')");
    expect(await migrate(url, { prismaFolder: folder })).toEqual(['0002_b']);
  });
});
