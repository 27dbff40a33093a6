import type { Clock } from '../../core/clock.ts';
import type { LogTrust } from '../../verify/log/issuance-proof.ts';
import type { FollowOptions } from '../feed/follow-feed.ts';
import type { Peer } from './decision.ts';
import type { DoorOptions } from './doors.ts';

/**
 * Where the roots come from:
 * PEM, as it is given; `file`: a file of PEM that is read again when it changes; `url`: the status door, believed by the SHA-256 fingerprint of a root.
 */
export type TrustBundleSource = string | { pem: string } | { file: string } | { url: string; fingerprint: string };

/** Whom to believe about the log, and who is asked. */
export interface LogOptions extends LogTrust {
  /** Doors that give proofs, with a credential that may ask for status: by default those of the feed. */
  from?: DoorOptions | undefined;
  /** How long a certificate that is so new that the log has it not yet is waited for, milliseconds; 5,000. */
  waitMs?: number;
}

export interface RelyingPartyOptions {
  trustBundle: TrustBundleSource;
  /** The only trust domain whose SPIFFE IDs are accepted. */
  trustDomain: string;
  /** The live feed. Without it status is asked of OCSP and lists. `stalenessMs`: so long without a heartbeat, and it counts as down; 5,000. */
  feed?: Pick<FollowOptions, 'urls' | 'token' | 'identity' | 'enforcementPoint' | 'stalenessMs' | 'clockToleranceMs' | 'openWithinMs'>;
  /** What happens to a peer whose status cannot be known: `closed` (default) refuses it, `open` lets it in, for `maxStalenessMs`. */
  mode?: 'closed' | 'open';
  /**
   * The oldest knowledge that may stand behind a decision, milliseconds; 1,200,000. Older OCSP answers and lists count as none. In mode `open` a peer is let in for so long after
   * the last answer of any kind that could be believed, or after the start.
   */
  maxStalenessMs?: number;
  /** Base URL of the status door, instead of the one in certificates: for a proxy, or another address of the same door. Paths stay those of the certificates. */
  statusUrl?: string;
  /** `false`: OCSP is never asked. By default it is when the feed is down. */
  ocsp?: false;
  /**
   * `false`: lists are never fetched. By default they are when OCSP is down as well, and for issuing certificates, of which only lists tell: without lists the issuers' own status is not
   * asked. `maxBytes`: octets of a list; 67,108,864.
   */
  crl?: false | { maxBytes?: number };
  /** Asked for instance, owner and profile: by default the doors of the feed with its credential. `false`: never. */
  identity?: false | DoorOptions;
  /**
   * Only certificates are taken that are in the log of issuances: each is proven once, by the log key (`logKey`, of GET /tlog/key) and as many witnesses as `quorum` says. What a stolen
   * issuing key made is in no log. Nobody can be asked: as the mode says.
   */
  requireLogged?: LogOptions;
  /** API doors that tell of new roots, over TLS that present roots vouch for: by default those of the feed. `false`: roots stay what they are. */
  refreshFrom?: false | readonly string[];
  /** Between two looks for new roots, milliseconds; 300,000. */
  refreshMs?: number;
  /** Remembers the newest lists across restarts, so that an older one is not taken for news. Made when it is not there. */
  stateFile?: string;
  /** Issuing certificates that peers may leave out, PEM. */
  intermediates?: string;
  /** Your own rule about peers that are good otherwise. */
  accept?: (peer: Peer) => boolean;
  /** For one question to OCSP or for one list, milliseconds; 2,000. */
  timeoutMs?: number;
  /** Between two looks at all open connections, milliseconds; 5,000. What the feed tells is acted on at once. */
  sweepMs?: number;
  /** Certificates that are remembered; 10,000. */
  maxPeers?: number;
  /** Whenever `state()` changes in what it stands on. */
  onState?: (state: RelyingPartyState) => void;
  clock?: Clock;
}

/** Where the relying party stands. */
export interface RelyingPartyState {
  /** What decisions stand on now. `none`: nobody could be asked when it was last tried; the mode decides. */
  source: 'feed' | 'ocsp' | 'crl' | 'none';
  /** Since when, and why it is not the feed. */
  since: Date;
  why: string;
  /** Number of the last event of the feed that is applied; undefined without a feed. */
  n: number | undefined;
  /** The last number that the service confirmed. */
  acknowledged: number | undefined;
  /** Age of the newest knowledge of any kind, milliseconds; Infinity before the first. */
  stalenessMs: number;
  mode: 'closed' | 'open';
  /** This machine's clock less that of the service, as far as an answer told, milliseconds: a hint for people, nothing is decided by it. */
  clockAheadMs: number | undefined;
  trust: { roots: number; /** The last update that was kept out, and why. */ refused: string | undefined };
  /** Open connections to peers. */
  connections: number;
}

const DEFAULTS = { maxStalenessMs: 1_200_000, refreshMs: 300_000, timeoutMs: 2_000, sweepMs: 5_000, maxPeers: 10_000, maxListBytes: 67_108_864 } as const;

/** Options with everything filled in that has a default. */
export interface Settings extends RelyingPartyOptions {
  mode: 'closed' | 'open';
  maxStalenessMs: number;
  refreshMs: number;
  timeoutMs: number;
  sweepMs: number;
  maxPeers: number;
  maxListBytes: number;
}

export function settingsOf(options: RelyingPartyOptions): Settings {
  const { mode = 'closed', crl } = options;
  const settings = { ...DEFAULTS, ...options, mode, maxListBytes: (crl !== false && crl?.maxBytes) || DEFAULTS.maxListBytes };
  for (const name of Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]) if (!(settings[name] > 0)) throw new RangeError(`${name} must be above zero`);
  return settings;
}
