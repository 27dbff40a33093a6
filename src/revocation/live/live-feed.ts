import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamEnd } from '../../api/feed.ts';
import type { Authorities } from '../../authorities/authorities.ts';
import { SignetError } from '../../core/errors.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { Config } from '../../config/schema.ts';
import type { Db } from '../../db/client.ts';
import { credentialsThatFollow } from '../../db/enforcement-points.ts';
import { readFeed } from '../../db/feed.ts';
import type { FeedFollower } from '../follower.ts';
import { MAX_FEED_AGE_MS } from '../status-reader.ts';
import { assertKept, assertWorld, type WantedCursor } from './cursor.ts';
import { createHeartbeats, type Beat, type Heartbeats } from './heartbeat.ts';
import { serverSentEvent, toldEvent, type FeedView, type ToldEvent } from './told.ts';

/** The connection of one reader. */
export interface FeedSink {
  /** Hands on octets, in order. */
  write(octets: Buffer): void;
  /** Octets handed on that the connection has not taken yet. */
  waiting(): number;
  /** Calls back once, when it may have taken some. */
  onceMoved(then: () => void): void;
  /** Ends the answer after what was written. */
  end(): void;
  /** Cuts the connection. */
  destroy(): void;
  onceClosed(then: () => void): void;
}

/** Who reads. */
export interface FeedReader {
  /** Relying party, or API token: what the limit of streams counts. */
  callerId: string;
  /** Id of an API token, or SHA-256 of a pinned certificate: looked at again every second. */
  credential: { token: string } | { pin: string };
  view: FeedView;
}

/** What follows the feed over the wire. */
export interface LiveFeed {
  /**
   * Where the stream of a reader begins: after this number. Without a cursor now.
   * @throws SignetError `feed-full`, `feed-other-world`, `feed-cursor-ahead`, `feed-cursor-expired`, `overloaded`
   */
  admit(reader: FeedReader, cursor: WantedCursor | undefined): Promise<bigint>;
  /** Serves a reader from the event after `after` on, until one of both goes. */
  serve(reader: FeedReader, after: bigint, sink: FeedSink): void;
  /** Ends every stream: this process goes. No new one is let in. */
  drain(): void;
  close(): Promise<void>;
}

export interface LiveFeedNeeds {
  db: Db;
  feed: FeedFollower;
  authorities: Pick<Authorities, 'snapshot'>;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  /** Of the replica: each serves its share of the streams. */
  workers: number;
  config: Pick<Config, 'feedStreamsMax' | 'feedStreamsPerCallerMax' | 'feedBufferBytes' | 'feedSlowReaderMs'>;
}

export const HEARTBEAT_MS = 1_000;
/** Events kept in memory, for readers that come back after a short while: a replica that ends sends all of its readers to the others at once. */
const RECENT_EVENTS = 8_192;
const PAGE = 500;
/** Readers that catch up from the database at once. */
const PAGES_AT_ONCE = 4;
/** How long a reader that was at another replica is waited for to be caught up with. */
const AHEAD_WAIT_MS = 2_000;
/** How long the connection of a reader that was sent away may stay, for it to read why. */
const LINGER_MS = 2_000;
const RETRY_SECONDS = 2;
const LOOK_MS = 20;

interface Stream extends FeedReader {
  sink: FeedSink;
  /** The last number that was written. */
  n: bigint;
  /** Thumbprint of the feed key that it was told last, and the heartbeat. */
  key: string | undefined;
  beat: Beat | undefined;
  open: boolean;
}

/** The newest events, in octets: without a gap up to `end`. */
interface Memory {
  /** The last event that live readers were written. */
  end: bigint;
  recent: ToldEvent[];
}

/** Streams by what becomes of them. */
interface Streams {
  readonly all: Set<Stream>;
  readonly live: Set<Stream>;
  /** Of a caller, or all: served, or admitted. */
  of(callerId: string): number;
  count(): number;
  /** Counts one that is admitted until it is served. Several may be admitted in one turn of the event loop; who is not served in it (the client is gone) never is. */
  admit(callerId: string): void;
  add(stream: Stream): void;
  forget(stream: Stream): void;
  /** Ends a stream with a reason. */
  sendAway(stream: Stream, reason: StreamEnd, detail?: string): void;
}

