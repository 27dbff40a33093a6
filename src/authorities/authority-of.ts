import { SignetError } from '../core/errors.ts';
import type { AuthorityRecord } from '../db/authorities.ts';
import type { KeyStore, SigningKey } from '../keystore/key-store.ts';
import { ALGORITHMS, type KeyAlgorithm } from '../x509/algorithms.ts';
import { parseCertificate, type Certificate } from '../x509/certificate.ts';
import { encodePem } from '../x509/pem.ts';
import { assembleCertificate } from '../x509/tbs.ts';
import type { Authority, Issuer, Responder, Root } from './authorities.ts';
import type { SigningToken } from './prepare.ts';

/** First octet inside a TBSCertList: its version INTEGER. A TBSCertificate of version 3 begins with [0] there. */
const INTEGER_TAG = 0x02;

/** A key of the store that is opened when it first signs: most replicas never use the root's. */
export function lazyKey(keyStore: KeyStore, record: Pick<AuthorityRecord, 'keyId' | 'algorithm'>, spki: Buffer): SigningKey {
  return {
    id: record.keyId,
    algorithm: record.algorithm as KeyAlgorithm,
    spki,
    sign: async (data) => (await keyStore.open(record.keyId)).sign(data),
    signParts: async (parts) => (await keyStore.open(record.keyId)).signParts(parts),
  };
}

export function rootOf(record: AuthorityRecord, keyStore: KeyStore): Root {
  return { ...authorityOf(record, keyStore), kind: 'root' };
}

/** @throws SignetError `internal` for a row that names no signer */
export function issuerOf(record: AuthorityRecord, keyStore: KeyStore): Issuer {
  if (record.issuerId === null) throw new SignetError('internal', `issuer ${record.id} names no root`);
  return { ...authorityOf(record, keyStore), kind: 'issuing', issuerId: record.issuerId };
}

/** @throws SignetError `internal` for a row that names no signer */
export function responderOf(record: AuthorityRecord, keyStore: KeyStore): Responder {
  if (record.issuerId === null) throw new SignetError('internal', `responder ${record.id} names no issuer`);
  const certificate = parseCertificate(record.der);
  const key = lazyKey(keyStore, record, certificate.spki);
  const { id, issuerId, der, notBefore, notAfter } = record;
  return { id, issuerId, certificate, der, key, signatureAlgorithm: ALGORITHMS[key.algorithm].signature.der, notBefore, notAfter };
}

function authorityOf(record: AuthorityRecord, keyStore: KeyStore): Omit<Authority, 'kind'> {
  const certificate = parseCertificate(record.der);
  const key = lazyKey(keyStore, record, certificate.spki);
  const signatureAlgorithm = ALGORITHMS[key.algorithm].signature.der;
  return {
    id: record.id,
    state: record.state,
    issuerId: record.issuerId,
    certificate,
    der: record.der,
    pem: encodePem('CERTIFICATE', record.der),
    nameDer: certificate.subjectName,
    keyIdentifier: record.ski,
    signatureAlgorithm,
    notBefore: record.notBefore,
    notAfter: record.notAfter,
    revokedAt: record.revokedAt,
    shardCount: record.shardCount,
    lintFacts: lintFactsOf(certificate, record.ski, signatureAlgorithm),
    sign: (token) => signToken(key, certificate.subjectName, token),
    signCrl: (tbsCertList) => signCrl(key, tbsCertList),
  };
}

/** What lints measure a certificate of this signer against. */
export function lintFactsOf(
  certificate: Pick<Certificate, 'subjectName' | 'notBefore' | 'notAfter' | 'basicConstraints'>,
  keyIdentifier: Buffer,
  signatureAlgorithm: Buffer,
): Authority['lintFacts'] {
  const { subjectName, notBefore, notAfter, basicConstraints } = certificate;
  return { subjectName, subjectKeyIdentifier: keyIdentifier, signatureAlgorithm, notBefore, notAfter, pathLength: basicConstraints?.pathLength };
}

/**
 * Signs what a token holds, once, and returns the certificate.
 * @throws SignetError `internal` when the token was made for another issuer or algorithm, or was used
 */
export async function signToken(key: SigningKey, issuerName: Buffer, token: SigningToken): Promise<Buffer> {
  const { signature } = ALGORITHMS[key.algorithm];
  if (!issuerName.equals(token.intent.issuerName) || !signature.der.equals(token.intent.signatureAlgorithm)) {
    throw new SignetError('internal', 'a signing token names another issuer or algorithm');
  }
  const tbs = token.take();
  return assembleCertificate(tbs, signature.der, await key.sign(tbs));
}

/** A list is told from a certificate by its first field, so that this door cannot sign what was not linted (DESIGN invariant 2). */
const signCrl = (key: SigningKey, tbsCertList: AsyncIterable<Buffer>): Promise<Buffer> => key.signParts(onlyList(tbsCertList));

/** The same parts. @throws SignetError `internal` in place of the first, when it does not begin a TBSCertList */
async function* onlyList(parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let isFirst = true;
  for await (const part of parts) {
    const lengthOctets = (part[1] ?? 0) > 0x80 ? (part[1] ?? 0) & 0x7f : 0;
    if (isFirst && (part[0] !== 0x30 || part[2 + lengthOctets] !== INTEGER_TAG)) throw new SignetError('internal', 'not a TBSCertList');
    isFirst = false;
    yield part;
  }
  if (isFirst) throw new SignetError('internal', 'not a TBSCertList');
}
