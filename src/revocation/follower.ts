import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Db } from '../db/client.ts';
import { FEED_CHANNEL, feedPosition, readFeed } from '../db/feed.ts';
import { createListener } from '../db/listen.ts';
import type { RevocationSignals } from './signals.ts';

/** Where this replica stands in the feed. */
export interface FeedFollower {
  /** Milliseconds since the database last confirmed that everything up to the position was seen (invariant 13: over 2,000 no cached good). */
  positionAgeMs(): number;
  position(): bigint;
  stop(): Promise<void>;
}

interface Needs {
  db: Db;
  signals: RevocationSignals;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
}

/** NOTIFY wakes at once; the poll is the safety net when a notification was lost (DESIGN §2). */
const POLL_MS = 500;
const PAGE = 1_000;

/** Follows the feed: every change committed anywhere is signalled here, in order. `listenUrl` must be a direct connection, not a pooler's. */
export async function followFeed(needs: Needs, listenUrl: string): Promise<FeedFollower> {
  const { db, signals, clock, log, metrics } = needs;
  let position = await feedPosition(db);
  let confirmedAt = clock.monotonicMs();
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let lost = false;

  const catchUp = async (): Promise<void> => {
    for (;;) {
      const askedAt = clock.monotonicMs();
      const events = await readFeed(db, position, PAGE);
      signals.changed(
        events.flatMap(({ serial, issuerId, shard }) => (serial && issuerId !== null && shard !== null ? [{ serial, issuerId, shard }] : [])),
      );
      if (events.length === 0) await assertNotSetBack(db, position);
      position = events.at(-1)?.n ?? position;
      if (events.length < PAGE) {
        confirmedAt = askedAt;
        metrics.feedPosition.set(Number(position));
        return;
      }
    }
  };
  const wake = (): void => {
    if (stopped) return;
    if (running) {
      again = true;
      return;
    }
    running = catchUp()
      .then(
        () => {
          if (lost) log.info('the feed is read again');
          lost = false;
        },
        (error: unknown) => {
          // Once, not twice a second for as long as the database is away.
          if (!lost) log.warn({ err: error }, 'the feed cannot be read');
          lost = true;
        },
      )
      .finally(() => {
        running = undefined;
        if (again) {
          again = false;
          wake();
        }
      });
  };

  metrics.onScrape(metrics.feedAge, () => metrics.feedAge.set((clock.monotonicMs() - confirmedAt) / 1000));
  const listener = createListener(listenUrl, FEED_CHANNEL, wake, log);
  const timer = setInterval(wake, POLL_MS);
  return {
    positionAgeMs: () => clock.monotonicMs() - confirmedAt,
    position: () => position,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await listener.close();
      await running;
    },
  };
}

/**
 * Numbers only grow in one world. Behind where this replica stood, what it remembers is of another one: from here on the position is not confirmed, and
 * nothing good is said from memory (DESIGN invariants 13, 14), until the replica is started again.
 */
async function assertNotSetBack(db: Db, position: bigint): Promise<void> {
  const stored = await feedPosition(db);
  if (stored < position) throw new Error(`the feed went back from ${position} to ${stored}: the database was set back (a restore or a failover). Restart this replica`);
}
