import { hash } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { parseCertificate, type Certificate } from '../../x509/certificate.ts';
import { DerError } from '../../x509/der/reader.ts';
import { codeOf, refuse, type Decision, type Peer, type Refused } from './decision.ts';
import type { HolderSource } from './holders.ts';
import type { LogJudge, LogStanding, LogSubject } from './logged.ts';
import type { Settings } from './options.ts';
import { readAgentName, validatePeer, type AgentName, type PathPurpose, type TrustedPath } from './path.ts';
import { createRecent, type Recent } from './recent.ts';
import { NothingSaid } from './sources.ts';
import type { Known, StatusJudge, StatusSubject } from './status.ts';
import type { Trust } from './trust.ts';

/** A certificate that was shown, with all that is known of it. One for all connections that show it. */
export interface PeerRecord {
  readonly leaf: Certificate;
  readonly purpose: PathPurpose;
  readonly serial: string;
  /** Under which roots it was judged, and when. */
  generation: number;
  triedMs: number;
  path: TrustedPath | Refused;
  readonly name: AgentName | Refused | undefined;
  subject: StatusSubject | undefined;
  readonly inLog: LogSubject;
  peer: Peer;
  deciding: Promise<Decision> | undefined;
  /** When the service may be asked for its holder again; Infinity: it told. */
  askHolderMs: number;
}

export interface Peers {
  /** The record of a certificate as a handshake shows it: DER, leaf first. */
  recordOf(chain: readonly Uint8Array[], purpose: PathPurpose): PeerRecord | Refused;
  /** What is thought of it now; undefined: somebody must be asked. */
  decideNow(record: PeerRecord): Decision | undefined;
  decide(record: PeerRecord): Promise<Decision>;
}

export interface PeersNeeds {
  settings: Settings;
  clock: Clock;
  trust: Trust;
  status: StatusJudge;
  holders: HolderSource;
  /** Undefined: the log is not asked. */
  log: LogJudge | undefined;
  /** What may be wrong when a time is. */
  clockHint: () => string;
}

/** Certificates that are looked at, of those a peer sends. */
const MAX_CHAIN = 10;
const MAX_LEARNED = 256;
/** A certificate that was not trusted is not judged again before. */
const JUDGE_AGAIN_MS = 1_000;
const ASK_HOLDER_AGAIN_MS = 10_000;

export function createPeers({ settings, clock, trust, status, holders, log, clockHint }: PeersNeeds): Peers {
  const records = createRecent<PeerRecord>(settings.maxPeers);
  /** Issuers that stood on a valid path: a resumed session brings none, and some peers send none. */
  const learned = createRecent<Certificate>(MAX_LEARNED);
  for (const issuer of readAll(settings.intermediates)) learned.set(fingerprintOf(issuer), issuer);

  function judgePath(record: PeerRecord, sent: readonly Certificate[]): void {
    const path = validatePeer(record.leaf, [...sent, ...learned.values()], trust.roots(), clock.now(), record.purpose);
    record.path = 'allowed' in path ? path : shared(path, learned);
    record.generation = trust.generation();
    record.triedMs = clock.monotonicMs();
    if ('allowed' in record.path) return;
    const { agentId, instanceId } = record.peer;
    record.subject ??= { path: record.path, agentId, instanceId, ownerId: undefined, said: [] };
    if (!isSamePath(record.subject.path, record.path)) record.subject = { ...record.subject, path: record.path, said: [] };
  }

  /** The path as of now: other roots, or an issuer that ended, may have changed it. */
  function pathNow(record: PeerRecord): TrustedPath | Refused {
    const now = clock.now();
    const isOutdated = record.generation !== trust.generation();
    const isOver = 'allowed' in record.path ? clock.monotonicMs() - record.triedMs > JUDGE_AGAIN_MS : now < record.path.notBefore || now > record.path.notAfter;
    if (isOutdated || isOver) judgePath(record, []);
    return record.path;
  }

  function decideNow(record: PeerRecord): Decision | undefined {
    const path = pathNow(record);
    if ('allowed' in path) return withHint(path, clockHint);
    if (record.name && 'allowed' in record.name) return record.name;
    const known = record.subject && status.now(record.subject);
    if (!known || !log || known.status !== 'good') return known && decisionOf(record.peer, known, settings);
    const standing = log.now(record.inLog);
    return standing && withLog(decisionOf(record.peer, known, settings), standing);
  }

  /** Fills in what only the service knows. Without it nobody is refused: what is not known is said. */
  async function learnHolder(record: PeerRecord): Promise<void> {
    if (holders.absent !== undefined || clock.monotonicMs() < record.askHolderMs) return;
    record.askHolderMs = clock.monotonicMs() + ASK_HOLDER_AGAIN_MS;
    try {
      const { instanceId, ownerId, profile } = await holders.of(record.serial);
      record.askHolderMs = Infinity;
      const owner = ownerId ?? undefined;
      record.peer = { ...record.peer, instanceId, ownerId: owner, profile, unknown: owner === undefined ? { ownerId: 'nobody owns the agent now' } : {} };
      if (record.subject) record.subject = { ...record.subject, instanceId, ownerId: owner };
    } catch (error) {
      if (!(error instanceof NothingSaid)) throw error;
      record.peer = { ...record.peer, unknown: unknownOf(record.peer, error.message) };
    }
  }

  async function decideSlowly(record: PeerRecord): Promise<Decision> {
    const first = decideNow(record);
    if (first?.allowed === false || !record.subject) return first ?? refuse('status-unknown', 'nothing is known of it');
    const [standing] = await Promise.all([log?.ask(record.inLog), record.name && learnHolder(record)]);
    const now = decideNow(record);
    if (now) return now;
    try {
      return withLog(decisionOf(record.peer, await status.ask(record.subject), settings), standing);
    } catch (error) {
      if (!(error instanceof NothingSaid)) throw error;
      return refuse('status-unknown', `whether it is still good cannot be known: ${error.message}${clockHint()}`, { peer: record.peer });
    }
  }

  return {
    recordOf(chain, purpose) {
      const [der, ...others] = chain;
      if (!der) return refuse('certificate-required', 'no certificate was shown');
      const key = `${purpose} ${hash('sha256', der)}`;
      const known = records.get(key);
      if (known && !('allowed' in pathNow(known))) return known;
      try {
        const record = known ?? recordFor(parseCertificate(der), purpose, settings.trustDomain, holders.absent);
        judgePath(record, others.slice(0, MAX_CHAIN).flatMap((sent) => learned.get(hash('sha256', sent)) ?? readQuietly(sent)));
        // Strangers make as many certificates as they like: they take nobody's place.
        if (!('allowed' in record.path)) records.set(key, record);
        return record;
      } catch (error) {
        if (error instanceof DerError) return refuse('certificate-malformed', `the certificate cannot be read: ${error.message}`);
        throw error;
      }
    },
    decideNow,
    decide: (record) => {
      const needsHolder = record.name !== undefined && holders.absent === undefined && clock.monotonicMs() >= record.askHolderMs;
      const now = needsHolder ? undefined : decideNow(record);
      if (now) return Promise.resolve(now);
      return (record.deciding ??= decideSlowly(record).finally(() => (record.deciding = undefined)));
    },
  };
}

