/** Audit events become a tree and signed checkpoints (ADR 0015): against real PostgreSQL, recomputed from the events alone. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { restartLog } from '../../src/audit/log.ts';
import { createSequencer } from '../../src/audit/sequence.ts';
import { rootAt } from '../../src/audit/tree.ts';
import { findLiveLog, latestCheckpoint, listLogs } from '../../src/db/audit-logs.ts';
import { purgeScope } from '../../src/db/audit-purge.ts';
import { readTiles, readTreeSize } from '../../src/db/audit-tree.ts';
import { purgeAuditEvents } from '../../src/audit/purge.ts';
import { openCheckpoint } from '../../src/verify/log/checkpoint.ts';
import { parseVerifierKey } from '../../src/verify/log/note.ts';
import { TEST_ORIGIN } from '../support/authority.ts';
import { insertBacklog, logMould, openTestLog, rootOverEvents, type TestLog } from '../support/audit-log.ts';
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

const eventsNow = async (): Promise<number> => Number((await database.db.$queryRaw<{ value: bigint }[]>`SELECT value FROM counters WHERE name = 'audit'`)[0]?.value);
const storedNotes = () => database.db.auditCheckpoint.findMany({ orderBy: { size: 'asc' } });
const stateNow = async () => (await listLogs(database.db)).map(({ state, reason }) => ({ state, reason }));

/** Everything that was signed is true of the events, and of itself. */
async function expectAllTrue(): Promise<void> {
  for (const { size, root, note } of await storedNotes()) {
    const checkpoint = openCheckpoint(note, { logKey: parseVerifierKey(log.record.vkey) });
    expect([checkpoint.size, checkpoint.root]).toEqual([Number(size), Buffer.from(root)]);
    expect(checkpoint.root).toEqual(await rootOverEvents(database.db, checkpoint.size));
  }
}

test('a first start begins one log with an event of its own; its origin is the trust domain, its key is in its first event', async () => {
  expect(log.record).toMatchObject({ origin: log.config.trustDomain, state: 'running', treeId: 1 });
  const [event] = await database.db.auditEvent.findMany({ where: { kind: 'log.started' } });
  expect(JSON.parse(Buffer.from(event?.event ?? []).toString())).toMatchObject({ target: log.record.id, detail: { origin: log.config.trustDomain, key: log.record.vkey } });
  expect(await listLogs(database.db)).toHaveLength(1);
});

test('one step hashes and signs all that is committed; the copy outside the database is there', async () => {
  await log.append(300);
  const { did, checkpoint } = await createSequencer(log.sequence).step();
  const size = await eventsNow();
  expect(did).toBe('checkpoint');
  expect(checkpoint?.size).toBe(size);
  expect(checkpoint?.root).toEqual(await rootOverEvents(database.db, size));
  expect(readdirSync(path.join(log.sequence.copyDir, log.record.id))).toEqual([expect.stringMatching(new RegExp(`^${size}\\.\\d{4}-\\d\\d-\\d\\d\\.checkpoint$`))]);
  // Every earlier size has the root that the events had then.
  for (const earlier of [1, 2, 255, 256, 257, 300]) expect(await rootAt(database.db, 1, earlier)).toEqual(await rootOverEvents(database.db, earlier));
  expect(await createSequencer(log.sequence).step()).toMatchObject({ did: 'nothing' });
});

test('a backlog is hashed in batches, tile by tile, past one level', async () => {
  await insertBacklog(database.ownerDb, 65_700);
  const sequencer = createSequencer(log.sequence);
  for (let step = await sequencer.step(); step.isBehind === true; step = await sequencer.step());
  const size = await eventsNow();
  expect(await readTreeSize(database.db, 1)).toBe(size);
  expect(await rootAt(database.db, 1, size)).toEqual(await rootOverEvents(database.db, size));
  const tiles = await readTiles(database.db, 1, [{ level: 0, tile: 0 }, { level: 1, tile: 0 }, { level: 2, tile: 0 }, { level: 1, tile: 1 }, { level: 3, tile: 0 }, { level: 7, tile: 9e15 }]);
  const widths = tiles.map(({ level, tile, hashes }) => `${level}/${tile}: ${hashes.length / 32}`);
  expect(widths.toSorted()).toEqual(['0/0: 256', '1/0: 256', '2/0: 1']);
});

test('two sequencers at once while events come: one tree, every checkpoint true, no two of one size', async () => {
  const [one, two] = [createSequencer(log.sequence), createSequencer(log.sequence)];
  let isDone = false;
  const appending = Promise.all([log.append(150), log.append(150)]).then(() => (isDone = true));
  while (!isDone) await Promise.all([one.step(), two.step()]);
  await appending;
  await Promise.all([one.step(), two.step()]);
  expect(await readTreeSize(database.db, 1)).toBe(await eventsNow());
  expect(await stateNow()).toEqual([{ state: 'running', reason: null }]);
  await expectAllTrue();
});

test('a clock that goes back changes nothing: the log goes on, in the order of the events', async () => {
  const sequencer = createSequencer(log.sequence);
  await log.append(3);
  await sequencer.step();
  log.clock.advance(-2);
  await log.append(3);
  await createSequencer(log.sequence).step();
  expect((await latestCheckpoint(database.db, log.record.id))?.size).toBe(await eventsNow());
  await expectAllTrue();
});

test('purged events count with the hash that was kept; what the tree does not hold yet is not purged', async () => {
  await log.append(20);
  await database.ownerDb.$executeRaw`UPDATE certificate_numbers SET audit_n = 1000`;
  const before = new Date(Date.now() + 86_400_000);
  expect((await purgeScope(database.ownerDb, before)).until).toBe(1n);
  await createSequencer(log.sequence).step();
  const size = await eventsNow();
  const root = await rootOverEvents(database.db, size);
  expect((await purgeScope(database.ownerDb, before)).until).toBe(BigInt(size + 1));
  await purgeAuditEvents(log, TEST_ORIGIN, { before, until: 11n, operator: 'test', now: () => log.clock.now() });
  const { begun } = await restartLog({ ...log, ...log.sequence }, TEST_ORIGIN, 'a test');
  await createSequencer(log.sequence).step();
  const live = await findLiveLog(database.db);
  expect([live?.origin, live?.treeId]).toEqual([begun, 2]);
  expect(await rootAt(database.db, 2, size)).toEqual(root);
});

test.each([
  ['an event that is gone', 'DELETE FROM audit_events WHERE n = 12', /audit event 12 is not there, though later ones are/],
  ['events that are gone at the end', "DELETE FROM audit_events WHERE n > 12", /audit event \d+ is not there, though its number was given/],
])('%s stops the log, and nothing more is signed', async (_, sql, reason) => {
  await log.append(20);
  await database.ownerDb.$executeRawUnsafe(`DO $$ BEGIN SET LOCAL session_replication_role = replica; ${sql}; END $$`);
  const sequencer = createSequencer(log.sequence);
  expect(await sequencer.step()).toMatchObject({ did: 'stopped' });
  expect(await stateNow()).toEqual([{ state: 'stopped', reason: expect.stringMatching(reason) }]);
  await log.append(1);
  expect(await sequencer.step()).toEqual({ did: 'stopped' });
  expect(await storedNotes()).toEqual([]);
});
