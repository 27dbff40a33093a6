import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { runLocal } from '../../src/admin/run-local.ts';
import { appendAudit } from '../../src/audit/append.ts';
import { appendLeaves } from '../../src/audit/tree.ts';
import { purgeAuditEvents } from '../../src/audit/purge.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { purgeOldest, purgeScope } from '../../src/db/audit-purge.ts';
import { growTree, readLeafHashes, readTreeEdge } from '../../src/db/audit-tree.ts';
import { inTransaction } from '../../src/db/client.ts';
import { updateCertificateNumbers } from '../../src/db/certificate-numbers.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';

const PROGRAM = path.resolve(import.meta.dirname, '../../dist/signet.js');
const OPERATOR = { actor: { kind: 'admin', id: 'A' }, requestId: null, source: null } as const;
const random = createSystemRandom();
const hoursLater = (hours: number) => new Date(FIXED_NOW.getTime() + hours * 3_600_000);

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database.drop());

/** One event an hour from the fixed now on, each with a person in it, all counted. */
async function writeEvents(count: number): Promise<void> {
  await inTransaction(database.db, async (tx) => {
    for (let i = 0; i < count; i++) await appendAudit({ random }, tx, OPERATOR, hoursLater(i), { kind: 'relying-party.registered', outcome: 'success', target: `t${i}`, detail: { name: `t${i}`, mayAsk: [] }, personal: { ownerEmail: `p${i}@example.org` } });
  });
  await updateCertificateNumbers(database.db, FIXED_NOW);
  await hashAll();
}

/** What is purged must be in the tree of the log: hashed as the sequencer does it, beside a log that has no event of its own. */
async function hashAll(): Promise<void> {
  const { db, ownerDb } = database;
  await ownerDb.$executeRawUnsafe(`DO $$ BEGIN SET LOCAL session_replication_role = replica;
    INSERT INTO audit_logs (id, origin, key_id, vkey, tree_id, state, started_at, changed_at) VALUES ('L', 'test', 'K', 'test', 1, 'running', now(), now()) ON CONFLICT DO NOTHING; END $$`);
  for (let edge = await readTreeEdge(db, 1), leaves = await readLeafHashes(db, edge.size, 4_096); leaves; leaves = await readLeafHashes(db, edge.size, 4_096)) {
    const grown = appendLeaves(edge, leaves.hashes);
    await growTree(db, grown.growth, () => undefined);
    edge = grown.edge;
  }
}

interface Leaf {
  n: bigint;
  hash: string;
}

const leavesOf = async (): Promise<Leaf[]> => (await database.db.auditEvent.findMany({ orderBy: { n: 'asc' } })).map(({ n, event }) => ({ n, hash: createHash('sha256').update('\0').update(event).digest('hex') }));

async function keptHashes(): Promise<Leaf[]> {
  const rows = await database.db.auditLeafHashes.findMany({ orderBy: { firstN: 'asc' } });
  return rows.flatMap(({ firstN, lastN, leafHashes }) =>
    Array.from({ length: Number(lastN - firstN) + 1 }, (_, i) => ({ n: firstN + BigInt(i), hash: Buffer.from(leafHashes).subarray(i * 32, i * 32 + 32).toString('hex') })),
  );
}

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

const environment = (more: Record<string, string> = {}) => ({
  DATABASE_URL: database.serviceUrl, SIGNET_OWNER_DATABASE_URL: database.ownerUrl, SIGNET_KEK_FILE: '/nonexistent', SIGNET_DATA_DIR: '/nonexistent', ...more,
});

async function purge(args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const text = { out: '', err: '' };
  const code = await runLocal(['audit', 'purge', ...args], { out: { write: (part) => (text.out += String(part)) }, err: { write: (part) => (text.err += String(part)) }, env: environment(env) });
  if (code === undefined) throw new Error('there is no such command');
  return { code, ...text };
}

