import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { inTransaction } from '../../src/db/client.ts';
import { appendFeedRows } from '../../src/db/feed.ts';
import { followFeed, type FeedFollower } from '../../src/revocation/follower.ts';
import { createRevocationSignals } from '../../src/revocation/signals.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';

let database: TestDatabase;
let feed: FeedFollower;
let nowMs = 0;
let said = '';
beforeAll(async () => {
  database = await testDatabase();
  await database.ownerDb.cluster.create({ data: { id: 'test', trustDomain: 'signet.internal', createdAt: FIXED_NOW } });
  await inTransaction(database.db, (tx) => appendFeedRows(tx, FIXED_NOW, [{ kind: 'agent-suspended' }, { kind: 'agent-resumed' }]));
  const clock = { now: () => FIXED_NOW, monotonicMs: () => nowMs };
  const log = createLogger('warn', { write: (line: string) => void (said += line) });
  feed = await followFeed({ db: database.db, signals: createRevocationSignals(), clock, log, metrics: createMetrics() }, database.serviceUrl);
});
afterAll(async () => {
  await feed.stop();
  await database.drop();
});

test('a database that was set back is noticed and said: from then on the position is not confirmed', async () => {
  nowMs = 10_000;
  while (feed.positionAgeMs() > 0) await sleep(20);
  await database.ownerDb.$executeRaw`DELETE FROM feed_events WHERE n = 2`;
  await database.ownerDb.$executeRaw`UPDATE counters SET value = 1 WHERE name = 'feed'`;
  while (!said.includes('the feed went back from 2 to 1')) await sleep(20);
  nowMs = 20_000;
  await sleep(1_200);
  expect(feed.positionAgeMs()).toBe(10_000);
});
