/**
 * The administrator of the database as the attacker: every change of the log is found, with the tree left as it was, and with everything rebuilt and signed anew with the log
 * key, from a checkpoint that was kept outside.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runAuditVerify } from '../../src/admin/audit-verify.ts';
import type { LocalContext } from '../../src/admin/local-command.ts';
import { appendAudit } from '../../src/audit/append.ts';
import { purgeAuditEvents } from '../../src/audit/purge.ts';
import { restartLog } from '../../src/audit/log.ts';
import { createSequencer } from '../../src/audit/sequence.ts';
import type { LogDoor } from '../../src/client/log/tile-door.ts';
import { watchLog, type WatchState } from '../../src/client/log/watch-log.ts';
import { createLogger } from '../../src/core/log.ts';
import { findLiveLog, latestCheckpoint } from '../../src/db/audit-logs.ts';
import { readEventBytes, readTiles } from '../../src/db/audit-tree.ts';
import { inTransaction, type Tx } from '../../src/db/client.ts';
import { logTrust } from '../../src/verify/log/issuance-proof.ts';
import { encodeEntries } from '../../src/verify/log/tiles.ts';
import { TEST_ORIGIN } from '../support/authority.ts';
import { logMould, openTestLog, rootOverEvents, type TestLog } from '../support/audit-log.ts';
import type { DatabaseMould, TestDatabase } from '../support/db.ts';

const EVENTS = 300;

let mould: DatabaseMould;
let database: TestDatabase;
let log: TestLog;
let folder: string;
/** What an auditor kept. */
let kept: string;
let remembered: WatchState | undefined;

beforeAll(async () => {
  mould = await logMould();
}, 60_000);
afterAll(() => mould.drop());
beforeEach(async () => {
  database = await mould.cast();
  log = await openTestLog(database);
  folder = mkdtempSync(path.join(tmpdir(), 'signet-auditor-'));
  await log.append(EVENTS / 2);
  await step();
  await log.append(EVENTS / 2);
  await step();
  kept = path.join(folder, 'kept.checkpoint');
  writeFileSync(kept, (await newest())?.note ?? '');
  remembered = (await look()).state;
}, 60_000);
afterEach(async () => {
  rmSync(folder, { recursive: true });
  log.removeCopies();
  await log.authorities.close();
  await database.drop();
});

const newest = async () => latestCheckpoint(database.db, (await findLiveLog(database.db))?.id ?? '');
/** A sequencer of the attacker's: without the copies that stop the one of the service. */
const step = (copyDir = log.sequence.copyDir) => createSequencer({ ...log.sequence, copyDir }).step();

/** What `signet audit verify` says, as its record. */
async function verify(...args: string[]): Promise<{ code: number; found: [string, number, number][]; said: string; remarks: string }> {
  let record: { findings?: { fault: string; index: number; last: number; detail: string }[]; remarks?: string[] } = {};
  const given = (name: string): string[] => args.filter((_, i) => args[i - 1] === name);
  const local: LocalContext = {
    io: { out: { write: () => undefined }, err: { write: () => undefined }, env: {} },
    json: true,
    config: () => ({ ...log.config, databaseUrl: database.ownerUrl, ownerDatabaseUrl: database.ownerUrl }),
    log: createLogger('error', { write: () => undefined }),
    show: (shown) => void (record = shown),
  };
  const code = await runAuditVerify(local, { positionals: [], values: { checkpoint: given('--checkpoint'), state: given('--state')[0], 'log-key': [log.record.vkey] } });
  const findings = record.findings ?? [];
  return { code, found: findings.map(({ fault, index, last }) => [fault, index, last]), said: findings.map(({ detail }) => detail).join('\n'), remarks: (record.remarks ?? []).join('\n') };
}

/** The status door of this database. */
const door: LogDoor = {
  checkpoint: async () => (await newest())?.note ?? '',
  async tile({ level, index, width }) {
    const treeId = (await findLiveLog(database.db))?.treeId ?? 1;
    if (level === 'entries') {
      const events = await readEventBytes(database.db, index * 256 + 1, index * 256 + width);
      return events.length === width ? encodeEntries(events.map(({ event }) => event)) : undefined;
    }
    return (await readTiles(database.db, treeId, [{ level, tile: index }]))[0]?.hashes.subarray(0, width * 32);
  },
};
const look = () =>
  watchLog({ door, trust: logTrust({ logKey: log.record.vkey }), state: remembered, names: ['nobody'], fromStart: true, staleAfterSeconds: undefined, now: new Date() });