describe('signet audit purge', () => {
  test('deletes what is older, keeps number and leaf hash of each, erases their personal fields, and records it', async () => {
    await writeEvents(10);
    const before = await leavesOf();
    const date = hoursLater(6).toISOString();

    const shown = await purge(['--before', date]);
    expect(shown).toMatchObject({ code: 0, err: '' });
    expect(shown.out).toContain('about 6 audit events');
    expect(await leavesOf()).toEqual(before);

    const done = await purge(['--before', date, '--yes', '--json']);
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(done.out)).toEqual({ before: date, oldest: FIXED_NOW.toISOString(), matching: 6, purged: 6 });
    expect(await keptHashes()).toEqual(before.slice(0, 6));
    const left = await leavesOf();
    expect(left.slice(0, 4)).toEqual(before.slice(6));
    expect(await database.db.auditPersonal.count({ where: { field: 'ownerEmail' } })).toBe(4);
    const record = await database.db.auditEvent.findFirstOrThrow({ where: { kind: 'audit.purged' } });
    expect(record).toMatchObject({ n: 11n, actorKind: 'command', actorId: 'audit purge' });
    expect((JSON.parse(Buffer.from(record.event).toString()) as { detail: object }).detail).toEqual({ first: '1', last: '6', before: date, personalFields: 6 });

    // Again: nothing is left to do, and nothing is written.
    expect(JSON.parse((await purge(['--before', date, '--yes', '--json'])).out)).toMatchObject({ matching: 0, purged: 0 });
    expect(await leavesOf()).toEqual(left);
  });

  test('killed in the middle: every event is there whole or as its hash, never both, and a second run finishes', async () => {
    await writeEvents(1);
    // 10,000 events of the first hour, as one statement.
    await database.ownerDb.$executeRaw`
      INSERT INTO audit_events (n, id, kind, outcome, at, actor_kind, actor_id, event)
      SELECT n, 'x' || n, 'certificate.released', 'success', ${FIXED_NOW}::timestamptz, 'system', 's', convert_to('event ' || n, 'UTF8') FROM generate_series(2, 10000) n`;
    await database.ownerDb.$executeRaw`UPDATE counters SET value = 10000 WHERE name = 'audit'`;
    await updateCertificateNumbers(database.db, FIXED_NOW);
    await hashAll();
    const before = await leavesOf();
    const running = spawn(process.execPath, [PROGRAM, 'audit', 'purge', '--before', hoursLater(1).toISOString(), '--yes'], { env: { PATH: process.env.PATH, ...environment() }, stdio: 'ignore' });
    const ended = new Promise((resolve) => running.once('close', (_code, signal) => resolve(signal)));
    while (running.exitCode === null && (await database.db.auditLeafHashes.count()) < 1) await sleep(2);
    running.kill('SIGKILL');
    await ended;

    const whole = async () => (await leavesOf()).filter(({ n }) => n <= 10000n);
    const interrupted = await keptHashes();
    expect(interrupted.length).toBeGreaterThan(0);
    expect([...interrupted, ...(await whole())]).toEqual(before);

    expect(await purge(['--before', hoursLater(1).toISOString(), '--yes'])).toMatchObject({ code: 0, err: '' });
    expect(await keptHashes()).toEqual(before);
    expect(await whole()).toEqual([]);
    // One record a batch, whoever made it: what they name is everything.
    const records = (await database.db.auditEvent.findMany({ where: { kind: 'audit.purged' }, orderBy: { n: 'asc' } })).map(({ event }) => (JSON.parse(Buffer.from(event).toString()) as { detail: { first: string; last: string } }).detail);
    expect(records[0]?.first).toBe('1');
    records.slice(1).forEach((record, i) => expect(Number(record.first)).toBe(Number(records[i]?.last) + 1));
    expect(records.at(-1)?.last).toBe('10000');
  }, 120_000);

  test('as the service role it is refused, says what to give, and nothing changes', async () => {
    await writeEvents(3);
    const refused = await purge(['--before', hoursLater(2).toISOString(), '--yes'], { SIGNET_OWNER_DATABASE_URL: '' });
    expect(refused.code).toBe(69);
    expect(refused.err).toContain('SIGNET_OWNER_DATABASE_URL');
    expect(refused.out + refused.err).not.toContain(new URL(database.serviceUrl).password);
    expect(await leavesOf()).toHaveLength(3);
    expect(await keptHashes()).toEqual([]);
  });

  test.each([
    ['no date', [], '--before is needed'],
    ['no date at all', ['--before', 'yesterday'], 'must be a date'],
    ['a date to come', ['--before', '2999-01-01'], 'in the future'],
    ['an unknown option', ['--force'], '--before <date>'],
  ])('%s is wrong use', async (_, args, says) => {
    const ran = await purge(args);
    expect(ran).toMatchObject({ code: 64, out: '' });
    expect(ran.err).toContain(says);
  });
});

