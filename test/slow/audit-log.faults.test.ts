/** What a crash between any two lines of the sequencer leaves, and what it does when the database is another one than was signed for. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ensureLog, restartLog } from '../../src/audit/log.ts';
import { createSequencer } from '../../src/audit/sequence.ts';
import { inTransaction } from '../../src/db/client.ts';
import { findLiveLog, listLogs, markLogEnded } from '../../src/db/audit-logs.ts';
import { readTreeSize } from '../../src/db/audit-tree.ts';
import { openCheckpoint } from '../../src/verify/log/checkpoint.ts';
import { parseVerifierKey } from '../../src/verify/log/note.ts';
import { TEST_ORIGIN } from '../support/authority.ts';
import { logMould, openTestLog, rootOverEvents, type TestLog } from '../support/audit-log.ts';
import type { DatabaseMould, TestDatabase } from '../support/db.ts';

let mould: DatabaseMould;
let database: TestDatabase;
let log: TestLog;
beforeAll(async () => {
  mould = await logMould();
}, 60_000);
afterAll(() => mould.drop());
beforeEach(async () => {
  database = await mould.cast();
  log = await openTestLog(database);
});
afterEach(async () => {
  await log.authorities.close();
  log.removeCopies();
  await database.drop();
});

const owner = (sql: string) => database.ownerDb.$executeRawUnsafe(sql);
const copies = (id = log.record.id) => readdirSync(path.join(log.sequence.copyDir, id)).filter((name) => name.endsWith('.checkpoint')).map((name) => Number(name.split('.')[0])).toSorted((a, b) => a - b);
const sizes = async () => (await database.db.auditCheckpoint.findMany({ orderBy: { size: 'asc' } })).map(({ size }) => Number(size));
const live = () => findLiveLog(database.db);

test.each(['log:hashed', 'log:grown', 'log:signed', 'log:copied', 'log:checkpointed'] as const)('a crash at %s: the next sequencer goes on, every checkpoint is true, all that was copied fits', async (step) => {
  await log.append(300);
  const crash = createSequencer({ ...log.sequence, barrier: (name) => (name === step ? Promise.reject(new Error('crash')) : undefined) });
  await expect(crash.step()).rejects.toThrow('crash');
  const shown = await sizes();
  expect(shown.length).toBe(step === 'log:checkpointed' ? 1 : 0);
  await log.append(10);
  expect((await createSequencer(log.sequence).step()).did).toBe('checkpoint');
  const size = await readTreeSize(database.db, 1);
  expect((await sizes()).at(-1)).toBe(size);
  expect(copies().at(-1)).toBe(size);
  for (const { note } of await database.db.auditCheckpoint.findMany()) {
    const checkpoint = openCheckpoint(note, { logKey: parseVerifierKey(log.record.vkey) });
    expect(checkpoint.root).toEqual(await rootOverEvents(database.db, checkpoint.size));
  }
});

test('what cannot be copied is not shown', async () => {
  await log.append(3);
  writeFileSync(path.join(log.sequence.copyDir, log.record.id), 'a file where the folder should be');
  await expect(createSequencer(log.sequence).step()).rejects.toThrow();
  expect(await sizes()).toEqual([]);
});

/** Takes the database back to where it was when `use` was called with what does so: events, tree, checkpoints and all. */
async function setBackTo(): Promise<() => Promise<void>> {
  const tables = ['audit_events', 'audit_trees', 'audit_tree_edges', 'audit_tiles', 'audit_checkpoints', 'audit_logs', 'counters'];
  for (const table of tables) await owner(`CREATE TABLE saved_${table} AS TABLE ${table}`);
  return async () => {
    await owner(`DO $$ BEGIN SET LOCAL session_replication_role = replica; ${tables.map((table) => `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM saved_${table};`).join(' ')} END $$`);
  };
}

describe('the database is set back behind what was signed', () => {
  test.each(['before anything new', 'after it has grown past that again'])('the copy outside it shows that (%s): the log stops, says so, and signs nothing more', async (when) => {
    await log.append(5);
    await createSequencer(log.sequence).step();
    const setBack = await setBackTo();
    await log.append(5);
    await createSequencer(log.sequence).step();
    const signed = copies();
    await setBack();
    await log.append(when === 'before anything new' ? 1 : 20);
    expect(await createSequencer(log.sequence).step()).toMatchObject({ did: 'stopped' });
    expect(await live()).toMatchObject({ state: 'stopped', reason: expect.stringMatching(/the database was set back/) });
    expect(await database.db.auditEvent.count({ where: { kind: 'log.stopped', outcome: 'failure' } })).toBe(1);
    await log.append(20);
    expect(await createSequencer(log.sequence).step()).toEqual({ did: 'stopped' });
    expect(copies()).toEqual(signed);
    // A start changes nothing about it.
    expect(await ensureLog(log.sequence, TEST_ORIGIN)).toMatchObject({ state: 'stopped' });
  });

  test('without copies a running process remembers what it has signed', async () => {
    const sequencer = createSequencer({ ...log.sequence, copyDir: undefined });
    const setBack = await setBackTo();
    await log.append(5);
    await sequencer.step();
    await setBack();
    await log.append(20);
    expect(await sequencer.step()).toMatchObject({ did: 'stopped' });
  });

  test('a replica that only follows finds it as well', async () => {
    const setBack = await setBackTo();
    await log.append(5);
    await createSequencer(log.sequence).step();
    await setBack();
    await log.append(20);
    await createSequencer({ ...log.sequence, copyDir: undefined }).step();
    expect(await createSequencer(log.sequence).follow()).toMatchObject({ did: 'stopped' });
  });
});

