/** Follows the live feed of a Signet, and answers whether somebody is still good: from memory, at once, and never from what may be out of date. */
import { setTimeout as sleep } from 'node:timers/promises';
import { feedEvent, followRevocations, getRevocationSnapshot, streamEnd, streamHeartbeat, streamHello, streamKey, type FeedEventAnswer } from '../../api/feed.ts';
import { systemClock, type Clock } from '../../core/clock.ts';
import { createSystemRandom } from '../../core/random.ts';
import { readStatement, StatementError, trustFeedKey, type TrustedFeedKey } from '../../verify/feed-statement.ts';
import { parseCertificate, type Certificate } from '../../x509/certificate.ts';
import { decodePemAll } from '../../x509/pem.ts';
import { ApiError, createApiClient, type ApiClient } from '../api-client.ts';
import { createAcknowledger, type Acknowledger } from './acknowledger.ts';
import { createFreshness, type Freshness } from './freshness.ts';
import type { ServerSentEvent } from './server-sent-events.ts';
import { createSnapshotReader } from './snapshot.ts';
import { readEvents, readLines, type StreamOptions } from './stream.ts';
import { createStatusView, type NotGood, type StatusView, type Subject } from './view.ts';

export interface FollowOptions {
  /** Base URLs of the doors of one cluster: API doors with a token, mutual TLS doors with an identity. One after the other is tried. */
  urls: readonly string[];
  /** Roots, PEM: the only thing that is trusted. A function is asked at each connection: the roots may change meanwhile. */
  trustBundle: string | (() => string);
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
  /** What was last heard against a subject, however old that is; undefined: nothing. What is revoked, retired or ended stays so: that is known without a live feed, too. */
  known(subject: Subject): NotGood | undefined;
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
const CALL_MS = 5_000;
/** A heartbeat comes each second: without an octet for longer the connection is given up. */
const SILENCE_LEAST_MS = 2_500;
const DAY_MS = 86_400_000;
/** After these a snapshot is taken: what is known is worth nothing. */
const ANEW: readonly (string | undefined)[] = ['feed-cursor-ahead', 'feed-cursor-expired', 'feed-other-world'];

interface World {
  cluster: string;
  epoch: number;
}

/** The roots, as TLS takes them and as chains end in them. */
interface Trust {
  pem: string;
  roots: readonly Certificate[];
}

function trustOf(trustBundle: FollowOptions['trustBundle']): () => Trust {
  let trust: Trust | undefined;
  return () => {
    const pem = typeof trustBundle === 'string' ? trustBundle : trustBundle();
    if (trust?.pem !== pem) trust = { pem, roots: decodePemAll(pem, 'CERTIFICATE').map((der) => parseCertificate(der)) };
    return trust;
  };
}

/** What following knows and where it stands. */
interface Following {
  readonly options: FollowOptions;
  readonly limits: { stalenessMs: number; clockToleranceMs: number };
  readonly clock: Clock;
  readonly trust: () => Trust;
  readonly freshness: Freshness;
  readonly stopping: AbortController;
  readonly acknowledger: Acknowledger | undefined;
  /** Called once: it is open, or may never be. */
  readonly opened: PromiseWithResolvers<void>;
  view: StatusView;
  n: number;
  world: World | undefined;
  /** Where to go on; undefined: a snapshot first. */
  cursor: string | undefined;
  unusable: { why: ClosedReason; detail: string } | undefined;
  lastFault: string;
  /** Which address is in use. */
  turn: number;
  /** Attempts that failed in a row. */
  faults: number;
  wasOpen: boolean;
  everOpen: boolean;
}

const urlOf = ({ options: { urls }, turn }: Following): string => urls[turn % urls.length] ?? '';

function stateOf({ options, limits, clock, freshness, unusable, lastFault, world, n, acknowledger }: Following): FeedState {
  const { stalenessMs } = limits;
  const ageMs = freshness.ageMs(clock.monotonicMs(), clock.now().getTime());
  const stale = ageMs > stalenessMs ? { why: 'stale' as const, detail: `what is known is older than ${stalenessMs} ms: ${lastFault}` } : undefined;
  const closed = unusable?.why === 'starting' ? { ...unusable, detail: `${unusable.detail}: ${lastFault}` } : (unusable ?? stale);
  const acknowledged = options.enforcementPoint === undefined ? undefined : acknowledger?.confirmed();
  return { open: closed === undefined, ...closed, cluster: world?.cluster, epoch: world?.epoch, n, ageMs, acknowledged };
}

/** Tells of a change of state. */
function look(self: Following, isNews = false): void {
  const now = stateOf(self);
  if (now.open !== self.wasOpen || isNews) self.options.onState?.(now);
  self.wasOpen = now.open;
  if (!now.open) return;
  self.everOpen = true;
  self.opened.resolve();
}

function applied(self: Following, n: number): void {
  self.n = n;
  if (!self.world) return;
  self.cursor = `${self.world.cluster}:${self.world.epoch}:${n}`;
  self.acknowledger?.applied(n, self.world);
}

function streamOptions(self: Following, path: string, silenceMs: number, signal: AbortSignal): StreamOptions {
  const { token, identity } = self.options;
  return { url: urlOf(self), path, trustBundle: self.trust().pem, token, identity, silenceMs, signal };
}

async function takeSnapshot(self: Following): Promise<void> {
  const { clock, world } = self;
  const reader = createSnapshotReader(self.trust().roots, () => clock.now());
  await readLines(streamOptions(self, getRevocationSnapshot.path, SNAPSHOT_SILENCE_MS, self.stopping.signal), (line) => reader.line(line));
  const { view, end } = reader.result();
  if (Math.abs(Date.parse(end.time) - clock.now().getTime()) > self.limits.clockToleranceMs) throw new StatementError(`the snapshot is of ${end.time}, too far from this machine's clock`);
  if (world && world.cluster !== end.cluster) {
    self.unusable = { why: 'other-cluster', detail: `cluster ${end.cluster} answers where ${world.cluster} did` };
    throw new StatementError(self.unusable.detail);
  }
  // In one epoch numbers only grow: an older snapshot than what is applied would let the revoked back in.
  if (world && (end.epoch < world.epoch || (end.epoch === world.epoch && end.n < self.n))) throw new StatementError(`the snapshot is of ${end.n} in epoch ${end.epoch}, older than what is applied`);
  self.view = view;
  self.world = { cluster: end.cluster, epoch: end.epoch };
  self.freshness.reset();
  applied(self, end.n);
  look(self, world?.epoch !== end.epoch);
}

/** Takes the events of one connection. `onBeat`: a heartbeat was believed. */
function hearing(self: Following, onBeat: () => void): (event: ServerSentEvent) => void {
  let key: TrustedFeedKey | undefined;
  let hello = false;

  function greet(value: unknown): void {
    const { cluster, epoch, n: from } = streamHello.parse(value);
    const { world, cursor, n } = self;
    if (world && (world.cluster !== cluster || world.epoch !== epoch)) throw new StatementError('the stream is of another world');
    if (cursor !== undefined && world && from !== n) throw new StatementError(`the stream begins after ${from}, not after ${n}`);
    self.world ??= { cluster, epoch };
    hello = true;
    applied(self, from);
  }

  function change(value: unknown): void {
    const event = feedEvent.parse(value);
    if (!hello || event.n !== self.n + 1) throw new StatementError(`event ${event.n} came after ${self.n}`);
    self.view.apply(event);
    applied(self, event.n);
    self.options.onEvent?.(event);
  }

  function beat(value: unknown): void {
    if (!key) throw new StatementError('a heartbeat came before its key');
    const now = self.clock.now();
    const { cluster, epoch, n, ...rest } = readStatement('heartbeat', streamHeartbeat.parse(value).jws, key, now);
    if (cluster !== self.world?.cluster || epoch !== self.world.epoch) throw new StatementError('the heartbeat is of another world');
    if (n > self.n) throw new StatementError(`the heartbeat says ${n}, and ${self.n} was the last to come: something is missing`);
    self.freshness.heard({ cluster, epoch, n, ...rest }, self.clock.monotonicMs(), now.getTime());
    // Once a day: a stream may go on for months, and what it holds is not to grow for as long.
    self.view.forgetEnded(Math.floor(now.getTime() / DAY_MS));
    self.unusable = undefined;
    self.faults = 0;
    onBeat();
    look(self);
  }

  return ({ name, data }) => {
    const value: unknown = JSON.parse(data);
    switch (name) {
      case 'hello':
        return greet(value);
      case 'key':
        key = trustFeedKey(streamKey.parse(value).x5c, self.trust().roots, self.clock.now());
        return;
      case 'change':
        return change(value);
      case 'heartbeat':
        return beat(value);
      case 'end':
        self.lastFault = `the service ended the stream: ${streamEnd.parse(value).reason}`;
    }
  };
}

async function readStream(self: Following): Promise<void> {
  const { clock, cursor, freshness, limits, stopping } = self;
  const query = cursor === undefined ? '' : `?since=${encodeURIComponent(cursor)}`;
  const givenUp = new AbortController();
  let beatAt = clock.monotonicMs();
  freshness.reconnected();
  // Events without a heartbeat that can be believed: another replica, and at last a snapshot, may do better.
  const watch = setInterval(() => {
    if (clock.monotonicMs() - beatAt > 2 * limits.stalenessMs) givenUp.abort(new StatementError(`no heartbeat for ${2 * limits.stalenessMs} ms`));
  }, WATCH_MS);
  const silenceMs = Math.max(SILENCE_LEAST_MS, Math.round(limits.stalenessMs / 2));
  try {
    await readEvents(streamOptions(self, `${followRevocations.path}${query}`, silenceMs, AbortSignal.any([stopping.signal, givenUp.signal])), hearing(self, () => (beatAt = clock.monotonicMs())));
  } finally {
    clearInterval(watch);
  }
}

function onFault(self: Following, error: unknown): void {
  self.lastFault = error instanceof Error ? error.message : String(error);
  if (error instanceof ApiError) {
    onRefusal(self, error);
    return;
  }
  // Heartbeats cannot be believed and it stays so: what relates the clocks may be wrong, a snapshot begins anew.
  const isLost = error instanceof StatementError && self.freshness.ageMs(self.clock.monotonicMs(), self.clock.now().getTime()) > 2 * self.limits.stalenessMs;
  if (isLost && self.options.since === undefined) self.cursor = undefined;
}

function onRefusal(self: Following, error: ApiError): void {
  if (ANEW.includes(error.problem?.code)) {
    if (self.options.since !== undefined && !self.everOpen) self.opened.reject(error);
    self.cursor = undefined;
    // Of the one that said so.
    self.turn--;
    return;
  }
  if (error.status !== 401 && error.status !== 403) return;
  self.unusable = { why: 'refused', detail: error.message };
  if (!self.everOpen) self.opened.reject(error);
}

async function run(self: Following): Promise<void> {
  const { signal } = self.stopping;
  while (!signal.aborted && self.unusable?.why !== 'other-cluster') {
    try {
      if (self.cursor === undefined) await takeSnapshot(self);
      await readStream(self);
    } catch (error) {
      if (signal.aborted) return;
      onFault(self, error);
    }
    look(self);
    self.turn++;
    // Nearly at once at first, and not all readers of one that ended at the same moment.
    const most = Math.min(BACKOFF.mostMs, BACKOFF.firstMs * 2 ** self.faults++);
    await sleep((most * randomByte()) / 255, undefined, { signal }).catch(() => undefined);
  }
}

const random = createSystemRandom();
const randomByte = (): number => random.bytes(1)[0] ?? 0;

/**
 * Follows the feed for as long as it is not closed: from a snapshot on, then live; heartbeats are believed only up to one of the roots. Resolves when it is open, or
 * closed still after `openWithinMs`: it goes on trying, and denies meanwhile. @throws ApiError when the first answer is that the credential may not follow
 */
export async function followFeed(options: FollowOptions): Promise<Feed> {
  const { stalenessMs = STALENESS_MS, clockToleranceMs = CLOCK_TOLERANCE_MS, openWithinMs = OPEN_WITHIN_MS, clock = systemClock, token, identity } = options;
  const limits = { stalenessMs, clockToleranceMs };
  const clients = new Map<string, { client: ApiClient; pem: string }>();
  const client = (): ApiClient => {
    const url = urlOf(self);
    const { pem } = trust();
    const known = clients.get(url);
    if (known?.pem === pem) return known.client;
    known?.client.close();
    const fresh = createApiClient({ url, trustBundle: pem, timeoutMs: CALL_MS, keepAlive: true, ...(token === undefined ? {} : { token }), ...(identity ? { identity } : {}) });
    clients.set(url, { client: fresh, pem });
    return fresh;
  };
  const trust = trustOf(options.trustBundle);
  trust();
  const self: Following = {
    options, limits, clock,
    trust,
    freshness: createFreshness(limits),
    stopping: new AbortController(),
    acknowledger: options.enforcementPoint === undefined ? undefined : createAcknowledger(options.enforcementPoint, client, () => randomByte() / 255),
    opened: Promise.withResolvers<void>(),
    view: createStatusView(), n: 0, world: undefined, cursor: options.since,
    unusable: { why: 'starting', detail: 'nothing is known yet' }, lastFault: 'no heartbeat came yet', turn: 0, faults: 0, wasOpen: false, everOpen: false,
  };
  const watch = setInterval(() => look(self), WATCH_MS);
  const running = run(self);
  const feed: Feed = {
    judge(subject) {
      const { open, why = 'stale', detail = '' } = stateOf(self);
      if (!open) return { allowed: false, why, detail: `${why}: deny: ${detail}` };
      const found = self.view.judge(typeof subject === 'string' ? { serial: subject } : subject);
      return found === undefined ? { allowed: true, n: self.n } : { allowed: false, why: found, detail: `${found}, as of ${self.n}` };
    },
    known: (subject) => self.view.judge(subject),
    state: () => stateOf(self),
    stops: () => self.view.stops(),
    async close() {
      if (self.stopping.signal.aborted) return;
      self.unusable = { why: 'closed', detail: 'it is followed no more' };
      self.stopping.abort();
      clearInterval(watch);
      await running;
      look(self);
      await self.acknowledger?.leave();
      for (const one of clients.values()) one.client.close();
    },
  };
  try {
    await Promise.race([self.opened.promise, sleep(openWithinMs, undefined, { signal: self.stopping.signal, ref: false })]);
  } catch (error) {
    await feed.close();
    throw error;
  }
  return feed;
}