function createStreams(metrics: Metrics): Streams {
  const perCaller = new Map<string, number>();
  const admitted: string[] = [];
  const streams: Streams = {
    all: new Set(),
    live: new Set(),
    of: (callerId) => (perCaller.get(callerId) ?? 0) + admitted.filter((one) => one === callerId).length,
    count: () => streams.all.size + admitted.length,
    admit(callerId) {
      if (admitted.length === 0) setImmediate(() => void (admitted.length = 0));
      admitted.push(callerId);
    },
    add(stream) {
      const place = admitted.indexOf(stream.callerId);
      if (place >= 0) admitted.splice(place, 1);
      streams.all.add(stream);
      perCaller.set(stream.callerId, (perCaller.get(stream.callerId) ?? 0) + 1);
      metrics.feedStreams.set(streams.all.size);
      stream.sink.onceClosed(() => streams.forget(stream));
    },
    forget(stream) {
      if (!streams.all.delete(stream)) return;
      stream.open = false;
      streams.live.delete(stream);
      const left = (perCaller.get(stream.callerId) ?? 0) - 1;
      if (left === 0) perCaller.delete(stream.callerId);
      else perCaller.set(stream.callerId, left);
      metrics.feedStreams.set(streams.all.size);
    },
    sendAway(stream, reason, detail) {
      if (!stream.open) return;
      streams.forget(stream);
      metrics.feedStreamsEnded.inc({ reason });
      // Not all at the same moment.
      if (reason === 'draining') stream.sink.write(Buffer.from(`retry: ${100 + ((streams.all.size * 37) % 900)}\n`));
      stream.sink.write(serverSentEvent('end', { reason, ...(detail === undefined ? {} : { detail }) }));
      stream.sink.end();
      const late = setTimeout(() => stream.sink.destroy(), LINGER_MS);
      stream.sink.onceClosed(() => clearTimeout(late));
    },
  };
  return streams;
}

/** What writes to streams. */
interface Sender {
  /** Writes what follows from memory, as far as the reader may be kept waiting. False: it has to take that first. */
  advance(stream: Stream): boolean;
  /** Takes a reader out of the live ones until it has taken what waits for it, and has caught up. */
  waitFor(stream: Stream): void;
  /** Tells a reader the newest heartbeat, with the key before it where it does not know that yet. */
  beat(stream: Stream): void;
}