/** As the superuser, past every trigger. */
const attack = (work: (tx: Tx) => Promise<unknown>): Promise<void> =>
  inTransaction(database.ownerDb, async (tx) => {
    await tx.$executeRaw`SET LOCAL session_replication_role = replica`;
    await work(tx);
  });

/** Takes away all that was published and signed, and signs everything anew with the same key. */
async function rebuild(): Promise<void> {
  await attack(async (tx) => {
    for (const table of ['audit_cosignatures', 'audit_checkpoints', 'audit_tiles', 'audit_tree_edges']) await tx.$executeRawUnsafe(`DELETE FROM ${table}`);
    await tx.$executeRaw`UPDATE audit_trees SET size = 0`;
  });
  const elsewhere = path.join(folder, 'elsewhere');
  while ((await step(elsewhere)).did === 'hashed');
  expect((await newest())?.size).toBeGreaterThan(0);
}

/** Moves the numbers behind `after` by `by`. */
async function renumber(tx: Tx, after: number, by: number): Promise<void> {
  await tx.$executeRaw`UPDATE audit_events SET n = -(n + ${by}::int) WHERE n > ${after}`;
  await tx.$executeRaw`UPDATE audit_events SET n = -n WHERE n < 0`;
  await tx.$executeRaw`UPDATE counters SET value = value + ${by}::int WHERE name = 'audit'`;
}

const FORGED = Buffer.from('{"v":1,"id":"forged","kind":"request.denied","outcome":"failure","at":"2026-11-21T12:00:00.000Z","actor":{"kind":"system","id":"x"}}');

const ATTACKS: [string, (tx: Tx) => Promise<unknown>, [string, number, number]][] = [
  ['an edit of bytes', (tx) => tx.$executeRaw`UPDATE audit_events SET event = convert_to(replace(convert_from(event, 'UTF8'), '"failure"', '"success"'), 'UTF8'), outcome = 'success' WHERE n = 100`, ['edited', 99, 99]],
  ['a deletion with a gap', (tx) => tx.$executeRaw`DELETE FROM audit_events WHERE n = 100`, ['deleted', 99, 99]],
  ['a deletion that is renumbered', async (tx) => {
    await tx.$executeRaw`DELETE FROM audit_events WHERE n BETWEEN 100 AND 102`;
    await renumber(tx, 102, -3);
  }, ['deleted', 99, 101]],
  ['a swap', async (tx) => {
    await tx.$executeRaw`UPDATE audit_events SET n = -100 WHERE n = 100`;
    await tx.$executeRaw`UPDATE audit_events SET n = 100 WHERE n = 120`;
    await tx.$executeRaw`UPDATE audit_events SET n = 120 WHERE n = -100`;
  }, ['reordered', 99, 119]],
  ['an insertion', async (tx) => {
    await renumber(tx, 99, 1);
    await tx.$executeRaw`INSERT INTO audit_events (n, id, kind, outcome, at, actor_kind, actor_id, event) VALUES (100, 'forged', 'request.denied', 'failure', '2026-11-21T12:00:00Z', 'system', 'x', ${new Uint8Array(FORGED)})`;
  }, ['inserted', 99, 99]],
];

test('what was not touched is whole, also beside the checkpoint and the copies', async () => {
  expect(await verify('--checkpoint', kept, '--checkpoint', log.sequence.copyDir)).toMatchObject({ code: 0, found: [] });
  await log.append(10);
  await step();
  expect(await verify('--checkpoint', kept)).toMatchObject({ code: 0, found: [] });
  expect((await look()).alarms).toEqual([]);
});

describe.each(ATTACKS)('%s', (name, work, expected) => {
  test('with the tree left as it was: found at its place', async () => {
    await attack(work);
    const { code, found } = await verify('--checkpoint', kept);
    expect([code, found]).toEqual([1, expect.arrayContaining([expected])]);
  });

  test('with everything rebuilt and signed anew: found from the checkpoint that was kept, by both', async () => {
    await attack(work);
    // A gap cannot be hashed: whoever rebuilds closes it.
    if (name.includes('gap')) await attack((tx) => renumber(tx, 100, -1));
    await log.append(5);
    await rebuild();
    const { code, found } = await verify('--checkpoint', kept);
    expect([code, found.map(([fault]) => fault)]).toEqual([1, expect.arrayContaining(['forked'])]);
    expect((await look()).alarms).toMatchObject([{ kind: 'fork' }]);
  });
});

