/**
 * A small PKI under a fixed clock and fixed keys: Ed25519 from a seed, so that whole signed objects can be compared byte by byte.
 * Certificates are shaped as DESIGN §6 says; `change` bends one to show what a check refuses.
 */
import { createHash, createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { ALGORITHMS } from '../../src/x509/algorithms.ts';
import { parseCertificate, parseTbs, type Certificate } from '../../src/x509/certificate.ts';
import { encodeAuthorityInformationAccess } from '../../src/x509/extensions/authority-information-access.ts';
import { encodeAuthorityKeyIdentifier } from '../../src/x509/extensions/authority-key-identifier.ts';
import { encodeBasicConstraints } from '../../src/x509/extensions/basic-constraints.ts';
import { encodeCrlDistributionPoints } from '../../src/x509/extensions/crl-distribution-points.ts';
import { encodeExtendedKeyUsage } from '../../src/x509/extensions/extended-key-usage.ts';
import type { Extension } from '../../src/x509/extensions/extension.ts';
import { encodeKeyUsage } from '../../src/x509/extensions/key-usage.ts';
import { encodeOcspNoCheck } from '../../src/x509/extensions/ocsp-nocheck.ts';
import { encodeSubjectAlternativeName } from '../../src/x509/extensions/subject-alternative-name.ts';
import { encodeSubjectKeyIdentifier } from '../../src/x509/extensions/subject-key-identifier.ts';
import type { LintIssuer, LintSubject } from '../../src/x509/lint/index.ts';
import { encodeName } from '../../src/x509/names.ts';
import { parsePublicKey } from '../../src/x509/public-key.ts';
import { makeSerial } from '../../src/x509/serial.ts';
import { assembleCertificate, encodeTbs, type CertificateIntent } from '../../src/x509/tbs.ts';

export const NOW = new Date('2026-11-21T00:00:00Z');
export const daysFromNow = (days: number): Date => new Date(NOW.getTime() + days * 86_400_000);

export const TRUST_DOMAIN = 'signet.test';
export const AGENT_ID = '01KAJ3G5N8AAAAAAAAAAAAAAAA';
export const INSTANCE_ID = '01KAJ3G5N8BBBBBBBBBBBBBBBB';
export const SPIFFE_ID = `spiffe://${TRUST_DOMAIN}/agent/${AGENT_ID}`;

export interface TestKey {
  privateKey: KeyObject;
  spki: Buffer;
  keyIdentifier: Buffer;
  /** SHA-1 of the public key bits, as OCSP names keys. */
  sha1: Buffer;
  algorithm: Buffer;
  sign(data: Uint8Array): Buffer;
}

/** The Ed25519 key whose seed is the SHA-256 of `label`. */
export function testKey(label: string): TestKey {
  const seed = createHash('sha256').update(label).digest();
  const privateKey = createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    privateKey,
    spki,
    keyIdentifier: parsePublicKey(spki).keyIdentifier,
    sha1: createHash('sha1').update(spki.subarray(-32)).digest(),
    algorithm: ALGORITHMS.ed25519.signature.der,
    sign: (data) => sign(null, data, privateKey),
  };
}

export type Intent = CertificateIntent;
export type Change = (intent: Intent) => Partial<Intent>;

export interface TestCertificate {
  key: TestKey;
  certificate: Certificate;
}

export interface TestAuthority extends TestCertificate {
  name: Buffer;
}

const entropy = (label: string): Buffer => createHash('sha256').update(`serial of ${label}`).digest().subarray(0, 16);

interface Recipe {
  label: string;
  key: TestKey;
  issuerName: Buffer;
  notBefore: Date;
  notAfter: Date;
  extensions: Extension[];
  subject?: CertificateIntent['subject'];
}

const intentOf = (recipe: Recipe, signer: TestKey): Intent => ({
  serial: makeSerial(recipe.notAfter, entropy(recipe.label)),
  issuerName: recipe.issuerName,
  signatureAlgorithm: signer.algorithm,
  notBefore: recipe.notBefore,
  notAfter: recipe.notAfter,
  subject: recipe.subject ?? [{ type: 'CN', value: recipe.label }],
  spki: recipe.key.spki,
  extensions: recipe.extensions,
});

/** Signs an intent as it is, however wrong. */
export function issue(intent: Intent, signer: TestKey): Certificate {
  const tbs = encodeTbs(intent);
  return parseCertificate(assembleCertificate(tbs, intent.signatureAlgorithm, signer.sign(tbs)));
}

export function makeRoot(label = 'Test Root', change: Change = () => ({})): TestAuthority {
  const key = testKey(label);
  const name = encodeName([{ type: 'CN', value: label }]);
  const intent = rootIntent(label);
  return { key, name, certificate: issue({ ...intent, ...change(intent) }, key) };
}

export function rootIntent(label = 'Test Root'): Intent {
  const key = testKey(label);
  const extensions = [encodeSubjectKeyIdentifier(key.keyIdentifier), encodeKeyUsage(['keyCertSign', 'cRLSign']), encodeBasicConstraints({ ca: true })];
  return intentOf({ label, key, issuerName: encodeName([{ type: 'CN', value: label }]), notBefore: daysFromNow(-10), notAfter: daysFromNow(3650), extensions }, key);
}

