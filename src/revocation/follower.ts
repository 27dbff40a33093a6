import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Db } from '../db/client.ts';
import { FEED_CHANNEL, type FollowedEvent } from '../db/feed.ts';
import { readFeedPage } from '../db/feed-page.ts';
import { createListener } from '../db/listen.ts';
import { readFeedStanding, type FeedStanding } from '../db/worlds.ts';
import type { RevocationSignals } from './signals.ts';

/** Where this replica stands in the feed. */
export interface FeedFollower {
  /** Milliseconds since the database last confirmed that everything up to the position was seen (invariant 13: over 2,000 no cached good). */
  positionAgeMs(): number;
  position(): bigint;
  /** What the database confirmed last: at `at`, by its clock, which all replicas share, no event after `n` was committed. */
  confirmed(): Confirmed;
  /** The world its numbers belong to (DESIGN invariant 14). */
  readonly world: { readonly clusterId: string; readonly epoch: number };
  /** Calls the listener with each new page of events, in order, none left out and none twice, before they count as seen. */
  subscribe(listener: (events: readonly FollowedEvent[]) => void): void;
  /** Looks at once instead of at the next notification. */
  wake(): void;
  /** Resolves with what shows it when the database was set back, or became another one: what this replica remembers is of a lost world, and it must end. */
  setBack: Promise<OtherWorld>;
  stop(): Promise<void>;
}

export interface Confirmed {
  n: bigint;
  at: Date;
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
  let known = await readFeedStanding(db, 0n);
  let position = known.feedN;
  let confirmed: Confirmed = { n: position, at: known.now };
  known = await readFeedStanding(db, position);
  let endWorld: (other: OtherWorld) => void = () => undefined;
  const setBack = new Promise<OtherWorld>((resolve) => (endWorld = resolve));
  const listeners: ((events: readonly FollowedEvent[]) => void)[] = [];
  const world = { clusterId: known.clusterId ?? '', epoch: known.epoch ?? 0 };
  let confirmedAt = clock.monotonicMs();
  let stopped = false;
  let lost = false;

  /** @throws Error from when on the position is not confirmed, and nothing good is said from memory */
  const assertSameWorld = (now: FeedStanding): void => {
    const other = otherWorld(known, position, now);
    if (other === undefined) {
      known = { ...known, auditN: now.auditN };
      return;
    }
    endWorld(other);
    throw new Error(`${other.says}. Restart this replica`);
  };

  const catchUp = async (): Promise<void> => {
    for (;;) {
      const askedAt = clock.monotonicMs();
      const { standing, events } = await readFeedPage(db, position, PAGE);
      signals.changed(
        events.flatMap(({ serial, issuerId, shard }) => (serial && issuerId !== null && shard !== null ? [{ serial, issuerId, shard }] : [])),
      );
      assertSameWorld(standing);
      position = events.at(-1)?.n ?? position;
      if (events.length > 0) {
        known = { ...known, at: events.at(-1)?.at ?? null };
        for (const listener of listeners) listener(events);
      }
      if (events.length < PAGE && standing.feedN <= position) {
        confirmedAt = askedAt;
        confirmed = { n: position, at: standing.now };
        metrics.feedPosition.set(Number(position));
        return;
      }
    }
  };
  const reading = inTurn(async () => {
    if (stopped) return;
    await catchUp().then(
      () => {
        if (lost) log.info('the feed is read again');
        lost = false;
      },
      (error: unknown) => {
        // Once, not twice a second for as long as the database is away.
        if (!lost) log.warn({ err: error }, 'the feed cannot be read');
        lost = true;
      },
    );
  });
  const wake = (): void => reading.ask();

  metrics.onScrape(metrics.feedAge, () => metrics.feedAge.set((clock.monotonicMs() - confirmedAt) / 1000));
  const notified = (payload: string): void => {
    // What this process committed itself it has mostly read by then. A feed that went back is found by the poll.
    if (!/^\d+$/.test(payload) || BigInt(payload) > position) wake();
  };
  signals.onCommitted(wake);
  const listener = createListener(listenUrl, FEED_CHANNEL, notified, log);
  const timer = setInterval(wake, POLL_MS);
  return {
    positionAgeMs: () => clock.monotonicMs() - confirmedAt,
    position: () => position,
    confirmed: () => confirmed,
    world,
    subscribe: (listener) => void listeners.push(listener),
    wake,
    setBack,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await listener.close();
      await reading.settled();
    },
  };
}

/** Does `work`, which never rejects, whenever asked: one at a time, and once more when it was asked meanwhile. */
function inTurn(work: () => Promise<void>): { ask(): void; settled(): Promise<void> | undefined } {
  let running: Promise<void> | undefined;
  let again = false;
  const ask = (): void => {
    if (running) {
      again = true;
      return;
    }
    running = work().finally(() => {
      running = undefined;
      if (!again) return;
      again = false;
      ask();
    });
  };
  return { ask, settled: () => running };
}

/** The database is not the one this replica remembers. */
export interface OtherWorld {
  says: string;
  /** It went back by itself, and nobody has recovered it: the next start must know. */
  isLoss: boolean;
}

/**
 * Whether the database is still the one this replica remembers (DESIGN invariants 13, 14): numbers only grow in one world, and the same number is the same
 * event. Undefined while it is.
 */
export function otherWorld(known: FeedStanding, position: bigint, now: FeedStanding): OtherWorld | undefined {
  if (now.clusterId !== known.clusterId || now.epoch !== known.epoch) {
    const says = `the database was of cluster ${known.clusterId} in epoch ${known.epoch}, and is of cluster ${now.clusterId} in epoch ${now.epoch}`;
    return { says, isLoss: now.clusterId === known.clusterId && (now.epoch ?? 0) < (known.epoch ?? 0) };
  }
  if (now.unrecovered) return { says: 'the database was set back, and is not recovered yet', isLoss: false };
  if (now.feedN < position) return { says: `the feed went back from ${position} to ${now.feedN}: the database was set back (a restore or a failover)`, isLoss: true };
  if (now.auditN < known.auditN) return { says: `the audit log went back from ${known.auditN} to ${now.auditN}: the database was set back (a restore or a failover)`, isLoss: true };
  if (known.at !== null && now.at !== null && known.at.getTime() !== now.at.getTime()) {
    return { says: `event ${position} of the feed is another one than before: the database was set back (a failover)`, isLoss: true };
  }
  return undefined;
}
