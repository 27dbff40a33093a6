import type { Clock } from '../../core/clock.ts';
import type { Certificate } from '../../x509/certificate.ts';
import type { Feed } from '../feed/follow-feed.ts';
import type { NotGood } from '../feed/view.ts';
import type { StatusSource } from './decision.ts';
import type { Settings } from './options.ts';
import { hasNoRevocation, type TrustedPath } from './path.ts';
import { NothingSaid, type Said, type Source } from './sources.ts';

/** Whose status is asked: a certificate with its path, and what else is known of its holder. */
export interface StatusSubject {
  path: TrustedPath;
  agentId: string | undefined;
  instanceId: string | undefined;
  ownerId: string | undefined;
  /** What OCSP and lists said of the certificates of the path, by place. Kept with the subject, and only there. */
  said: (Said & { askedAtMs: number })[];
}

/** What is known, by what, and how old that is. */
export interface Known {
  status: 'good' | NotGood | 'unknown';
  source: StatusSource;
  ageMs: number;
  detail: string;
}

/** Answers whether a certificate is still good: from the feed, else OCSP, else lists, else as the mode says. */
export interface StatusJudge {
  /** At once, from what is known; undefined: somebody must be asked. */
  now(subject: StatusSubject): Known | undefined;
  /** @throws NothingSaid when it cannot be known and the mode is `closed` */
  ask(subject: StatusSubject): Promise<Known>;
  /** By what the last decision without a feed was made, and what went wrong before that. */
  last(): { source: 'ocsp' | 'crl' | 'none'; why: string };
  /** Age of the newest knowledge of any kind. */
  newestMs(): number;
}

export interface StatusNeeds {
  settings: Settings;
  clock: Clock;
  feed: () => Feed | undefined;
  sources: readonly Source[];
}

