import { expect, test } from '@jest/globals';
import { createRevocationSignals } from '../../../src/revocation/signals.ts';
import { statusEntityTag, statusOf } from '../../../src/revocation/status.ts';
import { createStatusReader, MAX_FEED_AGE_MS } from '../../../src/revocation/status-reader.ts';
import { fakeStatusTable, serialOf } from './fake-status-table.ts';

const NOW = new Date('2026-11-21T00:00:00Z');
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function setUp(options: { cacheEntries?: number } = {}) {
  const table = fakeStatusTable();
  const signals = createRevocationSignals();
  const feed = { age: 0, positionAgeMs: () => feed.age };
  const clock = { at: 0, monotonicMs: () => clock.at };
  const statuses = createStatusReader({
    readRows: table.readRows,
    signals,
    feed,
    clock,
    config: { ocspCacheEntries: options.cacheEntries ?? 100, statusBatchMax: 10 },
  });
  const signal = (serial: Buffer) => signals.changed([{ serial, issuerId: 'issuer', shard: 0 }]);
  return { table, signals, feed, clock, statuses, signal, ctx: { statuses } };
}

test('StatusReader: what was read once is answered from memory', async () => {
  const { table, statuses } = setUp();
  table.issue(serialOf(1));
  expect((await statuses.read([serialOf(1)])).fromMemory).toBe(false);
  const again = await statuses.read([serialOf(1)]);
  expect(again.fromMemory).toBe(true);
  expect(again.at(0)?.agentId).toBe('agent-1');
  expect(table.statements).toHaveLength(1);
});

test('StatusReader: concurrent lookups share a statement and each serial is asked once', async () => {
  const { table, statuses } = setUp();
  for (const n of [1, 2, 3]) table.issue(serialOf(n));
  await Promise.all([statuses.read([serialOf(1), serialOf(2)]), statuses.read([serialOf(2), serialOf(3)])]);
  expect(table.statements.map((serials) => serials.length)).toEqual([3]);
});

test('StatusReader: a serial never issued is never kept, since it may be issued in the next moment', async () => {
  const { table, statuses } = setUp();
  expect((await statuses.read([serialOf(1)])).at(0)).toBeUndefined();
  table.issue(serialOf(1));
  expect((await statuses.read([serialOf(1)])).at(0)).toBeDefined();
});

test.each([['of another length', Buffer.alloc(16, 7)], ['of another version', Buffer.alloc(20, 7)], ['that is empty', Buffer.alloc(0)]])(
  'StatusReader: a serial %s is unknown without asking the database',
  async (_, serial) => {
    const { table, statuses } = setUp();
    expect((await statuses.read([serial])).at(0)).toBeUndefined();
    expect(table.statements).toHaveLength(0);
  },
);

test('StatusReader: a signalled change is read anew', async () => {
  const { table, statuses, signal } = setUp();
  table.issue(serialOf(1));
  await statuses.read([serialOf(1)]);
  table.revoke(serialOf(1), NOW, 1);
  signal(serialOf(1));
  expect((await statuses.read([serialOf(1)])).at(0)?.revokedAt).toEqual(NOW);
});

test('StatusReader: a change signalled while the statement runs makes its answer outdated and is not kept', async () => {
  const { table, statuses, signal } = setUp();
  table.issue(serialOf(1));
  const gate = table.holdStatements();
  const reading = statuses.read([serialOf(1)]);
  await turn();
  table.revoke(serialOf(1), NOW, 1); // committed after the statement took its snapshot
  signal(serialOf(1));
  gate.open();
  const view = await reading;
  expect(view.at(0)?.revokedAt).toBeNull();
  expect(view.isCurrent()).toBe(false);
  const next = await statuses.read([serialOf(1)]);
  expect(next.fromMemory).toBe(false);
  expect(next.at(0)?.revokedAt).toEqual(NOW);
  expect(next.isCurrent()).toBe(true);
});

test('StatusReader: a change signalled after the reading, before the answer leaves, makes it outdated', async () => {
  const { table, statuses, signal } = setUp();
  table.issue(serialOf(1));
  table.issue(serialOf(2));
  const view = await statuses.read([serialOf(1), serialOf(2)]);
  expect(view.isCurrent()).toBe(true);
  signal(serialOf(2));
  expect(view.isCurrent()).toBe(false);
});

test('StatusReader: without a fresh feed nothing good is answered from memory, a revocation is', async () => {
  const { table, statuses, feed } = setUp();
  table.issue(serialOf(1));
  table.issue(serialOf(2));
  table.revoke(serialOf(2), NOW, 1);
  await statuses.read([serialOf(1), serialOf(2)]);
  feed.age = MAX_FEED_AGE_MS + 1;
  expect((await statuses.read([serialOf(1)])).fromMemory).toBe(false);
  expect((await statuses.read([serialOf(2)])).fromMemory).toBe(true);
});

