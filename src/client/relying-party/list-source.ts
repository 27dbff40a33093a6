import { hash } from 'node:crypto';
import { verifyCrl } from '../../verify/crl-signer.ts';
import type { Certificate } from '../../x509/certificate.ts';
import type { CertificateList } from '../../x509/crl.ts';
import { DerError } from '../../x509/der/reader.ts';
import { parseIssuingDistributionPoint } from '../../x509/extensions/issuing-distribution-point.ts';
import { OID } from '../../x509/oids.ts';
import { createSerialSet, type SerialSet } from '../serial-set.ts';
import { AskError } from './ask.ts';
import { createRecent } from './recent.ts';
import type { SeenLists } from './seen-lists.ts';
import { addressesOf, createOnce, createPatience, messageOf, NothingSaid, type Said, type Source, type SourceNeeds } from './sources.ts';

/** A list that is signed by the issuer, and not older than one that was seen. */
interface HeldList {
  entries: SerialSet;
  /** Addresses of its part of the certificates; empty: all of them. */
  uris: readonly string[];
  only: 'users' | 'authorities' | undefined;
  thisUpdate: Date;
  nextUpdate: Date;
  entityTag: string | undefined;
  askedAtMs: number;
}

const REVOKED = 1;
const HELD = 2;
/** CRLReasons (RFC 5280 §5.3.1): a hold, and the taking back of one in a list that still names it. */
const HOLD = 6;
const REMOVE_FROM_CRL = 8;
const MAX_LISTS = 64;
const MAX_SERIAL_BYTES = 20;
const ENTRIES_A_TURN = 10_000;
/** A list that was looked at is not asked for again before. */
const LOOK_EACH_MS = 5_000;
/** How far ahead of ours the clock of who made a list may be. */
const CLOCK_TOLERANCE_MS = 300_000;

export interface ListSourceOptions {
  maxBytes: number;
  seen: SeenLists;
}

/** CRLs over HTTP (RFC 5280 §6.3): complete, or the shard that a certificate names. Neither indirect lists nor deltas. */
export function createListSource(needs: SourceNeeds, { maxBytes, seen }: ListSourceOptions): Source {
  const { ask, clock, timeoutMs } = needs;
  const patience = createPatience(needs);
  const once = createOnce<HeldList>();
  const lists = createRecent<HeldList>(MAX_LISTS);

  async function fetchList(url: string, issuer: Certificate, held: HeldList | undefined): Promise<HeldList> {
    patience.assertWorthAsking(url);
    try {
      const reply = await ask({ url, maxBytes, timeoutMs, headers: held?.entityTag === undefined ? {} : { 'if-none-match': held.entityTag } });
      if (reply.status !== 200 && !(reply.status === 304 && held)) throw new AskError(`${url}: status ${reply.status}`);
      const list = reply.status === 304 && held ? { ...held, askedAtMs: clock.monotonicMs() } : await readList(reply.octets, issuer, reply.headers.etag);
      patience.answered(url);
      return list;
    } catch (error) {
      if (!(error instanceof AskError || error instanceof NothingSaid || error instanceof DerError)) throw error;
      patience.failed(url, messageOf(error));
      throw new NothingSaid(messageOf(error), { cause: error });
    }
  }

  async function readList(der: Buffer, issuer: Certificate, entityTag: string | undefined): Promise<HeldList> {
    if (issuer.keyUsage?.includes('cRLSign') === false) throw new NothingSaid('the issuer may not sign lists');
    const verified = verifyCrl(der, [{ certificate: issuer }]);
    if ('fault' in verified) throw new NothingSaid(`the list is not believed: ${verified.fault}`);
    const { list, uris } = verified;
    if (list.nextUpdate === undefined) throw new NothingSaid('the list does not say when the next one comes (RFC 5280 §5.1.2.5)');
    const point = list.extensions.find(({ oid }) => oid === OID.issuingDistributionPoint);
    const scope = point && parseIssuingDistributionPoint(point.value);
    const only = scope?.onlyContainsUserCerts === true ? 'users' : scope?.onlyContainsCaCerts === true ? 'authorities' : undefined;
    const name = [hash('sha256', issuer.spki), only ?? '', ...uris].join(' ');
    const now = { number: list.crlNumber?.toString(), thisUpdateMs: list.thisUpdate.getTime(), sha256: hash('sha256', list.der) };
    const fault = seen.faultOf(name, now);
    if (fault !== undefined) throw new NothingSaid(`the list is kept out: ${fault}`);
    const held = { entries: await entriesOf(list), uris, only, thisUpdate: list.thisUpdate, nextUpdate: list.nextUpdate, entityTag, askedAtMs: clock.monotonicMs() } as const;
    seen.saw(name, now);
    return held;
  }

  function sayOf(list: HeldList, certificate: Certificate): Said {
    const now = clock.now().getTime();
    if (list.nextUpdate.getTime() < now) throw new NothingSaid(`the list ended at ${list.nextUpdate.toISOString()}`);
    if (list.thisUpdate.getTime() > now + CLOCK_TOLERANCE_MS) throw new NothingSaid(`the list begins at ${list.thisUpdate.toISOString()}: compare the clocks`);
    const isAuthority = certificate.basicConstraints?.ca === true;
    if (list.only === (isAuthority ? 'users' : 'authorities')) throw new NothingSaid(`the list is of ${list.only} only`);
    const points = certificate.crlDistributionPoints ?? [];
    if (list.uris.length > 0 && !list.uris.some((uri) => points.includes(uri))) throw new NothingSaid('the list is of another part of the certificates');
    const found = list.entries.get(certificate.serial);
    const { thisUpdate, nextUpdate } = list;
    return { status: found === REVOKED ? 'revoked' : found === HELD ? 'held' : 'good', source: 'crl', thisUpdate, nextUpdate };
  }

  async function askAt(url: string, certificate: Certificate, issuer: Certificate): Promise<Said> {
    const name = `${hash('sha256', issuer.spki)} ${url}`;
    const held = lists.get(name);
    if (held && clock.monotonicMs() - held.askedAtMs < LOOK_EACH_MS) return sayOf(held, certificate);
    try {
      const fresh = await once(name, () => fetchList(url, issuer, held));
      lists.set(name, fresh);
      return sayOf(fresh, certificate);
    } catch (error) {
      // What is held says as much as it did, for as long as it says that it may.
      if (held && error instanceof NothingSaid) return sayOf(held, certificate);
      throw error;
    }
  }

  return {
    async ask(certificate, issuer) {
      const urls = addressesOf(certificate.crlDistributionPoints ?? [], needs.statusUrl);
      let fault = 'the certificate names no list';
      for (const url of urls) {
        try {
          return await askAt(url, certificate, issuer);
        } catch (error) {
          if (!(error instanceof NothingSaid)) throw error;
          fault = error.message;
        }
      }
      throw new NothingSaid(`CRL: ${fault}`);
    },
  };
}

/** A list of a million takes a second: others get their turn meanwhile. */
async function entriesOf(list: CertificateList): Promise<SerialSet> {
  const entries = createSerialSet();
  let read = 0;
  for (const { serial, reason, extensions } of list.entries()) {
    // Of another issuer (§5.3.3), or something nobody here can judge: such a list tells nothing.
    if (serial.length > MAX_SERIAL_BYTES || extensions.some(({ oid, critical }) => critical && oid !== OID.reasonCode)) throw new NothingSaid('the list has an entry that cannot be judged');
    if (++read % ENTRIES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    if (reason !== REMOVE_FROM_CRL) entries.set(serial, reason === HOLD ? HELD : REVOKED);
  }
  return entries;
}