test.each<[string, () => Promise<unknown>, RegExp]>([
  ['the tree is edited', () => owner("UPDATE audit_tree_edges SET hashes = sha256('x') || substr(hashes, 33) WHERE level = 0"), /another root/],
  ['the key of the log is changed', () => owner('DO $$ BEGIN SET LOCAL session_replication_role = replica; UPDATE audit_logs SET vkey = replace(vkey, right(vkey, 8), left(vkey, 0)); END $$'), /no checkpoint of this log/],
  ['a copy is overwritten', () => Promise.resolve(writeFileSync(path.join(log.sequence.copyDir, log.record.id, '999.2026-11-21.checkpoint'), 'not mine\n')), /no checkpoint of this log/],
  ['there are copies of a later log', () => Promise.resolve(mkdirSync(path.join(log.sequence.copyDir, '7ZZZZZZZZZZZZZZZZZZZZZZZZZ'))), /a later log, 7ZZZ.*does not know/],
])('%s: the log stops', async (_, change, reason) => {
  await log.append(5);
  await createSequencer(log.sequence).step();
  await change();
  await log.append(1);
  expect(await createSequencer(log.sequence).step()).toMatchObject({ did: 'stopped' });
  expect(await live()).toMatchObject({ state: 'stopped', reason: expect.stringMatching(reason) });
});

test('an operator goes on with another log: its own name, key and tree; its first event says where the one before ended', async () => {
  await log.append(5);
  const before = await createSequencer(log.sequence).step();
  const { ended, begun } = await restartLog({ ...log, ...log.sequence }, TEST_ORIGIN, 'looked into it');
  expect([ended?.origin, begun.startsWith(`${log.config.trustDomain}/`)]).toEqual([log.record.origin, true]);
  const after = await createSequencer(log.sequence).step();
  const now = await live();
  expect(now).toMatchObject({ state: 'running', treeId: 2, origin: begun });
  expect(now?.vkey).not.toBe(log.record.vkey);
  expect(openCheckpoint(after.checkpoint?.note ?? '', { logKey: parseVerifierKey(now?.vkey ?? '') }).origin).toBe(begun);
  const event = await database.db.auditEvent.findFirst({ where: { kind: 'log.started', target: now?.id ?? '' } });
  expect(JSON.parse(Buffer.from(event?.event ?? []).toString())).toMatchObject({ detail: { after: { origin: log.record.origin, size: before.checkpoint?.size, root: before.checkpoint?.root.toString('base64') } } });
});

test('after a recovery the next start begins another log over the same tree', async () => {
  await log.append(5);
  await createSequencer(log.sequence).step();
  await inTransaction(database.ownerDb, (tx) => markLogEnded(tx, 'epoch 2 began', new Date()));
  // Which log is the newest does not hang on the clock.
  log.clock.advance(-1);
  expect(await createSequencer(log.sequence).step()).toEqual({ did: 'stopped' });
  const [one, two] = await Promise.all([ensureLog(log.sequence, TEST_ORIGIN), ensureLog(log.sequence, TEST_ORIGIN)]);
  expect(one).toEqual(two);
  expect(one).toMatchObject({ state: 'running', treeId: 1, origin: `${log.config.trustDomain}/${one.id.toLowerCase()}` });
  expect((await listLogs(database.db)).map(({ state }) => state)).toEqual(['ended', 'running']);
  expect((await createSequencer(log.sequence).step()).did).toBe('checkpoint');
});

test('with the clock set back before a restart, what begins after a recovery still goes on from the newer tree', async () => {
  await restartLog({ ...log, ...log.sequence, clock: { ...log.clock, now: () => new Date('2020-01-01T00:00:00Z') } }, TEST_ORIGIN, 'the tree was edited');
  await inTransaction(database.ownerDb, (tx) => markLogEnded(tx, 'epoch 2 began', new Date()));
  expect((await ensureLog(log.sequence, TEST_ORIGIN)).treeId).toBe(2);
});