test('StatusReader: good from memory is outdated when the feed grows old before the answer leaves', async () => {
  const { table, statuses, feed } = setUp();
  table.issue(serialOf(1));
  await statuses.read([serialOf(1)]);
  const view = await statuses.read([serialOf(1)]);
  expect(view.fromMemory).toBe(true);
  feed.age = MAX_FEED_AGE_MS + 1;
  expect(view.isCurrent()).toBe(false);
});

test('StatusReader: what was read without a fresh feed is not kept, for its change may never be signalled here', async () => {
  const { table, statuses, feed } = setUp();
  table.issue(serialOf(1));
  feed.age = MAX_FEED_AGE_MS + 1;
  const view = await statuses.read([serialOf(1)]);
  expect(view.cacheable).toBe(false);
  expect(view.isCurrent()).toBe(true);
  feed.age = 0;
  expect((await statuses.read([serialOf(1)])).fromMemory).toBe(false);
});

test('StatusReader: without a fresh feed a reading that took longer than a second is outdated, unless it is of a revocation', async () => {
  const { table, statuses, feed, clock } = setUp();
  table.issue(serialOf(1));
  table.issue(serialOf(2));
  table.revoke(serialOf(2), NOW, 1);
  feed.age = MAX_FEED_AGE_MS + 1;
  const [slow, revoked] = [await statuses.read([serialOf(1)]), await statuses.read([serialOf(2)])];
  clock.at = 1_000;
  expect(slow.isCurrent()).toBe(true);
  // Another replica may have acknowledged a revocation since, and nothing would tell us.
  clock.at = 1_001;
  expect([slow.isCurrent(), revoked.isCurrent()]).toEqual([false, true]);
  feed.age = 0;
  expect(slow.isCurrent()).toBe(true);
});

test('statusOf: an answer outdated while it was read is read again', async () => {
  const { table, ctx, signal } = setUp();
  table.issue(serialOf(1));
  const gate = table.holdStatements();
  const answer = statusOf(ctx, [serialOf(1)], NOW);
  await turn();
  table.revoke(serialOf(1), NOW, 1);
  signal(serialOf(1));
  gate.open();
  expect((await answer).get(serialOf(1).toString('hex'))).toMatchObject({ status: 'revoked', reason: 'keyCompromise', revokedAt: NOW });
});

test('statusOf: a certificate that changes at every reading is refused as overloaded, never answered', async () => {
  const { table, ctx, signal } = setUp();
  table.issue(serialOf(1));
  table.beforeAnswer = () => signal(serialOf(1));
  await expect(statusOf(ctx, [serialOf(1)], NOW)).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
});

test('statusOf: says good, held, revoked, expired and unknown, with what belongs to each', async () => {
  const { table, ctx } = setUp();
  const notAfter = new Date('2026-11-21T01:00:00Z');
  const [good, held, revoked, expired, unknown, own] = [1, 2, 3, 4, 5, 6].map(serialOf) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
  for (const serial of [good, held, revoked]) table.issue(serial, { notAfter });
  table.issue(expired, { notAfter: new Date(NOW.getTime() - 1) });
  table.issue(own, { notAfter, agentId: null, instanceId: null });
  table.putOnHold(held, NOW);
  table.revoke(revoked, NOW, 5);
  const said = await statusOf(ctx, [good, held, revoked, expired, unknown, own], NOW);
  const of = (n: number) => ({ serial: serialOf(n).toString('hex'), agentId: `agent-${n}`, instanceId: `instance-${n}`, notAfter });
  expect([...said.values()]).toEqual([
    { ...of(1), status: 'good' },
    { ...of(2), status: 'held', reason: 'certificateHold', revokedAt: NOW },
    { ...of(3), status: 'revoked', reason: 'cessationOfOperation', revokedAt: NOW },
    { ...of(4), status: 'expired', notAfter: new Date(NOW.getTime() - 1) },
    { serial: unknown.toString('hex'), status: 'unknown' },
    { serial: own.toString('hex'), status: 'good', notAfter },
  ]);
});

test('statusEntityTag: is the same for the same statuses and another after a change', () => {
  const good = { serial: 'ab', status: 'good' } as const;
  expect(statusEntityTag([good])).toBe(statusEntityTag([{ ...good }]));
  expect(statusEntityTag([good])).not.toBe(statusEntityTag([{ ...good, status: 'held' }]));
  expect(statusEntityTag([good])).toMatch(/^"[A-Za-z0-9_-]{27}"$/);
});
