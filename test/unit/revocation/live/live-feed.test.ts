import { expect, test } from '@jest/globals';
import { systemClock } from '../../../../src/core/clock.ts';
import { createMetrics } from '../../../../src/core/metrics.ts';
import { createLiveFeed, type FeedReader, type FeedSink, type LiveFeedNeeds } from '../../../../src/revocation/live/live-feed.ts';

/** Where nothing is read: the readers begin at the end. */
const feedOf = (feedStreamsMax: number, feedStreamsPerCallerMax: number) =>
  createLiveFeed({
    feed: { world: { clusterId: 'c', epoch: 1 }, position: () => 7n, subscribe: () => undefined }, clock: systemClock, metrics: createMetrics(), workers: 1, log: { warn: () => undefined },
    authorities: { snapshot: () => ({}) }, config: { feedStreamsMax, feedStreamsPerCallerMax, feedBufferBytes: 1_000, feedSlowReaderMs: 1_000 },
  } as unknown as LiveFeedNeeds);
const reader = (callerId: string): FeedReader => ({ callerId, credential: { token: callerId }, view: 'bare' });
/** A reader that takes everything, and goes when it is told to. */
function makeSink(): FeedSink {
  const closed: (() => void)[] = [];
  const end = () => closed.splice(0).forEach((then) => then());
  return { write: () => undefined, waiting: () => 0, onceMoved: () => undefined, end: () => setImmediate(end), destroy: end, onceClosed: (then) => void closed.push(then) };
}
const FULL = { status: 'rejected', reason: { code: 'feed-full' } };

test('readers that are let in in one turn of the event loop are counted, of one caller and of all', async () => {
  const feed = feedOf(3, 2);
  const admitted = await Promise.allSettled(['a', 'a', 'a', 'b', 'b'].map((caller) => feed.admit(reader(caller), undefined)));
  expect(admitted).toMatchObject([{ value: 7n }, { value: 7n }, FULL, { value: 7n }, FULL]);
  for (const caller of ['a', 'a', 'b']) feed.serve(reader(caller), 7n, makeSink());
  await expect(feed.admit(reader('b'), undefined)).rejects.toMatchObject(FULL.reason);
  await feed.close();
});

test('a reader that was let in and went before it was served keeps nobody out', async () => {
  const feed = feedOf(1, 1);
  await feed.admit(reader('a'), undefined);
  await expect(feed.admit(reader('a'), undefined)).rejects.toMatchObject(FULL.reason);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  await feed.admit(reader('a'), undefined);
  await feed.close();
});