/** The worst that a feed has heard against anybody on the path: an issuer that is revoked takes what it issued along. */
function heard(from: Feed, { path, agentId, instanceId, ownerId }: StatusSubject): NotGood | undefined {
  const holder = { ...(agentId !== undefined && { agentId }), ...(instanceId !== undefined && { instanceId }), ...(ownerId !== undefined && { ownerId }) };
  for (const [index, { serial }] of path.certificates.entries()) {
    const found = from.known(index === 0 ? { ...holder, serial: serial.toString('hex') } : { serial: serial.toString('hex') });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** An answer of OCSP or of a list is not asked for again before. */
const ASK_AGAIN_MS = 5_000;
/** What ended for good: true however old it is. */
const FINAL: readonly (NotGood | undefined)[] = ['revoked', 'agent-retired', 'instance-revoked'];

export function createStatusJudge({ settings, clock, feed, sources }: StatusNeeds): StatusJudge {
  const { maxStalenessMs, mode } = settings;
  /** When anything was last believed, by both clocks: a machine that slept counts that, too. */
  let believed = { wallMs: clock.now().getTime(), monotonicMs: clock.monotonicMs() };
  let everBelieved = false;
  let last: { source: 'ocsp' | 'crl' | 'none'; why: string } = { source: 'none', why: 'nobody was asked yet' };

  const sinceBelieved = (): number => Math.max(clock.now().getTime() - believed.wallMs, clock.monotonicMs() - believed.monotonicMs);
  const believe = (ageMs: number): void => {
    if (everBelieved && sinceBelieved() <= ageMs) return;
    everBelieved = true;
    believed = { wallMs: clock.now().getTime() - ageMs, monotonicMs: clock.monotonicMs() - ageMs };
  };

  const ageOf = ({ thisUpdate }: Said): number => Math.max(0, clock.now().getTime() - thisUpdate.getTime());
  /** A list of issuers comes rarely, and is good for as long as it says; what is said of the leaf must also be young enough. */
  const isUsable = (said: Said, index: number): boolean => (said.nextUpdate === undefined || said.nextUpdate >= clock.now()) && (index > 0 || ageOf(said) <= maxStalenessMs);

  /** Whether somebody is to be asked: not of a leaf that lives too short, nor of an issuer where only lists would tell, and none are to be fetched. */
  const isAsked = (certificate: Certificate, index: number): boolean =>
    index === 0 ? !hasNoRevocation(certificate) : settings.crl !== false || (certificate.authorityInformationAccess?.ocsp.length ?? 0) > 0;

  function fromSaid(subject: StatusSubject, isFreshEnough: (said: Said & { askedAtMs: number }) => boolean): Known | undefined {
    for (const [index, certificate] of subject.path.certificates.slice(0, -1).entries()) {
      const said = subject.said[index];
      if (said?.status === 'revoked') return { status: 'revoked', source: said.source, ageMs: ageOf(said), detail: `revoked, as ${said.source} said for ${said.thisUpdate.toISOString()}` };
      if (!isAsked(certificate, index)) continue;
      if (!said || !isUsable(said, index) || !isFreshEnough(said)) return undefined;
      if (said.status !== 'good') return { status: said.status, source: said.source, ageMs: ageOf(said), detail: `${said.status}, as ${said.source} said for ${said.thisUpdate.toISOString()}` };
    }
    const [leaf] = subject.said;
    if (!leaf) return { status: 'good', source: 'no-revocation', ageMs: 0, detail: 'it lives too short to be revoked (RFC 9608)' };
    return { status: 'good', source: leaf.source, ageMs: ageOf(leaf), detail: `good, as ${leaf.source} said for ${leaf.thisUpdate.toISOString()}` };
  }

  function now(subject: StatusSubject): Known | undefined {
    const from = feed();
    const state = from?.state();
    const found = from && heard(from, subject);
    if (state?.open === true) {
      believe(state.ageMs);
      return { status: found ?? 'good', source: 'feed', ageMs: state.ageMs, detail: `${found ?? 'good'}, as of ${state.n}` };
    }
    if (state?.why === 'closed') return undefined;
    if (found !== undefined && FINAL.includes(found)) return { status: found, source: 'feed', ageMs: state?.ageMs ?? 0, detail: `${found}, as the feed told before it was lost` };
    return fromSaid(subject, ({ askedAtMs }) => clock.monotonicMs() - askedAtMs <= ASK_AGAIN_MS);
  }

  async function askAbout(certificate: Certificate, issuer: Certificate, index: number): Promise<Said> {
    const faults: string[] = [];
    for (const source of sources) {
      try {
        const said = await source.ask(certificate, issuer);
        if (!isUsable(said, index)) throw new NothingSaid(`what ${said.source} says is of ${said.thisUpdate.toISOString()}, older than ${maxStalenessMs} ms`);
        if (index === 0) last = { source: said.source, why: faults.join('; ') };
        return said;
      } catch (error) {
        if (!(error instanceof NothingSaid)) throw error;
        faults.push(error.message);
      }
    }
    throw new NothingSaid(faults.join('; ') || 'neither OCSP nor lists are to be asked');
  }

  async function ask(subject: StatusSubject): Promise<Known> {
    const feedFault = feedFaultOf(feed());
    try {
      for (const [index, certificate] of subject.path.certificates.slice(0, -1).entries()) {
        const issuer = subject.path.certificates[index + 1];
        const held = subject.said[index];
        const isFresh = held !== undefined && clock.monotonicMs() - held.askedAtMs <= ASK_AGAIN_MS;
        if (!issuer || isFresh || !isAsked(certificate, index)) continue;
        subject.said[index] = { ...(await askAbout(certificate, issuer, index)), askedAtMs: clock.monotonicMs() };
      }
      const known = now(subject) ?? fromSaid(subject, () => true);
      if (!known) throw new NothingSaid('the answer is too old by now');
      believe(known.ageMs);
      return known;
    } catch (error) {
      if (!(error instanceof NothingSaid)) throw error;
      // An earlier answer still says what it said, for as long as it may.
      const known = now(subject) ?? fromSaid(subject, () => true);
      if (known) return known;
      const why = [feedFault, error.message].filter((one) => one !== undefined).join('; ');
      last = { source: 'none', why };
      return assume(why);
    }
  }

  function assume(why: string): Known {
    const ageMs = sinceBelieved();
    if (mode === 'open' && ageMs <= maxStalenessMs) return { status: 'good', source: 'assumed', ageMs, detail: `let in without knowing: ${why}` };
    throw new NothingSaid(mode === 'open' ? `${why}; and for ${Math.round(ageMs)} ms nothing was known, longer than ${maxStalenessMs}` : why);
  }

  return { now, ask, last: () => last, newestMs: () => (everBelieved ? sinceBelieved() : Infinity) };
}

function feedFaultOf(feed: Feed | undefined): string | undefined {
  if (!feed) return undefined;
  const { open, why, detail } = feed.state();
  return open ? undefined : `feed: ${why ?? 'closed'}: ${detail ?? ''}`;
}