describe('the database', () => {
  test('lets nobody delete an event whose hash is not kept, nor change a hash, not even the owner', async () => {
    await writeEvents(3);
    const tryAs = async (url: string, sql: string): Promise<string> => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      return client.query(sql).then(() => 'done', (error: pg.DatabaseError) => error.code ?? error.message).finally(() => client.end());
    };
    for (const url of [database.ownerUrl, database.serviceUrl]) {
      for (const sql of ['DELETE FROM audit_events', 'DELETE FROM audit_events WHERE n = 1', 'TRUNCATE audit_events', "UPDATE audit_events SET event = ''"]) expect(await tryAs(url, sql)).toBe('42501');
    }
    // A hash of something else is no hash of it.
    await database.ownerDb.$executeRaw`INSERT INTO audit_leaf_hashes (first_n, last_n, leaf_hashes, purged_at) VALUES (1, 1, sha256('x'), now())`;
    expect(await tryAs(database.ownerUrl, 'DELETE FROM audit_events WHERE n = 1')).toBe('42501');
    for (const url of [database.ownerUrl, database.serviceUrl]) {
      for (const sql of ["UPDATE audit_leaf_hashes SET leaf_hashes = sha256('y')", 'DELETE FROM audit_leaf_hashes', 'TRUNCATE audit_leaf_hashes']) expect(await tryAs(url, sql)).toBe('42501');
    }
    expect(await tryAs(database.serviceUrl, "INSERT INTO audit_leaf_hashes (first_n, last_n, leaf_hashes, purged_at) VALUES (2, 2, sha256('x'), now())")).toBe('42501');
    expect(await leavesOf()).toHaveLength(3);
  });

  test('an old event behind a younger one stays with it: only the beginning of the log is purged, and nothing that was not counted', async () => {
    await writeEvents(5);
    await inTransaction(database.db, (tx) => appendAudit({ random }, tx, OPERATOR, FIXED_NOW, { kind: 'partition.created', outcome: 'success', target: 'p' }));
    await hashAll();
    // The sixth is old by its time, but was never counted.
    expect(await purgeScope(database.db, hoursLater(9))).toMatchObject({ until: 6n });
    await updateCertificateNumbers(database.db, FIXED_NOW);
    await inTransaction(database.ownerDb, (tx) => purgeOldest(tx, { until: 7n, before: hoursLater(3), limit: 100 }));
    expect((await leavesOf()).map(({ n }) => n)).toEqual([4n, 5n, 6n]);
  });

  test('two purges at once: one works, the other says so', async () => {
    await writeEvents(3);
    const request = { before: hoursLater(9), until: 4n, operator: 'o', now: () => FIXED_NOW };
    const ctx = { ownerDb: database.ownerDb, random };
    const results = await Promise.allSettled([purgeAuditEvents(ctx, OPERATOR, request), purgeAuditEvents(ctx, OPERATOR, request)]);
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    for (const result of results) if (result.status === 'rejected') expect(String(result.reason)).toContain('another purge');
    expect(await keptHashes()).toHaveLength(3);
  });
});
