import { systemClock, type Clock } from '../../core/clock.ts';
import { createSystemRandom } from '../../core/random.ts';
import { followFeed, type Feed } from '../feed/follow-feed.ts';
import { ask, type Question, type Reply } from './ask.ts';
import { createConnections, type Connections } from './connections.ts';
import { refuse, type Decision } from './decision.ts';
import { createHolderSource, type HolderSource } from './holders.ts';
import { createListSource } from './list-source.ts';
import { createLogJudge, type LogJudge } from './logged.ts';
import { createOcspSource } from './ocsp-source.ts';
import { settingsOf, type RelyingPartyOptions, type RelyingPartyState, type Settings } from './options.ts';
import { createClientSide, type ClientSide } from './outgoing.ts';
import { createPeers, type Peers } from './peers.ts';
import { openSeenLists, type SeenLists } from './seen-lists.ts';
import { createServerSide, TLS_OPTIONS, type ServerSide } from './server.ts';
import type { Source } from './sources.ts';
import { createStatusJudge, type StatusJudge } from './status.ts';
import { openTrust, type Trust } from './trust.ts';

/** Judges who is at the other end of a connection, for as long as the connection lasts. */
export interface RelyingParty extends Pick<ServerSide, 'attach' | 'express'>, Pick<ClientSide, 'agent' | 'dispatcher' | 'connector' | 'connect'> {
  /** Options of tls.createServer, https.createServer and http2.createSecureServer; the server's own `key` and `cert` come beside them. */
  tlsOptions(): typeof TLS_OPTIONS;
  /** Judges the caller of a request or connection now: by what, and how old that is. */
  judge: ServerSide['judge'];
  /** Judges a certificate (DER, its issuers behind it) as a client. */
  judgeCertificate(chain: readonly Uint8Array[]): Promise<Decision>;
  /** Who is at the other end of a request or connection that was let in. */
  peerOf: ServerSide['peerOf'];
  state(): RelyingPartyState;
  /** Looks for new roots now. */
  refreshTrust(): Promise<void>;
  /** Stops following, and says goodbye. Everybody is refused from then on; open connections are the server's own to close. */
  close(): Promise<void>;
}

/** Further than this clocks are said to differ. */
const SKEW_MS = 60_000;
const OPEN_WITHIN_MS = 3_000;

/** What an instance is made of. */
interface Parts {
  settings: Settings;
  clock: Clock;
  feed: Feed | undefined;
  trust: Trust;
  status: StatusJudge;
  holders: HolderSource;
  log: LogJudge | undefined;
  connections: Connections;
  peers: Peers;
  seen: SeenLists;
  clockAheadMs: () => number | undefined;
  isClosed: boolean;
}

/** Asks, and notes how far this machine's clock is from the one that answered. */
function askWithClock(clock: Clock): { ask: (question: Question) => Promise<Reply>; aheadMs: () => number | undefined } {
  let aheadMs: number | undefined;
  return {
    async ask(question) {
      const reply = await ask(question);
      const theirs = Date.parse(reply.headers.date ?? '');
      if (!Number.isNaN(theirs)) aheadMs = clock.now().getTime() - theirs;
      return reply;
    },
    aheadMs: () => aheadMs,
  };
}

function hintOf(aheadMs: number | undefined): string {
  if (aheadMs === undefined || Math.abs(aheadMs) < SKEW_MS) return '';
  return `; this machine's clock is ${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} that of the authority: put it right`;
}

/** Where decisions come from now. */
function standingOf({ feed, status, seen }: Parts): { source: RelyingPartyState['source']; why: string } {
  const told = feed?.state();
  if (told?.open === true) return { source: 'feed', why: '' };
  const last = status.last();
  const why = [feed ? `feed: ${told?.why ?? 'closed'}: ${told?.detail ?? ''}` : 'there is no feed', last.why, seen.fault()].filter((one) => one !== undefined && one !== '').join('; ');
  return { source: last.source, why };
}

/**
 * A relying party: trusts the roots of the bundle, and knows who is good no more by the live feed, else by OCSP, else by lists. Resolves once the feed is open, or is
 * known not to be. @throws Error for a bundle that cannot be used, ApiError when the feed refuses the credential
 */