/** One object for all who have the same issuer, which is known from now on. */
function shared(path: TrustedPath, learned: Recent<Certificate>): TrustedPath {
  const certificates = path.certificates.map((certificate, index) => {
    const isIssuer = index > 0 && index < path.certificates.length - 1;
    const known = isIssuer ? (learned.get(fingerprintOf(certificate)) ?? certificate) : certificate;
    if (isIssuer) learned.set(fingerprintOf(certificate), known);
    return known;
  });
  return { ...path, certificates };
}

const fingerprintOf = ({ der }: Certificate): string => hash('sha256', der);
const isSamePath = (one: TrustedPath, other: TrustedPath): boolean => one.certificates.length === other.certificates.length && one.certificates.every(({ der }, i) => other.certificates[i]?.der.equals(der) === true);

/** What a peer sends besides its certificate may be anything: what cannot be read helps nobody. */
function readQuietly(der: Uint8Array): Certificate[] {
  try {
    return [parseCertificate(der)];
  } catch (error) {
    if (error instanceof DerError) return [];
    throw error;
  }
}

function readAll(pem: string | undefined): Certificate[] {
  return (pem?.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((one) => parseCertificate(Buffer.from(one.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')));
}

function recordFor(leaf: Certificate, purpose: PathPurpose, trustDomain: string, absent: string | undefined): PeerRecord {
  const read = readAgentName(leaf, trustDomain);
  const name = read ?? (purpose === 'clientAuth' ? refuse('identity-not-accepted', 'the certificate has no SPIFFE ID') : undefined);
  const told = name && !('allowed' in name) ? name : undefined;
  const serial = leaf.serial.toString('hex');
  const bare = { spiffeId: told?.spiffeId, agentId: told?.agentId, instanceId: told?.instanceId, ownerId: undefined, profile: undefined, serial, fingerprint: fingerprintOf(leaf), notAfter: leaf.notAfter };
  return {
    leaf, purpose, serial, generation: 0, triedMs: 0, path: refuse('certificate-untrusted', 'it was not judged yet'), name, subject: undefined,
    peer: { ...bare, unknown: told ? unknownOf(bare, absent ?? 'not asked yet') : {} }, inLog: { der: leaf.der, fingerprint: bare.fingerprint, standing: undefined }, deciding: undefined, askHolderMs: 0,
  };
}

function unknownOf(peer: Pick<Peer, 'instanceId' | 'ownerId' | 'profile'>, why: string): Peer['unknown'] {
  const names = (['instanceId', 'ownerId', 'profile'] as const).filter((name) => peer[name] === undefined);
  return Object.fromEntries(names.map((name) => [name, why]));
}

function decisionOf(peer: Peer, { status, source, ageMs, detail }: Known, { accept }: Settings): Decision {
  if (status !== 'good') return refuse(codeOf(status), detail, { source, ageMs, peer });
  if (accept && !isAccepted(accept, peer)) return refuse('identity-not-accepted', 'the rule of this service does not accept it', { source, ageMs, peer });
  return { allowed: true, peer, source, ageMs, detail, logged: 'not-asked' };
}

/** Exactly true: what an asynchronous rule gives back is a promise, and that is no yes. Nor is a rule that throws: connections are judged where nobody would catch it. */
function isAccepted(accept: (peer: Peer) => unknown, peer: Peer): boolean {
  try {
    return accept(peer) === true;
  } catch {
    return false;
  }
}

/** What the log adds to a decision: who is refused anyhow stays it. */
function withLog(decision: Decision, standing: LogStanding | undefined): Decision {
  if (!decision.allowed || !standing) return decision;
  if (standing.is === 'refused') return { ...standing.refused, peer: decision.peer };
  return { ...decision, logged: standing.is, detail: standing.is === 'assumed' ? `${decision.detail}; ${standing.why}` : decision.detail };
}

const TIMES: readonly string[] = ['certificate-expired', 'certificate-not-yet-valid', 'certificate-untrusted'];

const withHint = (refused: Refused, hint: () => string): Refused => (TIMES.includes(refused.code) ? { ...refused, detail: refused.detail + hint() } : refused);
