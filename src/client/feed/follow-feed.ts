/** Follows the live feed of a Signet, and answers whether somebody is still good: from memory, at once, and never from what may be out of date. */
import { setTimeout as sleep } from 'node:timers/promises';
import { feedEvent, followRevocations, getRevocationSnapshot, streamEnd, streamHello, streamKey, type FeedEventAnswer } from '../../api/feed.ts';
import { systemClock, type Clock } from '../../core/clock.ts';
import { readStatement, StatementError, trustFeedKey, type TrustedFeedKey } from '../../verify/feed-statement.ts';
import { parseCertificate, type Certificate } from '../../x509/certificate.ts';
import { decodePemAll } from '../../x509/pem.ts';
import { ApiError, createApiClient, type ApiClient } from '../api-client.ts';
import { createAcknowledger } from './acknowledger.ts';
import { createFreshness } from './freshness.ts';
import type { ServerSentEvent } from './server-sent-events.ts';
import { createSnapshotReader } from './snapshot.ts';
import { readEvents, readLines, type StreamOptions } from './stream.ts';
import { createStatusView, type NotGood, type Subject } from './view.ts';

export interface FollowOptions {
  /** Base URLs of the doors of one cluster: API doors with a token, mutual TLS doors with an identity. One after the other is tried. */
  urls: readonly string[];
  /** Roots, PEM: the only thing that is trusted. */
  trustBundle: string;
  /** API token of a relying party with the grant `feed`. */
  token?: string;
  /** Instead: the certificate that is pinned to it, and its key, PEM. */
  identity?: { certificate: string; key: string };
  /** Registers an enforcement point of this name, and acknowledges what is applied. */
  enforcementPoint?: string;
  /** Begins after this instead of with a snapshot: `<cluster>:<epoch>:<n>`. Nothing older is known then: for those who only want to see events. */
  since?: string;
  /** How old what is known may be before everybody is denied. Milliseconds. */
  stalenessMs?: number;
  /** How far the service's clock may be from this machine's. Milliseconds. */
  clockToleranceMs?: number;
  /** How long `followFeed` waits for the feed to open. Milliseconds. */
  openWithinMs?: number;
  /** Every event, once it is applied. */
  onEvent?: (event: FeedEventAnswer) => void;
  /** Whenever `state()` opens, closes, or its world changes. */
  onState?: (state: FeedState) => void;
  clock?: Clock;
}

/** Why everybody is denied. */
export type ClosedReason =
  | 'starting' // nothing is known yet
  | 'stale' // no heartbeat that can be believed, for longer than may be
  | 'refused' // the credential may not follow
  | 'other-cluster' // somebody else answers under this address
  | 'closed'; // close() was called

export interface FeedState {
  open: boolean;
  /** Of a closed feed. */
  why?: ClosedReason;
  detail?: string;
  /** The world that is followed; undefined before the first contact. A new epoch means that the service's database was set back. */
  cluster: string | undefined;
  epoch: number | undefined;
  /** Everything up to here is applied. */
  n: number;
  /** Age of what is known, milliseconds; Infinity before the first heartbeat. */
  ageMs: number;
  /** The last number that was acknowledged. */
  acknowledged: number | undefined;
}

export type Judgement = { allowed: true; n: number } | { allowed: false; why: NotGood | ClosedReason; detail: string };

export interface Feed {
  /** Whether nothing is known against a serial (hexadecimal), or against any of what is known of a caller. Closed: nobody is allowed. */
  judge(subject: string | Subject): Judgement;
  state(): FeedState;
  /** Stops of issuance in force. */
  stops(): string[];
  close(): Promise<void>;
}

const STALENESS_MS = 5_000;
const CLOCK_TOLERANCE_MS = 60_000;
const OPEN_WITHIN_MS = 10_000;
const SNAPSHOT_SILENCE_MS = 15_000;
const BACKOFF = { firstMs: 100, mostMs: 5_000 };
const WATCH_MS = 250;
const DAY_MS = 86_400_000;
/** After these a snapshot is taken: what is known is worth nothing. */
const ANEW: readonly (string | undefined)[] = ['feed-cursor-ahead', 'feed-cursor-expired', 'feed-other-world'];

interface World {
  cluster: string;
  epoch: number;
}

/**
 * Follows the feed for as long as it is not closed: from a snapshot on, then live; heartbeats are believed only up to one of the roots. Resolves when it is open, or
 * closed still after `openWithinMs`: it goes on trying, and denies meanwhile. @throws ApiError when the first answer is that the credential may not follow
 */