test('a column that says something else than the bytes is an edit', async () => {
  await attack((tx) => tx.$executeRaw`UPDATE audit_events SET actor_id = 'somebody-else' WHERE n = 200`);
  const { found, said } = await verify('--checkpoint', kept);
  expect(found).toEqual([['edited', 199, 199]]);
  expect(said).toMatch(/actor_id/);
});

test('who cannot sign, and changes events, tree and the columns of the checkpoints: the notes that were signed say so, with no checkpoint from outside', async () => {
  await attack((tx) => tx.$executeRaw`UPDATE audit_events SET event = convert_to(replace(convert_from(event, 'UTF8'), '"failure"', '"success"'), 'UTF8'), outcome = 'success' WHERE n = 100`);
  const notes = await database.db.auditCheckpoint.findMany();
  await rebuild();
  // The database has no key: what it shows are the notes there were, beside the roots of the tree as it is now.
  const now = await newest();
  await attack(async (tx) => {
    await tx.$executeRaw`DELETE FROM audit_checkpoints`;
    for (const one of notes) await tx.auditCheckpoint.create({ data: { ...one, root: new Uint8Array((one.size === BigInt(now?.size ?? 0) ? now?.root : undefined) ?? await rootOverEvents(database.db, Number(one.size))) } });
  });
  const { code, found, said } = await verify();
  expect([code, found.map(([fault]) => fault)]).toEqual([1, expect.arrayContaining(['forked'])]);
  expect(said).toMatch(/columns do not say what was signed/);
  // Notes of the same size that were not signed by the log do not pass for signed ones.
  await attack((tx) => tx.$executeRaw`UPDATE audit_checkpoints SET note = replace(note, split_part(note, E'\n', 3), encode(root, 'base64'))`);
  expect((await verify()).code).toBe(1);
});

test('events that no checkpoint covers are said', async () => {
  await attack((tx) => tx.$executeRaw`DELETE FROM audit_checkpoints WHERE size > 200`);
  expect((await verify()).remarks).toMatch(/No checkpoint of the database covers the events from \d+ to \d+/);
});

test('a personal field that is not the one the event has the hash of, and one that it has no hash of, are edits; an erased one is none', async () => {
  await inTransaction(log.db, (tx) => appendAudit(log, tx, TEST_ORIGIN, new Date(), { kind: 'agent.suspended', outcome: 'success', agentId: 'A', target: 'A', personal: { reason: 'asked for by mallory' } }));
  await step();
  expect(await verify()).toMatchObject({ code: 0 });
  await attack((tx) => tx.$executeRaw`UPDATE audit_personal SET value = 'asked for by alice' WHERE value = 'asked for by mallory'`);
  const { code, said } = await verify();
  expect([code, said]).toEqual([1, expect.stringMatching(/personal field reason/)]);
  await attack((tx) => tx.$executeRaw`DELETE FROM audit_personal`);
  expect(await verify()).toMatchObject({ code: 0 });
  await attack((tx) => tx.$executeRaw`INSERT INTO audit_personal (event_id, field, salt, value) SELECT id, 'operator', decode('00', 'hex'), 'alice' FROM audit_events WHERE n = 7`);
  expect((await verify()).found).toEqual([['edited', 6, 6]]);
});

test('a request id beside an event that is not its own is an edit', async () => {
  await attack((tx) => tx.$executeRaw`UPDATE audit_events SET request_id = 'another' WHERE n = 7`);
  expect((await verify()).found).toEqual([['edited', 6, 6]]);
});

test('a run that goes on from an earlier one finds what is less than that had, and compares checkpoints of its size', async () => {
  const state = path.join(folder, 'state.json');
  expect(await verify('--state', state)).toMatchObject({ code: 0 });
  const { size = 0 } = (await newest()) ?? {};
  // Remembered is another tree of this size than the one that was signed.
  const was = JSON.parse(readFileSync(state, 'utf8')) as { hashes: string[] };
  writeFileSync(state, JSON.stringify({ ...was, hashes: was.hashes.with(0, '00'.repeat(32)) }));
  expect((await verify('--state', state)).found.map(([fault]) => fault)).toEqual(['forked']);
  writeFileSync(state, JSON.stringify(was));
  await attack(async (tx) => {
    await tx.$executeRaw`DELETE FROM audit_events WHERE n > 100`;
    await tx.$executeRaw`UPDATE counters SET value = 100 WHERE name = 'audit'`;
  });
  await rebuild();
  const { code, found } = await verify('--state', state);
  expect([code, found]).toEqual([1, [['truncated', 100, size - 1]]]);
});

