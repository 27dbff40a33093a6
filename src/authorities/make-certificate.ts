import { createHash } from 'node:crypto';
import { SignetError } from '../core/errors.ts';
import { ulid, type Random } from '../core/random.ts';
import type { AuthorityKind, AuthorityRecord, StoredState } from '../db/authorities.ts';
import type { KeyPurpose, KeyStore, SigningKey } from '../keystore/key-store.ts';
import { ALGORITHMS, type KeyAlgorithm } from '../x509/algorithms.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { Extension } from '../x509/extensions/extension.ts';
import type { LintSubject } from '../x509/lint/index.ts';
import { encodeName, nameToString, type NameAttribute } from '../x509/names.ts';
import { parsePublicKey } from '../x509/public-key.ts';
import { makeSerial } from '../x509/serial.ts';
import type { CertificateIntent } from '../x509/tbs.ts';
import type { Authority, Root } from './authorities.ts';
import { issuerOf, rootOf, signToken } from './authority-of.ts';
import { crossCheck } from './cross-check.ts';
import { prepare } from './prepare.ts';
import {
  authorityName, crossExtensions, feedExtensions, issuingExtensions, responderExtensions, rootExtensions, tlsExtensions, type AuthorityConfig, type TlsNames,
} from './templates.ts';

/** What it takes to make certificates of the CA. Nothing is stored but keys: a key without a certificate is harmless. */
export interface Maker {
  readonly config: AuthorityConfig;
  readonly keyStore: KeyStore;
  readonly random: Random;
}

const MS_PER_DAY = 86_400_000;

interface Plan {
  id: string;
  kind: AuthorityKind;
  state: StoredState;
  subject: NameAttribute[];
  key: { id: string; algorithm: SigningKey['algorithm']; spki: Buffer };
  keyIdentifier: Buffer;
  validityDays: number;
  extensions: Extension[];
  shardCount: number;
}

/** A new self-signed root with a key of its own. */
export async function makeRoot(maker: Maker, state: StoredState, now: Date): Promise<{ record: AuthorityRecord; root: Root }> {
  const { id, key, keyIdentifier } = await newKey(maker, 'root', now);
  const subject = authorityName(maker.config.organization, 'Root CA', id);
  const plan: Plan = {
    id, kind: 'root', state, subject, key, keyIdentifier, validityDays: maker.config.rootValidityDays, extensions: rootExtensions(keyIdentifier), shardCount: 1,
  };
  const { notBefore, notAfter } = validityOf(maker, plan, undefined, now);
  const name = encodeName(subject);
  const signatureAlgorithm = ALGORITHMS[key.algorithm].signature.der;
  const intent = intentOf(maker, plan, { issuerName: name, signatureAlgorithm, notBefore, notAfter });
  const own: LintSubject['issuer'] = { subjectName: name, subjectKeyIdentifier: keyIdentifier, signatureAlgorithm, notBefore, notAfter, pathLength: undefined };
  const token = prepare(intent, { kind: 'root', issuer: own, expectedSpki: key.spki });
  const der = await signToken(await maker.keyStore.open(key.id), name, token);
  await crossCheck(der, intent, undefined);
  const record = recordOf(plan, null, intent, der, now);
  return { record, root: rootOf(record, maker.keyStore) };
}

/** A new issuing CA under a root. */
export async function makeIssuing(maker: Maker, root: Authority, state: StoredState, now: Date): Promise<{ record: AuthorityRecord; issuer: Authority }> {
  const { id, key, keyIdentifier } = await newKey(maker, 'issuing', now);
  const record = await makeSigned(maker, root, now, {
    id, kind: 'issuing', state, key, keyIdentifier,
    subject: authorityName(maker.config.organization, 'Issuing CA', id),
    validityDays: maker.config.issuerValidityDays,
    extensions: issuingExtensions(maker.config, root, keyIdentifier),
    shardCount: maker.config.crlShards,
  });
  return { record, issuer: issuerOf(record, maker.keyStore) };
}

/** The name and key of a new root, signed by an older one: whoever trusts only that one still finds a path. */
export async function makeCross(maker: Maker, olderRoot: Authority, newRoot: AuthorityRecord, now: Date): Promise<AuthorityRecord> {
  const certificate = parseCertificate(newRoot.der);
  return makeSigned(maker, olderRoot, now, {
    id: ulid(now, maker.random), kind: 'cross', state: 'active',
    key: { id: newRoot.keyId, algorithm: newRoot.algorithm as SigningKey['algorithm'], spki: certificate.spki },
    keyIdentifier: newRoot.ski,
    subject: certificate.subject,
    validityDays: maker.config.rootValidityDays,
    extensions: crossExtensions(maker.config, olderRoot, newRoot.ski),
    shardCount: 1,
  });
}

