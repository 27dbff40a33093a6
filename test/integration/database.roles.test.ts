import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { ensureServiceRole, isSingleRole, roleOf } from '../../src/db/roles.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let t: TestDatabase;
let service: pg.Client;
beforeAll(async () => {
  t = await testDatabase();
  service = new pg.Client({ connectionString: t.serviceUrl });
  await service.connect();
  await service.query("INSERT INTO audit_events (n, id, kind, outcome, at, actor_kind, actor_id, event) VALUES (1, 'e', 'k', 'success', now(), 'system', 's', '')");
  await service.query("INSERT INTO audit_tiles (tree_id, level, tile, hashes) VALUES (1, 0, 0, decode(repeat('00', 8192), 'hex'))");
  await service.query("INSERT INTO audit_tree_edges (tree_id, level, hashes) VALUES (1, 0, '')");
  await t.ownerDb.$executeRaw`INSERT INTO key_encryption_keys (id, source, check_value, created_at) VALUES ('kek', 'file', '', now())`;
  await t.ownerDb.$executeRaw`INSERT INTO keystore_keys (id, algorithm, purpose, spki, kek_id, created_at) VALUES ('key', 'ed25519', 'log', '', 'kek', now())`;
  await service.query("INSERT INTO audit_logs (id, origin, key_id, vkey, tree_id, state, started_at, changed_at) VALUES ('log', 'o', 'key', 'v', 1, 'running', now(), now())");
  await service.query("INSERT INTO audit_checkpoints (log_id, size, root, note, at) VALUES ('log', 1, sha256(''), 'note', now())");
  await service.query("INSERT INTO audit_cosignatures (log_id, size, witness, line, at) VALUES ('log', 1, 'w', 'line', now())");
  await service.query("INSERT INTO audit_personal (event_id, field, salt, value) VALUES ('e', 'email', '', 'a@example.org')");
});
afterAll(async () => {
  await service.end();
  await t.drop();
});

const attempt = (sql: string): Promise<string> => service.query(sql).then(() => 'done', (error: pg.DatabaseError) => error.code ?? error.message);

describe('the service role is refused', () => {
  test.each([
    "UPDATE audit_events SET kind = 'x'", 'DELETE FROM audit_events', 'TRUNCATE audit_events', 'DROP TABLE audit_events', 'ALTER TABLE audit_events ADD COLUMN x int',
    'ALTER TABLE audit_events DISABLE TRIGGER ALL', 'DROP TRIGGER audit_events_append_only ON audit_events', 'SET session_replication_role = replica',
    'ALTER TABLE audit_events OWNER TO signet_service', "INSERT INTO audit_events SELECT * FROM audit_events ON CONFLICT (n) DO UPDATE SET kind = 'x'",
    'SELECT n FROM audit_events FOR UPDATE', 'CREATE RULE r AS ON INSERT TO audit_events DO INSTEAD NOTHING', 'DO $$ BEGIN LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE; END $$',
    'CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$', 'DROP FUNCTION refuse_change() CASCADE',
    "UPDATE audit_personal SET value = 'x'", 'DELETE FROM audit_personal', 'TRUNCATE audit_personal', 'DROP TABLE audit_personal',
    "UPDATE audit_tiles SET hashes = hashes", 'DELETE FROM audit_tiles', 'TRUNCATE audit_tiles', 'DELETE FROM audit_tree_edges', 'DELETE FROM audit_trees', 'INSERT INTO audit_trees (id, size) VALUES (2, 0)',
    'UPDATE audit_checkpoints SET at = now()', 'DELETE FROM audit_checkpoints', 'UPDATE audit_cosignatures SET at = now()', 'DELETE FROM audit_cosignatures', 'DELETE FROM audit_logs', "UPDATE audit_logs SET origin = 'p'",
    'DELETE FROM audit_witnesses', 'DELETE FROM audit_sequencer', 'INSERT INTO audit_sequencer (singleton, lease_until) VALUES (true, now())',
    'TRUNCATE certificates', 'DROP TABLE certificates', 'CREATE TABLE mine (x int)', 'DELETE FROM _prisma_migrations', 'SET ROLE postgres', 'ALTER ROLE signet_service SUPERUSER',
  ])('%s', async (sql) => {
    expect(await attempt(sql)).toBe('42501');
    const { rows } = await service.query('SELECT n, kind FROM audit_events');
    expect(rows).toEqual([{ n: '1', kind: 'k' }]);
    expect((await service.query('SELECT value FROM audit_personal')).rows).toEqual([{ value: 'a@example.org' }]);
  });

  test('and a partition is not a way around its parent', async () => {
    const { rows } = await service.query<{ name: string }>("SELECT relname::text AS name FROM pg_class WHERE relname ~ '^certificates_d' AND relkind = 'r' LIMIT 1");
    expect(await attempt(`SELECT * FROM ${rows[0]?.name}`)).toBe('42501');
  });
});

test('the service role can do its work: certificates, counters, agents', async () => {
  await service.query('BEGIN');
  for (const sql of ["UPDATE counters SET value = value + 1 WHERE name = 'audit'", 'DELETE FROM certificates', 'SELECT * FROM agents FOR UPDATE', "SELECT * FROM commit_certificates('[]')"]) {
    expect([sql, await attempt(sql)]).toEqual([sql, 'done']);
  }
  await service.query('ROLLBACK');
});

test('even the owner meets the trigger', async () => {
  await expect(t.ownerDb.$executeRaw`UPDATE audit_events SET kind = 'x'`).rejects.toThrow(/append-only/);
  await expect(t.ownerDb.$executeRaw`TRUNCATE audit_events`).rejects.toThrow(/append-only/);
});

test('a log stops and ends, and never goes back', async () => {
  const now = async () => (await service.query<{ state: string }>("SELECT state FROM audit_logs WHERE id = 'log'")).rows[0]?.state;
  for (const state of ['stopped', 'ended']) {
    expect(await attempt(`UPDATE audit_logs SET state = '${state}', reason = 'why' WHERE id = 'log'`)).toBe('done');
    expect(await attempt("UPDATE audit_logs SET state = 'running', reason = NULL WHERE id = 'log'")).toBe('42501');
    expect(await now()).toBe(state);
  }
  expect(await attempt("UPDATE audit_logs SET state = 'stopped' WHERE id = 'log'")).toBe('42501');
  await expect(t.ownerDb.$executeRaw`UPDATE audit_tiles SET hashes = hashes`).rejects.toThrow(/append-only/);
  await expect(t.ownerDb.$executeRaw`UPDATE audit_checkpoints SET at = now()`).rejects.toThrow(/do not change/);
});

test('ensureServiceRole: rights are set, not added: a stray grant is gone after it', async () => {
  await t.ownerDb.$executeRaw`GRANT UPDATE ON audit_events TO signet_service`;
  await ensureServiceRole(t.ownerUrl, { name: 'signet_service' });
  expect(await attempt("UPDATE audit_events SET kind = 'x'")).toBe('42501');
  expect(await attempt('SELECT 1 FROM audit_events')).toBe('done');
});

test('isSingleRole: false for the service, true for the owner and for a member of the owner', async () => {
  expect(await isSingleRole(t.db)).toBe(false);
  expect(await isSingleRole(t.ownerDb)).toBe(true);
  expect(await roleOf(t.serviceUrl)).toBe('signet_service');
});