test.each<[string, (tx: Tx) => Promise<unknown>, [string, number, number], RegExp]>([
  ['an upper tile', (tx) => tx.$executeRaw`UPDATE audit_tree_edges SET hashes = sha256('x') WHERE level = 1`, ['tree', 0, 255], /proofs from it do not hold/],
  ['the root beside a stored checkpoint', (tx) => tx.$executeRaw`UPDATE audit_checkpoints SET root = sha256('x') WHERE size = (SELECT min(size) FROM audit_checkpoints)`, ['forked', 0, expect.any(Number) as never], /columns do not say what was signed/],
  ['the note of a stored checkpoint', (tx) => tx.$executeRaw`UPDATE audit_checkpoints SET note = replace(note, E'\\n' || size || E'\\n', E'\\n' || size - 1 || E'\\n') WHERE size = (SELECT min(size) FROM audit_checkpoints)`, ['other-key', 0, expect.any(Number) as never], /no signature of the log key|not that of|signature/],
])('an edit of %s is found, though events and leaves are whole', async (_, work, expected, says) => {
  await attack(work);
  const { code, found, said } = await verify('--checkpoint', kept);
  expect([code, found]).toEqual([1, [expected]]);
  expect(said).toMatch(says);
});

test('a truncation, and a database that was set back to a backup', async () => {
  const cut = (tx: Tx) => tx.$executeRaw`DELETE FROM audit_events WHERE n > 200`;
  await attack(cut);
  expect((await verify('--checkpoint', kept)).found).toEqual(expect.arrayContaining([['truncated', 200, expect.any(Number)]]));
  await attack((tx) => tx.$executeRaw`UPDATE counters SET value = 200 WHERE name = 'audit'`);
  await rebuild();
  const { code, found } = await verify('--checkpoint', kept);
  expect([code, found.map(([fault, index]) => [fault, index])]).toEqual([1, [['truncated', 200]]]);
  expect((await look()).alarms).toMatchObject([{ kind: 'went-back' }]);
  // It went on, and is longer now than it was.
  await log.append(EVENTS);
  await step(path.join(folder, 'elsewhere'));
  expect((await verify('--checkpoint', kept)).found.map(([fault]) => fault)).toEqual(['forked']);
  expect((await look()).alarms).toMatchObject([{ kind: 'fork' }]);
});

test('everything rebuilt with a new key is another log: the old checkpoint and the old key say so', async () => {
  await attack((tx) => tx.$executeRaw`UPDATE audit_events SET event = ${new Uint8Array(FORGED)} WHERE n = 50`);
  await restartLog({ ...log.sequence, ownerDb: database.ownerDb, copyDir: path.join(folder, 'elsewhere') }, TEST_ORIGIN, 'test');
  while ((await step(path.join(folder, 'elsewhere'))).did === 'hashed');
  const { code, found } = await verify('--checkpoint', kept);
  expect([code, found.map(([fault]) => fault)]).toEqual([1, expect.arrayContaining(['other-key', 'forked'])]);
  expect((await look()).alarms).toMatchObject([{ kind: 'not-believed' }]);
});

test('events that were purged before the monitor read them are named once, and the log goes on behind them', async () => {
  remembered = undefined;
  await database.ownerDb.$executeRaw`UPDATE certificate_numbers SET audit_n = 1000`;
  await purgeAuditEvents(log, TEST_ORIGIN, { before: new Date(Date.now() + 86_400_000), until: 11n, operator: 'test', now: () => log.clock.now() });
  await step();
  const { state, alarms } = await look();
  expect(alarms).toEqual([{ kind: 'unseen', event: 1, detail: expect.stringMatching(/^events 1 to 256 were purged/) }]);
  remembered = state;
  await log.append(5);
  await step();
  expect((await look()).alarms).toEqual([]);
  expect(await verify('--checkpoint', kept)).toMatchObject({ code: 0, found: [] });
});