function createSender(needs: LiveFeedNeeds, { streams, memory, heartbeats }: { streams: Streams; memory: Memory; heartbeats: Heartbeats }): Sender {
  const { clock, config, log, metrics } = needs;
  const pages = createPages(needs.db);

  function advance(stream: Stream): boolean {
    const { recent, end } = memory;
    const parts: Buffer[] = [];
    let size = stream.sink.waiting();
    for (let at = recent.length - Number(end - stream.n); at < recent.length && size <= config.feedBufferBytes; at++) {
      const octets = (recent[at] as ToldEvent).octets(stream.view);
      parts.push(octets);
      size += octets.length;
    }
    if (parts.length > 0) {
      stream.sink.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
      stream.n += BigInt(parts.length);
      metrics.feedEventsSent.inc(parts.length);
    }
    return stream.n === end && stream.sink.waiting() <= config.feedBufferBytes;
  }

  async function catchUp(stream: Stream): Promise<void> {
    while (await taken(stream)) {
      const isInMemory = memory.end - stream.n <= BigInt(memory.recent.length);
      if (!isInMemory) {
        if (!(await fromTable(stream))) return;
      } else if (advance(stream)) {
        streams.live.add(stream);
        beat(stream);
        return;
      }
    }
  }

  /** Writes one page of the table. False: the stream is over. */
  async function fromTable(stream: Stream): Promise<boolean> {
    const events = (await pages(stream.n)).filter(({ n }) => n <= memory.end);
    if (!stream.open) return false;
    // The follower is ahead of the table for nobody: a row that is not there was cleared away. Numbers follow each other, times nearly do: among the oldest one may be gone before the next.
    if (events.length === 0 || events.some(({ n }, i) => n !== stream.n + 1n + BigInt(i))) {
      streams.sendAway(stream, 'cursor-expired', 'GET /v1/revocations/snapshot tells what is not good now');
      return false;
    }
    for (const event of events) {
      if (stream.sink.waiting() > config.feedBufferBytes && !(await taken(stream))) return false;
      stream.sink.write(toldEvent(needs.feed.world, event).octets(stream.view));
      stream.n = event.n;
    }
    metrics.feedEventsSent.inc(events.length);
    return true;
  }

  /** Waits until the connection has taken most of what waits for it. False: it took too long, or is gone. */
  async function taken(stream: Stream): Promise<boolean> {
    const deadline = clock.monotonicMs() + config.feedSlowReaderMs;
    while (stream.open && stream.sink.waiting() > config.feedBufferBytes / 2) {
      if (clock.monotonicMs() >= deadline) {
        streams.sendAway(stream, 'slow-reader', 'what was sent is not taken: come back, and go on from the last number');
        return false;
      }
      await new Promise<void>((resolve) => stream.sink.onceMoved(resolve));
    }
    return stream.open;
  }

  function beat(stream: Stream): void {
    const newest = heartbeats.newest();
    if (!newest || newest === stream.beat || newest.n > stream.n || clock.monotonicMs() - newest.madeMs > MAX_FEED_AGE_MS) return;
    if (stream.key !== newest.key.thumbprint) {
      stream.key = newest.key.thumbprint;
      stream.sink.write(newest.key.octets);
    }
    stream.beat = newest;
    stream.sink.write(newest.octets);
  }

  return {
    advance,
    beat,
    waitFor(stream) {
      streams.live.delete(stream);
      catchUp(stream).catch((error: unknown) => {
        log.warn({ err: error }, 'a stream of the feed could not be served');
        streams.sendAway(stream, 'failed');
      });
    },
  };
}

/**
 * One follower of the database, any number of readers. A reader catches up from memory or in pages of the table, and joins the live ones in the same turn of the
 * event loop in which nothing is left: no gap, nothing twice. Each event is put into octets once for each view. Whoever does not take what waits for it is
 * written nothing more until it has, and is sent away when that takes too long: what one reader can hold is bounded, whatever is revoked.
 */