export async function createRelyingParty(options: RelyingPartyOptions): Promise<RelyingParty> {
  const settings = settingsOf(options);
  const { clock = systemClock, feed: follow, timeoutMs } = settings;
  const random = createSystemRandom();
  const seen = openSeenLists(settings.stateFile);
  const asking = askWithClock(clock);
  const needs = { ask: asking.ask, clock, random, timeoutMs, statusUrl: settings.statusUrl };
  // The feed tells of changes before all parts are there.
  const made: { parts?: Parts; trust?: Trust } = {};
  // Before anything is opened: options that cannot be are told at once.
  const { requireLogged } = settings;
  const log = requireLogged && createLogJudge({ clock, random, timeoutMs, settings, pem: () => made.trust?.pem() ?? '' }, { ...requireLogged, from: requireLogged.from ?? follow });
  const trust = await openTrust({
    source: settings.trustBundle, trustDomain: settings.trustDomain, refreshMs: settings.refreshMs, timeoutMs, ask: asking.ask, clock,
    refreshFrom: settings.refreshFrom === false ? [] : (settings.refreshFrom ?? follow?.urls ?? []),
    onChange: () => made.parts?.connections.judge(),
  });
  made.trust = trust;
  let feed: Feed | undefined;
  try {
    feed = follow && (await followFeed({
      openWithinMs: OPEN_WITHIN_MS, ...follow, trustBundle: () => trust.pem(), clock,
      onEvent: ({ serial }) => made.parts?.connections.judge(serial),
      onState: () => made.parts && changed(made.parts),
    }));
  } catch (error) {
    trust.close();
    throw error;
  }
  const sources: Source[] = [];
  if (settings.ocsp !== false) sources.push(createOcspSource(needs));
  if (settings.crl !== false) sources.push(createListSource(needs, { maxBytes: settings.maxListBytes, seen }));
  const status = createStatusJudge({ settings, clock, feed: () => feed, sources });
  const asked = settings.identity === false ? undefined : (settings.identity ?? follow);
  const holders = createHolderSource(needs, asked, () => trust.pem());
  const peers = createPeers({ settings, clock, trust, status, holders, log, clockHint: () => hintOf(asking.aheadMs()) });
  const guarded = whileOpen(peers, () => made.parts?.isClosed === true);
  const connections = createConnections(guarded, settings.sweepMs);
  const parts: Parts = { settings, clock, feed, trust, status, holders, log, connections, peers: guarded, seen, clockAheadMs: asking.aheadMs, isClosed: false };
  made.parts = parts;
  // The first look tells of the clock, too, and of roots that are new since the bundle was written.
  void trust.refresh();
  return assemble(parts);
}

/** Of a relying party that was closed nobody is let in: it hears of nothing any more. */
function whileOpen(peers: Peers, isClosed: () => boolean): Peers {
  const closed = (): Decision => refuse('status-unknown', 'the relying party was closed');
  return {
    recordOf: (chain, purpose) => peers.recordOf(chain, purpose),
    decideNow: (record) => (isClosed() ? closed() : peers.decideNow(record)),
    decide: (record) => (isClosed() ? Promise.resolve(closed()) : peers.decide(record)),
  };
}

function changed(parts: Parts): void {
  parts.connections.judge();
  tell(parts.settings.onState, describe(parts));
}

/** Whoever listens badly must not end the feed that they listen to. */
function tell(listener: ((state: RelyingPartyState) => void) | undefined, state: RelyingPartyState): void {
  try {
    listener?.(state);
  } catch (error) {
    process.emitWarning(`onState of a relying party has thrown: ${String(error)}`);
  }
}

const sinceOf = new WeakMap<Parts, { source: string; since: Date }>();

function describe(parts: Parts): RelyingPartyState {
  const { settings, clock, feed, trust, status, connections } = parts;
  const { source, why } = standingOf(parts);
  const before = sinceOf.get(parts);
  const since = before?.source === source ? before.since : clock.now();
  sinceOf.set(parts, { source, since });
  const told = feed?.state();
  return {
    source, since, why, n: told?.n, acknowledged: told?.acknowledged, stalenessMs: told?.open === true ? told.ageMs : status.newestMs(), mode: settings.mode,
    clockAheadMs: parts.clockAheadMs(), trust: { roots: trust.roots().length, refused: trust.refused() }, connections: connections.size,
  };
}

function assemble(parts: Parts): RelyingParty {
  const { peers, connections, feed, trust, holders, log } = parts;
  const server = createServerSide(peers, connections);
  const client = createClientSide(peers, connections);
  return {
    tlsOptions: () => TLS_OPTIONS,
    attach: (of) => server.attach(of),
    express: () => server.express(),
    agent: (of) => client.agent(of),
    dispatcher: (of) => client.dispatcher(of),
    connector: (of) => client.connector(of),
    connect: (to, of) => client.connect(to, of),
    judge: (caller) => server.judge(caller),
    async judgeCertificate(chain) {
      const record = peers.recordOf(chain, 'clientAuth');
      return 'allowed' in record ? record : peers.decide(record);
    },
    peerOf: (caller) => server.peerOf(caller) ?? ('getPeerX509Certificate' in caller ? client.peerOf(caller) : undefined),
    state: () => describe(parts),
    refreshTrust: () => trust.refresh(),
    async close() {
      parts.isClosed = true;
      connections.close();
      trust.close();
      holders.close();
      log?.close();
      await feed?.close();
    },
  };
}