export async function followFeed(options: FollowOptions): Promise<Feed> {
  const { stalenessMs = STALENESS_MS, clockToleranceMs = CLOCK_TOLERANCE_MS, openWithinMs = OPEN_WITHIN_MS, clock = systemClock } = options;
  const roots: Certificate[] = decodePemAll(options.trustBundle, 'CERTIFICATE').map((der) => parseCertificate(der));
  const freshness = createFreshness({ stalenessMs, clockToleranceMs });
  const stopping = new AbortController();
  const { promise: opened, resolve: open, reject: fail } = Promise.withResolvers<void>();
  const silenceMs = Math.max(2_500, Math.round(stalenessMs / 2));

  let view = createStatusView();
  let n = 0;
  let world: World | undefined;
  /** Where to go on; undefined: a snapshot first. */
  let cursor = options.since;
  let unusable: { why: ClosedReason; detail: string } | undefined = { why: 'starting', detail: 'nothing is known yet' };
  let lastFault = 'no heartbeat came yet';
  let turn = 0;
  let wasOpen = false;
  let everOpen = false;
  let clients: ApiClient[] = [];

  const url = (): string => options.urls[turn % options.urls.length] ?? '';
  const client = (): ApiClient => (clients[turn % options.urls.length] ??= createApiClient({
    url: url(), trustBundle: options.trustBundle, timeoutMs: 5_000, keepAlive: true, ...(options.token === undefined ? {} : { token: options.token }), ...(options.identity ? { identity: options.identity } : {}),
  }));
  const acknowledger = options.enforcementPoint === undefined ? undefined : createAcknowledger(options.enforcementPoint, client, Math.random);

  function state(): FeedState {
    const ageMs = freshness.ageMs(clock.monotonicMs());
    const closed = unusable ?? (ageMs > stalenessMs ? { why: 'stale' as const, detail: `what is known is older than ${stalenessMs} ms: ${lastFault}` } : undefined);
    return { open: closed === undefined, ...closed, cluster: world?.cluster, epoch: world?.epoch, n, ageMs, acknowledged: acknowledger?.confirmed() };
  }

  /** Tells of a change of state. */
  function look(isNews = false): void {
    const now = state();
    if (now.open !== wasOpen || isNews) options.onState?.(now);
    wasOpen = now.open;
    if (now.open) {
      everOpen = true;
      open();
    }
  }

  function applied(to: number): void {
    n = to;
    if (world) cursor = `${world.cluster}:${world.epoch}:${n}`;
    if (world) acknowledger?.applied(n, world);
  }

  function streamOptions(path: string, quietMs: number, signal: AbortSignal): StreamOptions {
    return { url: url(), path, trustBundle: options.trustBundle, token: options.token, identity: options.identity, silenceMs: quietMs, signal };
  }

  async function takeSnapshot(): Promise<void> {
    const reader = createSnapshotReader(roots, () => clock.now());
    await readLines(streamOptions(getRevocationSnapshot.path, SNAPSHOT_SILENCE_MS, stopping.signal), (line) => reader.line(line));
    const { view: fresh, end } = reader.result();
    if (Math.abs(Date.parse(end.time) - clock.now().getTime()) > clockToleranceMs) throw new StatementError(`the snapshot is of ${end.time}, too far from this machine's clock`);
    if (world && world.cluster !== end.cluster) {
      unusable = { why: 'other-cluster', detail: `cluster ${end.cluster} answers where ${world.cluster} did` };
      throw new StatementError(unusable.detail);
    }
    // In one epoch numbers only grow: an older snapshot than what is applied would let the revoked back in.
    if (world?.epoch !== undefined && (end.epoch < world.epoch || (end.epoch === world.epoch && end.n < n))) throw new StatementError(`the snapshot is of ${end.n} in epoch ${end.epoch}, older than what is applied`);
    const isNews = world?.epoch !== end.epoch;
    view = fresh;
    view.forgetEnded(Math.floor(clock.now().getTime() / DAY_MS));
    world = { cluster: end.cluster, epoch: end.epoch };
    freshness.reset();
    applied(end.n);
    look(isNews);
  }

  async function readStream(): Promise<void> {
    const query = cursor === undefined ? '' : `?since=${encodeURIComponent(cursor)}`;
    let key: TrustedFeedKey | undefined;
    let hello = false;
    let silentSince = clock.monotonicMs();
    freshness.reconnected();
    const given = new AbortController();
    // Events without a heartbeat that can be believed: another replica, and at last a snapshot, may do better.
    const watch = setInterval(() => {
      if (clock.monotonicMs() - silentSince > 2 * stalenessMs) given.abort(new StatementError(`no heartbeat for ${2 * stalenessMs} ms`));
    }, WATCH_MS);

    const heard = ({ name, data }: ServerSentEvent): void => {
      const value: unknown = JSON.parse(data);
      switch (name) {
        case 'hello': {
          const { cluster, epoch, n: from } = streamHello.parse(value);
          if (world && (world.cluster !== cluster || world.epoch !== epoch)) throw new StatementError('the stream is of another world');
          if (cursor !== undefined && world && from !== n) throw new StatementError(`the stream begins after ${from}, not after ${n}`);
          world ??= { cluster, epoch };
          hello = true;
          applied(from);
          return;
        }
        case 'key':
          key = trustFeedKey(streamKey.parse(value).x5c, roots, clock.now());
          return;
        case 'change': {
          const event = feedEvent.parse(value);
          if (!hello || event.n !== n + 1) throw new StatementError(`event ${event.n} came after ${n}`);
          view.apply(event);
          applied(event.n);
          options.onEvent?.(event);
          return;
        }
        case 'heartbeat': {
          if (!key) throw new StatementError('a heartbeat came before its key');
          const now = clock.now();
          const beat = readStatement('heartbeat', (value as { jws: string }).jws, key, now);
          if (beat.cluster !== world?.cluster || beat.epoch !== world.epoch) throw new StatementError('the heartbeat is of another world');
          if (beat.n > n) throw new StatementError(`the heartbeat says ${beat.n}, and ${n} was the last to come: something is missing`);
          freshness.heard(beat, clock.monotonicMs(), now.getTime());
          silentSince = clock.monotonicMs();
          unusable = undefined;
          faults = 0;
          look();
          return;
        }
        case 'end':
          lastFault = `the service ended the stream: ${streamEnd.parse(value).reason}`;
      }
    };
    try {
      await readEvents(streamOptions(`${followRevocations.path}${query}`, silenceMs, AbortSignal.any([stopping.signal, given.signal])), heard, () => undefined);
    } finally {
      clearInterval(watch);
    }
  }

  let faults = 0;
  async function run(): Promise<void> {
    while (!stopping.signal.aborted && unusable?.why !== 'other-cluster') {
      try {
        if (cursor === undefined) await takeSnapshot();
        await readStream();
      } catch (error) {
        if (stopping.signal.aborted) return;
        lastFault = faultOf(error);
        if (error instanceof ApiError) onRefusal(error);
        // Heartbeats cannot be believed and it stays so: what relates the clocks may be wrong, a snapshot begins anew.
        else if (error instanceof StatementError && freshness.ageMs(clock.monotonicMs()) > 2 * stalenessMs && options.since === undefined) cursor = undefined;
      }
      look();
      if (stopping.signal.aborted) return;
      turn++;
      // The first other replica is tried at once, or nearly: all readers of one that ended come at the same time.
      const most = Math.min(BACKOFF.mostMs, BACKOFF.firstMs * 2 ** faults++);
      await sleep(Math.random() * most, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  function onRefusal(error: ApiError): void {
    if (ANEW.includes(error.problem?.code)) {
      if (options.since !== undefined && !everOpen) fail(error);
      cursor = undefined;
      turn--;
      return;
    }
    if (error.status !== 401 && error.status !== 403) return;
    unusable = { why: 'refused', detail: error.message };
    if (!everOpen) fail(error);
  }

  const watch = setInterval(() => look(), WATCH_MS);
  const running = run();
  const feed: Feed = {
    judge(subject) {
      const { open: isOpen, why = 'stale', detail = '' } = state();
      if (!isOpen) return { allowed: false, why, detail: `${why}: deny: ${detail}` };
      const found = view.judge(typeof subject === 'string' ? { serial: subject } : subject);
      return found === undefined ? { allowed: true, n } : { allowed: false, why: found, detail: `${found}, as of ${n}` };
    },
    state,
    stops: () => view.stops(),
    async close() {
      if (stopping.signal.aborted) return;
      unusable = { why: 'closed', detail: 'it is followed no more' };
      stopping.abort();
      clearInterval(watch);
      await running;
      look();
      await acknowledger?.leave();
      for (const one of clients) one.close();
      clients = [];
    },
  };
  try {
    await Promise.race([opened, sleep(openWithinMs, undefined, { signal: stopping.signal, ref: false })]);
  } catch (error) {
    await feed.close();
    throw error;
  }
  return feed;
}

const faultOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