export function createLiveFeed(needs: LiveFeedNeeds): LiveFeed {
  const { db, feed, clock, log, config } = needs;
  const { world } = feed;
  // Connections are spread by the kernel, evenly in the long run.
  const [most, mostOfCaller] = [Math.ceil(config.feedStreamsMax / needs.workers), Math.ceil(config.feedStreamsPerCallerMax / needs.workers)];
  const streams = createStreams(needs.metrics);
  const heartbeats = createHeartbeats(needs);
  const memory: Memory = { end: feed.position(), recent: [] };
  const sender = createSender(needs, { streams, memory, heartbeats });
  let draining = false;

  feed.subscribe((events) => {
    for (const event of events) memory.recent.push(toldEvent(world, event));
    memory.end = events.at(-1)?.n ?? memory.end;
    if (memory.recent.length > 2 * RECENT_EVENTS) memory.recent = memory.recent.slice(-RECENT_EVENTS);
    for (const stream of [...streams.live]) if (!sender.advance(stream)) sender.waitFor(stream);
  });

  const beat = async (): Promise<void> => {
    if (streams.all.size === 0 || !(await heartbeats.make())) return;
    for (const stream of [...streams.live]) {
      if (stream.sink.waiting() > config.feedBufferBytes) sender.waitFor(stream);
      else sender.beat(stream);
    }
  };
  const timers = [
    everySecond(beat, () => log.warn('the heartbeat of the feed could not be made')),
    everySecond(() => judge(db, streams, clock.now()), () => log.warn('credentials of streams could not be looked at')),
  ];

  function assertRoom({ callerId }: FeedReader): void {
    if (draining) throw new SignetError('overloaded', 'this replica goes: ask another one', { retryAfterSeconds: 1 });
    if (streams.count() >= most) throw full(`this worker serves ${most} streams, its share of feedStreamsMax`);
    if (streams.of(callerId) >= mostOfCaller) throw full(`one caller may have ${mostOfCaller} streams at this worker, its share of feedStreamsPerCallerMax`);
  }

  return {
    async admit(reader, cursor) {
      assertRoom(reader);
      if (cursor) assertWorld(world, cursor);
      // In memory, or all of it there: the table need not be asked.
      if (!cursor || (cursor.n <= memory.end && memory.end - cursor.n <= BigInt(memory.recent.length))) {
        streams.admit(reader.callerId);
        return cursor?.n ?? memory.end;
      }
      await assertKept(db, cursor.n);
      for (let waited = 0; cursor.n > memory.end; waited += LOOK_MS) {
        if (waited >= AHEAD_WAIT_MS) throw new SignetError('overloaded', 'this replica is behind the number that another one sent', { retryAfterSeconds: RETRY_SECONDS });
        feed.wake();
        await sleep(LOOK_MS);
      }
      // Others came while this one waited.
      assertRoom(reader);
      streams.admit(reader.callerId);
      return cursor.n;
    },
    serve(reader, after, sink) {
      const stream: Stream = { ...reader, sink, n: after, key: undefined, beat: undefined, open: true };
      streams.add(stream);
      sink.write(Buffer.concat([Buffer.from('retry: 1000\n'), serverSentEvent('hello', { cluster: world.clusterId, epoch: world.epoch, n: Number(after), heartbeatMs: HEARTBEAT_MS })]));
      if (draining) streams.sendAway(stream, 'draining');
      else sender.waitFor(stream);
    },
    drain() {
      draining = true;
      for (const stream of [...streams.all]) streams.sendAway(stream, 'draining', 'this replica goes: come back, another one serves');
    },
    async close() {
      this.drain();
      await Promise.all(timers.map((timer) => timer.stop()));
    },
  };
}

/** Sends away whoever may not follow any more, or may now know more or less. */
async function judge(db: Db, streams: Streams, now: Date): Promise<void> {
  // Who comes meanwhile was judged at the door.
  const before = [...streams.all];
  if (before.length === 0) return;
  const asked = { tokens: new Set<string>(), pins: new Set<string>() };
  for (const { credential } of before) {
    if ('token' in credential) asked.tokens.add(credential.token);
    else asked.pins.add(credential.pin);
  }
  const good = await credentialsThatFollow(db, { tokens: [...asked.tokens], pins: [...asked.pins] }, now);
  for (const stream of before) {
    const standing = good.get('token' in stream.credential ? stream.credential.token : stream.credential.pin);
    if (!standing || (standing.identity ? 'identity' : 'bare') !== stream.view) streams.sendAway(stream, 'credential-ended', 'come back with a credential that may follow the feed');
  }
}

/** One run at a time; a fault is said once until it is over. */
function everySecond(work: () => Promise<void>, onFault: () => void): { stop(): Promise<void> } {
  let running: Promise<void> | undefined;
  let failing = false;
  const timer = setInterval(() => {
    running ??= work()
      .then(
        () => void (failing = false),
        () => {
          if (!failing) onFault();
          failing = true;
        },
      )
      .finally(() => (running = undefined));
  }, HEARTBEAT_MS);
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}

const full = (why: string) => new SignetError('feed-full', why, { retryAfterSeconds: RETRY_SECONDS });

/** Pages of the table; readers that stand at the same number share one, and few are read at once. */
function createPages(db: Db): (after: bigint) => ReturnType<typeof readFeed> {
  const underWay = new Map<bigint, ReturnType<typeof readFeed>>();
  const waiting: (() => void)[] = [];
  let reading = 0;

  async function read(after: bigint): ReturnType<typeof readFeed> {
    while (reading >= PAGES_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    reading++;
    try {
      return await readFeed(db, after, PAGE);
    } finally {
      reading--;
      underWay.delete(after);
      waiting.shift()?.();
    }
  }

  return (after) => {
    const known = underWay.get(after) ?? read(after);
    underWay.set(after, known);
    return known;
  };
}