export function issuingIntent(root: TestAuthority, label = 'Test Issuing CA'): Intent {
  const key = testKey(label);
  const extensions = [
    encodeAuthorityKeyIdentifier(root.key.keyIdentifier),
    encodeSubjectKeyIdentifier(key.keyIdentifier),
    encodeKeyUsage(['keyCertSign', 'cRLSign']),
    encodeBasicConstraints({ ca: true, pathLength: 0 }),
    encodeCrlDistributionPoints(['http://127.0.0.1:8080/crl/root/complete.crl']),
    encodeAuthorityInformationAccess({ caIssuers: ['http://127.0.0.1:8080/issuers/root.cer'] }),
  ];
  return intentOf({ label, key, issuerName: root.name, notBefore: daysFromNow(-5), notAfter: daysFromNow(365), extensions }, root.key);
}

export function makeIssuing(root: TestAuthority, label = 'Test Issuing CA', change: Change = () => ({})): TestAuthority {
  const intent = issuingIntent(root, label);
  return { key: testKey(label), name: encodeName([{ type: 'CN', value: label }]), certificate: issue({ ...intent, ...change(intent) }, root.key) };
}

export function leafIntent(issuer: TestAuthority, label = 'Test Agent'): Intent {
  const key = testKey(label);
  const extensions = [
    encodeAuthorityKeyIdentifier(issuer.key.keyIdentifier),
    encodeSubjectKeyIdentifier(key.keyIdentifier),
    encodeKeyUsage(['digitalSignature']),
    encodeExtendedKeyUsage(['clientAuth', 'serverAuth']),
    encodeBasicConstraints({ ca: false }),
    encodeSubjectAlternativeName({ uris: [SPIFFE_ID], dnsNames: ['agent.example.test'] }, false),
    encodeCrlDistributionPoints(['http://127.0.0.1:8080/crl/issuing/complete.crl']),
    encodeAuthorityInformationAccess({ ocsp: ['http://127.0.0.1:8080/ocsp'], caIssuers: ['http://127.0.0.1:8080/issuers/issuing.cer'] }),
  ];
  return intentOf({ label, key, issuerName: issuer.name, notBefore: new Date(NOW.getTime() - 60_000), notAfter: new Date(NOW.getTime() + 3_600_000), extensions }, issuer.key);
}

export function makeLeaf(issuer: TestAuthority, label = 'Test Agent', change: Change = () => ({})): TestCertificate {
  const intent = leafIntent(issuer, label);
  return { key: testKey(label), certificate: issue({ ...intent, ...change(intent) }, issuer.key) };
}

export function responderIntent(issuer: TestAuthority, label = 'Test OCSP Responder'): Intent {
  const key = testKey(label);
  const extensions = [
    encodeAuthorityKeyIdentifier(issuer.key.keyIdentifier),
    encodeSubjectKeyIdentifier(key.keyIdentifier),
    encodeKeyUsage(['digitalSignature']),
    encodeExtendedKeyUsage(['OCSPSigning']),
    encodeBasicConstraints({ ca: false }),
    encodeOcspNoCheck(),
  ];
  return intentOf({ label, key, issuerName: issuer.name, notBefore: daysFromNow(-1), notAfter: daysFromNow(6), extensions }, issuer.key);
}

export function makeResponder(issuer: TestAuthority): TestCertificate {
  return { key: testKey('Test OCSP Responder'), certificate: issue(responderIntent(issuer), issuer.key) };
}

/** What lints know of a CA that signs. */
export const lintIssuer = ({ key, certificate }: TestAuthority): LintIssuer => ({
  subjectName: certificate.subjectName,
  subjectKeyIdentifier: key.keyIdentifier,
  signatureAlgorithm: key.algorithm,
  notBefore: certificate.notBefore,
  notAfter: certificate.notAfter,
  pathLength: certificate.basicConstraints?.pathLength,
});

/** A subject for lints: the intent as it would be read back before signing. */
export const lintSubject = (kind: LintSubject['kind'], intent: Intent, issuer: TestAuthority): LintSubject => ({
  certificate: parseTbs(encodeTbs(intent)),
  kind,
  issuer: lintIssuer(issuer),
  expectedSpki: intent.spki,
  registration:
    kind === 'leaf'
      ? { agentId: AGENT_ID, instanceId: INSTANCE_ID, trustDomain: TRUST_DOMAIN, dnsNames: ['agent.example.test'], instanceInPath: false }
      : undefined,
});

/** The intent's extensions with those of `replacement`'s OIDs replaced, or added where there were none. */
export function withExtensions(intent: Intent, ...replacement: Extension[]): Extension[] {
  const kept = intent.extensions.map((extension) => replacement.find(({ oid }) => oid === extension.oid) ?? extension);
  return [...kept, ...replacement.filter((extension) => !kept.includes(extension))];
}

export const withoutExtension = (intent: Intent, oid: string): Extension[] => intent.extensions.filter((extension) => extension.oid !== oid);
