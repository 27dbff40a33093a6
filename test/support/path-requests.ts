/** What the path validator is asked in tests: certificates, lists and OCSP answers of the test PKI. */
import { createHash } from 'node:crypto';
import { createStore, readCertificate, validatePath, type PathRequest, type PathResult } from '../../src/verify/path/index.ts';
import { assembleCrl, encodeTbsCertList, type CrlEntry } from '../../src/x509/crl.ts';
import { nullValue, octetString, oid, sequence, unsignedInteger } from '../../src/x509/der/writer.ts';
import { encodeAuthorityKeyIdentifier } from '../../src/x509/extensions/authority-key-identifier.ts';
import { encodeCrlNumber } from '../../src/x509/extensions/crl-number.ts';
import type { Extension } from '../../src/x509/extensions/extension.ts';
import type { ForeignCertificate } from '../../src/x509/foreign/certificate.ts';
import { assembleOcspResponse, encodeOcspResponseData, type SingleStatus } from '../../src/x509/ocsp-response.ts';
import { OID } from '../../src/x509/oids.ts';
import { NOW, type TestAuthority, type TestCertificate, type TestKey } from './test-pki.ts';

type Given = { certificate: { der: Buffer } };

/** @throws Error for what cannot be read */
export function foreign({ der }: { der: Buffer }): ForeignCertificate {
  const certificate = readCertificate(der);
  if ('code' in certificate) throw new Error(certificate.message);
  return certificate;
}

export const storeOf = (given: readonly Given[]) => createStore(given.map(({ certificate }) => certificate.der));

/** Asks about `leaf` below `issuers`, the last of which is the anchor. */
export function judge(leaf: Given, issuers: readonly Given[], change: Partial<PathRequest> = {}): PathResult {
  return validatePath({ anchors: storeOf(issuers.slice(-1)), intermediates: storeOf(issuers.slice(0, -1)), leaf: foreign(leaf.certificate), time: NOW, ...change });
}

/** `valid`, or the code of the first reason. */
export const verdict = ({ valid, reasons }: PathResult): string => (valid ? 'valid' : (reasons[0]?.code ?? 'no reason'));
export const codes = ({ reasons }: PathResult): string[] => reasons.map(({ code }) => code);

export interface CrlChange {
  entries?: CrlEntry[];
  thisUpdate?: Date;
  nextUpdate?: Date;
  number?: bigint;
  extensions?: Extension[];
  key?: TestKey;
}

const HOUR_MS = 3_600_000;
const around = (hours: number) => new Date(NOW.getTime() + hours * HOUR_MS);

/** A complete list of `issuer`, valid now. */
export function crlOf(issuer: TestAuthority, { entries = [], thisUpdate = around(-1), nextUpdate = around(1), number = 7n, extensions = [], key = issuer.key }: CrlChange = {}): Buffer {
  const tbs = encodeTbsCertList({
    issuerName: issuer.name, signatureAlgorithm: key.algorithm, thisUpdate, nextUpdate, entries,
    extensions: [encodeAuthorityKeyIdentifier(issuer.key.keyIdentifier), encodeCrlNumber(number), ...extensions],
  });
  return assembleCrl(tbs, key.algorithm, key.sign(tbs));
}

export interface OcspChange {
  status?: SingleStatus;
  signer?: { key: TestKey; certificate?: { der: Buffer } };
  nonce?: Buffer;
  serial?: Buffer;
  hash?: 'sha1' | 'sha256';
  thisUpdate?: Date;
  nextUpdate?: Date;
  signature?: Buffer;
  /** Said of the same certificate before that. */
  before?: { status: SingleStatus; nextUpdate: Date }[];
}

/** What a responder says of `leaf`; by default good, by the issuer itself, valid now. */
export function ocspOf(leaf: TestCertificate, issuer: TestAuthority, change: OcspChange = {}): Buffer {
  const { status = { status: 'good' }, signer = { key: issuer.key }, nonce, serial = leaf.certificate.serial, hash = 'sha1', thisUpdate = around(-1), nextUpdate = around(1) } = change;
  const digest = (octets: Uint8Array) => octetString(createHash(hash).update(octets).digest());
  const certId = sequence(sequence(oid(hash === 'sha1' ? OID.sha1 : OID.sha256), nullValue()), digest(issuer.name), digest(issuer.key.spki.subarray(-32)), unsignedInteger(serial));
  const responses = [...(change.before ?? []), { status, nextUpdate }].map((one) => ({ certId, certStatus: one.status, thisUpdate, nextUpdate: one.nextUpdate }));
  const data = encodeOcspResponseData({ responderKeyHash: signer.key.sha1, producedAt: thisUpdate, nonce, responses });
  return assembleOcspResponse(data, signer.key.algorithm, change.signature ?? signer.key.sign(data), signer.certificate ? [signer.certificate.der] : []);
}
