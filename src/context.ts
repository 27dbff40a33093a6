import type { AdminTokens } from './admins/tokens.ts';
import type { Barrier } from './core/barrier.ts';
import type { Clock } from './core/clock.ts';
import type { Logger } from './core/log.ts';
import type { Metrics } from './core/metrics.ts';
import type { Random } from './core/random.ts';
import type { Siblings } from './core/siblings.ts';
import type { Config } from './config/schema.ts';
import type { Db } from './db/client.ts';
import type { JoinTokenQueue } from './db/join-tokens.ts';
import type { PresentationQueue } from './db/presented.ts';
import type { CommitQueue } from './issuance/commit-queue.ts';
import type { ExportingKeyStore, SecretSealer } from './keystore/key-store.ts';
import type { Limits } from './limits/limits.ts';
import type { Authorities } from './authorities/authorities.ts';
import type { Profiles } from './profiles/profile.ts';
import type { PinnedCertificates } from './relying-parties/pinned-certificates.ts';
import type { CrlPublisher } from './revocation/crl/publisher.ts';
import type { CrlStore } from './revocation/crl/crl-store.ts';
import type { FeedFollower } from './revocation/follower.ts';
import type { AcknowledgementQueue } from './revocation/live/acknowledgements.ts';
import type { LiveFeed } from './revocation/live/live-feed.ts';
import type { OcspResponder } from './revocation/ocsp/responder.ts';
import type { RevocationSignals } from './revocation/signals.ts';
import type { StatusReader } from './revocation/status-reader.ts';

/**
 * What every use case is given first: `useCase(ctx, origin, request)`. Built once by app.ts and never changed.
 * A function that needs less says so: `Pick<Context, 'db' | 'clock'>`.
 */
export interface Context {
  readonly config: Config;
  /** The service role's pool: cannot change audit rows or drop anything. */
  readonly db: Db;
  /** The owner role's pool: migrations and partition jobs only. The same as `db` when one role was given. */
  readonly ownerDb: Db;
  readonly keyStore: ExportingKeyStore;
  readonly sealer: SecretSealer;
  readonly authorities: Authorities;
  readonly profiles: Profiles;
  readonly signals: RevocationSignals;
  /** API tokens, kept for a second. */
  readonly adminTokens: AdminTokens;
  /** Client certificates of relying parties, kept for a second. */
  readonly pinnedCertificates: PinnedCertificates;
  /** Group commit of certificates. */
  readonly commits: CommitQueue;
  /** Looks up join tokens, batched. */
  readonly joinTokens: JoinTokenQueue;
  /** Records and looks up client certificates, batched. */
  readonly presentations: PresentationQueue;
  /** Where this process stands in the revocation feed. */
  readonly feed: FeedFollower;
  /** Whoever follows the feed over the wire, here. */
  readonly liveFeed: LiveFeed;
  /** Records acknowledgements of enforcement points, batched. */
  readonly acknowledgements: AcknowledgementQueue;
  /** How much one source, caller, agent or join token may ask. */
  readonly limits: Limits;
  readonly statuses: StatusReader;
  readonly ocsp: OcspResponder;
  /** The lists as this process serves them. */
  readonly crls: CrlStore;
  readonly publisher: CrlPublisher;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly barrier: Barrier;
  readonly siblings: Siblings;
}