/** A delegated OCSP responder of an issuer, with a key of its own. */
export async function makeResponder(maker: Maker, issuer: Authority, now: Date): Promise<AuthorityRecord> {
  const { id, key, keyIdentifier } = await newKey(maker, 'ocsp', now);
  return makeSigned(maker, issuer, now, {
    id, kind: 'ocsp', state: 'active', key, keyIdentifier,
    subject: authorityName(maker.config.organization, 'OCSP Responder', id),
    validityDays: maker.config.responderValidityDays,
    extensions: responderExtensions(issuer, keyIdentifier),
    shardCount: 1,
  });
}

/** A TLS server certificate for Signet's own doors. */
export async function makeTls(maker: Maker, issuer: Authority, names: TlsNames, now: Date): Promise<AuthorityRecord> {
  const { id, key, keyIdentifier } = await newKey(maker, 'tls', now, tlsKeyAlgorithm(maker.config.authorityKeyAlgorithm));
  return makeSigned(maker, issuer, now, {
    id, kind: 'tls', state: 'active', key, keyIdentifier,
    subject: authorityName(maker.config.organization, 'TLS', id),
    validityDays: maker.config.tlsValidityDays,
    extensions: tlsExtensions(maker.config, issuer, keyIdentifier, names),
    shardCount: 1,
  });
}

/** A certificate for the key of the live feed. */
export async function makeFeedKey(maker: Maker, issuer: Authority, now: Date): Promise<AuthorityRecord> {
  const { id, key, keyIdentifier } = await newKey(maker, 'feed', now);
  return makeSigned(maker, issuer, now, {
    id, kind: 'feed', state: 'active', key, keyIdentifier,
    subject: authorityName(maker.config.organization, 'Feed', id),
    validityDays: maker.config.responderValidityDays,
    extensions: feedExtensions(issuer, keyIdentifier),
    shardCount: 1,
  });
}

/** The doors show an ECDSA key whatever their issuer signs with: browsers and other TLS stacks know no Ed25519 handshake signatures. */
const tlsKeyAlgorithm = (authority: KeyAlgorithm): KeyAlgorithm => (authority === 'ed25519' ? 'ecdsa-p256' : authority);

async function newKey(maker: Maker, purpose: KeyPurpose, now: Date, algorithm = maker.config.authorityKeyAlgorithm) {
  const key = await maker.keyStore.generate(algorithm, purpose);
  return { id: ulid(now, maker.random), key, keyIdentifier: parsePublicKey(key.spki).keyIdentifier };
}

async function makeSigned(maker: Maker, signer: Authority, now: Date, plan: Plan): Promise<AuthorityRecord> {
  if (plan.kind === 'root') throw new SignetError('internal', 'a root signs itself');
  const intent = intentOf(maker, plan, { issuerName: signer.nameDer, signatureAlgorithm: signer.signatureAlgorithm, ...validityOf(maker, plan, signer, now) });
  const der = await signer.sign(prepare(intent, { kind: plan.kind, issuer: signer.lintFacts, expectedSpki: plan.key.spki }));
  await crossCheck(der, intent, signer.der);
  return recordOf(plan, signer.id, intent, der, now);
}

/** Whole seconds; life counts from now, never from the back-dated notBefore, and stays inside the signer's (DESIGN invariant 15). */
function validityOf(maker: Maker, plan: Plan, signer: Authority | undefined, now: Date): { notBefore: Date; notAfter: Date } {
  const second = Math.floor(now.getTime() / 1000) * 1000;
  const notBefore = second - maker.config.authorityBackdateSeconds * 1000;
  const notAfter = second + plan.validityDays * MS_PER_DAY;
  return {
    notBefore: new Date(Math.max(notBefore, signer?.notBefore.getTime() ?? notBefore)),
    notAfter: new Date(Math.min(notAfter, signer?.notAfter.getTime() ?? notAfter)),
  };
}

function intentOf(maker: Maker, plan: Plan, rest: Pick<CertificateIntent, 'issuerName' | 'signatureAlgorithm' | 'notBefore' | 'notAfter'>): CertificateIntent {
  return { ...rest, serial: makeSerial(rest.notAfter, maker.random.bytes(16)), subject: plan.subject, spki: plan.key.spki, extensions: plan.extensions };
}

function recordOf(plan: Plan, issuerId: string | null, intent: CertificateIntent, der: Buffer, now: Date): AuthorityRecord {
  return {
    id: plan.id,
    kind: plan.kind,
    state: plan.state,
    issuerId,
    serial: Buffer.from(intent.serial),
    fingerprint: createHash('sha256').update(der).digest(),
    subject: nameToString(plan.subject),
    ski: plan.keyIdentifier,
    keyId: plan.key.id,
    algorithm: plan.key.algorithm,
    der,
    shardCount: plan.shardCount,
    notBefore: intent.notBefore,
    notAfter: intent.notAfter,
    createdAt: now,
    activatedAt: plan.state === 'active' ? now : null,
    retiringAt: null,
    revokedAt: null,
  };
}
