import type { Authorities, AuthoritySnapshot } from '../../authorities/authorities.ts';
import type { Clock } from '../../core/clock.ts';
import type { Metrics } from '../../core/metrics.ts';
import { signStatement, thumbprintOf } from '../../verify/feed-statement.ts';
import type { FeedFollower } from '../follower.ts';
import { MAX_FEED_AGE_MS } from '../status-reader.ts';
import { serverSentEvent } from './told.ts';

/** A signed heartbeat, as all readers get it. */
export interface Beat {
  n: bigint;
  octets: Buffer;
  key: ToldKey;
  /** Monotonic. */
  madeMs: number;
}

/** The certificate of the feed key, as readers get it before the first heartbeat by it. */
export interface ToldKey {
  thumbprint: string;
  octets: Buffer;
}

export interface Heartbeats {
  /**
   * Signs what the database confirmed last. False, and nothing is made: it confirmed nothing new, or too long ago, or there is no key. That silence is what makes
   * those who follow fail closed.
   */
  make(): Promise<boolean>;
  newest(): Beat | undefined;
}

/** The certificates that lead from the feed key to a root, base64 DER, as JWS has them (RFC 7515 §4.1.6). Undefined without a key. */
export function feedChain(snapshot: Pick<AuthoritySnapshot, 'feed' | 'chainFor'>): string[] | undefined {
  const { feed } = snapshot;
  return feed && [feed.der, ...snapshot.chainFor(feed.issuerId)].map((der) => der.toString('base64'));
}

/** A clock that goes back further than by this was set. */
const STEPPED_BACK_MS = 5_000;

export function createHeartbeats({ feed, authorities, clock, metrics }: { feed: FeedFollower; authorities: Pick<Authorities, 'snapshot'>; clock: Clock; metrics: Pick<Metrics, 'feedHeartbeats'> }): Heartbeats {
  let newest: Beat | undefined;
  let key: ToldKey | undefined;
  let lastTime = 0;

  /** From the snapshot that signs: another may be in place once it has signed. */
  function keyOf(snapshot: AuthoritySnapshot, der: Buffer): ToldKey {
    const thumbprint = thumbprintOf(der);
    if (key?.thumbprint !== thumbprint) key = { thumbprint, octets: serverSentEvent('key', { x5c: feedChain(snapshot) }) };
    return key;
  }

  return {
    async make() {
      const snapshot = authorities.snapshot();
      const signer = snapshot.feed;
      const { n, at } = feed.confirmed();
      // Strictly later than the one before: what was said once cannot be said again as news. A clock that was put back makes those who follow begin anew.
      const isNews = at.getTime() > lastTime || at.getTime() < lastTime - STEPPED_BACK_MS;
      if (!signer || feed.positionAgeMs() > MAX_FEED_AGE_MS || !isNews || signer.notAfter <= at) return false;
      const { clusterId: cluster, epoch } = feed.world;
      const madeMs = clock.monotonicMs();
      const jws = await signStatement('heartbeat', { cluster, epoch, n: Number(n), time: at.toISOString() }, { certificate: signer.der, key: signer.key });
      lastTime = at.getTime();
      metrics.feedHeartbeats.inc();
      newest = { n, octets: serverSentEvent('heartbeat', { jws }), key: keyOf(snapshot, signer.der), madeMs };
      return true;
    },
    newest: () => newest,
  };
}
