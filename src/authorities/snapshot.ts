import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { SignetError } from '../core/errors.ts';
import type { AuthorityRecord } from '../db/authorities.ts';
import type { KeyStore } from '../keystore/key-store.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { encodePem } from '../x509/pem.ts';
import { subjectPublicKeyBits } from '../x509/public-key.ts';
import type { AuthoritySnapshot, FeedKey, Issuer, Responder, Root, TlsIdentity } from './authorities.ts';
import { issuerOf, lazyKey, responderOf, rootOf } from './authority-of.ts';

/** Everything that is not retired, in the order it was made, and the count of bundle changes. */
export interface StoredAuthority {
  records: readonly AuthorityRecord[];
  bundleSequence: number;
}

interface Deps {
  keyStore: KeyStore;
  clock: Clock;
}

/** @throws SignetError `internal` when what is stored is no authority: no active root */
export function buildSnapshot(deps: Deps, stored: StoredAuthority): AuthoritySnapshot {
  const { records, bundleSequence } = stored;
  const ofKind = (kind: AuthorityRecord['kind']) => records.filter((record) => record.kind === kind);
  const roots = ofKind('root').map((record) => rootOf(record, deps.keyStore));
  const issuing = ofKind('issuing').map((record) => issuerOf(record, deps.keyStore));
  const responders = ofKind('ocsp').map((record) => responderOf(record, deps.keyStore));
  const activeRoot = roots.find((root) => root.state === 'active');
  if (activeRoot === undefined) throw new SignetError('internal', 'the authority has no active root');

  const issuerById = (id: string) => issuing.find((issuer) => issuer.id === id);
  const rootById = (id: string) => roots.find((root) => root.id === id);
  const chains = new Map(issuing.map((issuer) => [issuer.id, chainOf(issuer, roots, ofKind('cross'))]));
  const chainFor = (issuerId: string) => chains.get(issuerId) ?? [];
  const chainPems = new Map([...chains].map(([issuerId, chain]) => [issuerId, chain.map((der) => encodePem('CERTIFICATE', der)).join('')]));
  const certIds = indexCertIds(issuing);
  const newestOf = new Map(responders.map(({ issuerId }) => [issuerId, newest(responders.filter((responder) => responder.issuerId === issuerId))]));
  return Object.freeze({
    roots,
    activeRoot,
    issuing,
    get active() {
      return usable(issuing.find((issuer) => issuer.state === 'active'), deps.clock.now());
    },
    tls: tlsOf(ofKind('tls').at(-1), chainFor),
    feed: feedOf(ofKind('feed').at(-1), deps.keyStore),
    bundleSequence,
    issuerById,
    rootById,
    chainFor,
    chainPemFor: (issuerId: string) => chainPems.get(issuerId) ?? '',
    responderFor: (issuerId: string) => newestOf.get(issuerId),
    byNameAndKeyHash: (algorithm: 'sha1' | 'sha256', nameHash: Uint8Array, keyHash: Uint8Array) => certIds.get(certIdKey(algorithm, nameHash, keyHash)),
  });
}

function usable(issuer: Issuer | undefined, now: Date): Issuer {
  if (issuer !== undefined && issuer.revokedAt === null && issuer.notAfter > now) return issuer;
  throw new SignetError('issuer-unavailable', 'there is no issuing authority in force; an operator must rotate it', { retryAfterSeconds: 30 });
}

/** The issuer, then its root under every older root that still lives: a relying party that knows only one of them finds its path. */
function chainOf(issuer: Issuer, roots: readonly Root[], crosses: readonly AuthorityRecord[]): Buffer[] {
  const root = roots.find((candidate) => candidate.id === issuer.issuerId);
  const cross = crosses.filter((record) => root !== undefined && record.ski.equals(root.keyIdentifier) && roots.some((signer) => signer.id === record.issuerId));
  return [issuer.der, ...cross.map((record) => record.der)];
}

const newest = (responders: readonly Responder[]): Responder | undefined =>
  responders.reduce<Responder | undefined>((best, one) => (best === undefined || one.notAfter >= best.notAfter ? one : best), undefined);

function tlsOf(record: AuthorityRecord | undefined, chainFor: (issuerId: string) => Buffer[]): TlsIdentity | undefined {
  if (record?.issuerId == null) return undefined;
  const { id, issuerId, keyId, der, notAfter } = record;
  const certificateChainPem = [der, ...chainFor(issuerId)].map((certificate) => encodePem('CERTIFICATE', certificate)).join('');
  return { id, issuerId, keyId, certificate: parseCertificate(der), certificateChainPem, notAfter };
}

function feedOf(record: AuthorityRecord | undefined, keyStore: KeyStore): FeedKey | undefined {
  if (record?.issuerId == null) return undefined;
  const { id, issuerId, der, notAfter } = record;
  return { id, issuerId, key: lazyKey(keyStore, record, parseCertificate(der).spki), der, notAfter };
}

const certIdKey = (algorithm: string, nameHash: Uint8Array, keyHash: Uint8Array): string =>
  `${algorithm} ${latin1(nameHash)} ${latin1(keyHash)}`;

const latin1 = (octets: Uint8Array): string => Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1');

function indexCertIds(issuing: readonly Issuer[]): Map<string, Issuer> {
  const index = new Map<string, Issuer>();
  for (const issuer of issuing) {
    const keyBits = subjectPublicKeyBits(issuer.certificate.spki);
    for (const algorithm of ['sha1', 'sha256'] as const) {
      const hash = (data: Buffer) => createHash(algorithm).update(data).digest();
      index.set(certIdKey(algorithm, hash(issuer.nameDer), hash(keyBits)), issuer);
    }
  }
  return index;
}
