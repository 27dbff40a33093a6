import { describe, expect, test } from '@jest/globals';
import { open } from '../../../../src/x509/der/reader.ts';
import { boolean, context, contextPrimitive, generalizedTime, nullValue, octetString, oid, sequence, time } from '../../../../src/x509/der/writer.ts';
import { encodeAuthorityInformationAccess } from '../../../../src/x509/extensions/authority-information-access.ts';
import { encodeAuthorityKeyIdentifier } from '../../../../src/x509/extensions/authority-key-identifier.ts';
import { encodeBasicConstraints } from '../../../../src/x509/extensions/basic-constraints.ts';
import { encodeCrlDistributionPoints } from '../../../../src/x509/extensions/crl-distribution-points.ts';
import { encodeExtendedKeyUsage } from '../../../../src/x509/extensions/extended-key-usage.ts';
import type { Extension } from '../../../../src/x509/extensions/extension.ts';
import { encodeKeyUsage } from '../../../../src/x509/extensions/key-usage.ts';
import { encodeNoRevAvail } from '../../../../src/x509/extensions/no-rev-avail.ts';
import { encodeOcspNoCheck } from '../../../../src/x509/extensions/ocsp-nocheck.ts';
import { encodeSubjectAlternativeName } from '../../../../src/x509/extensions/subject-alternative-name.ts';
import { encodeSubjectKeyIdentifier } from '../../../../src/x509/extensions/subject-key-identifier.ts';
import { lintCertificate, LINTS, type CertificateKind, type LintSubject } from '../../../../src/x509/lint/index.ts';
import { encodeName } from '../../../../src/x509/names.ts';
import { OID } from '../../../../src/x509/oids.ts';
import { makeSerial } from '../../../../src/x509/serial.ts';
import {
  daysFromNow,
  INSTANCE_ID,
  issuingIntent,
  leafIntent,
  lintSubject,
  makeIssuing,
  makeRoot,
  NOW,
  responderIntent,
  rootIntent,
  SPIFFE_ID,
  testKey,
  withExtensions,
  withoutExtension,
  type Intent,
} from '../../../support/test-pki.ts';

const root = makeRoot();
const issuing = makeIssuing(root);

const tlsIntent = (): Intent => {
  const intent = leafIntent(issuing, 'Test Server');
  const names = encodeSubjectAlternativeName({ uris: [], dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] }, false);
  return { ...intent, extensions: withExtensions(intent, names, encodeExtendedKeyUsage(['serverAuth'])) };
};
const crossIntent = (): Intent => {
  const intent = issuingIntent(root, 'New Root');
  return { ...intent, extensions: withExtensions(intent, encodeBasicConstraints({ ca: true })) };
};
const ephemeralIntent = (): Intent => {
  const intent = leafIntent(issuing);
  const pointers = withExtensions(intent, encodeAuthorityInformationAccess({ caIssuers: ['http://127.0.0.1:8080/issuers/issuing.cer'] }), encodeNoRevAvail());
  return { ...intent, extensions: pointers.filter((extension) => extension.oid !== OID.crlDistributionPoints) };
};

const feedIntent = (): Intent => {
  const intent = responderIntent(issuing);
  return { ...intent, extensions: withExtensions({ ...intent, extensions: withoutExtension(intent, OID.ocspNoCheck) }, encodeExtendedKeyUsage(['jwt']), encodeNoRevAvail()) };
};

const INTENTS: Record<CertificateKind, () => Intent> = {
  leaf: () => leafIntent(issuing),
  issuing: () => issuingIntent(root),
  root: () => rootIntent(),
  cross: crossIntent,
  ocsp: () => responderIntent(issuing),
  tls: tlsIntent,
  feed: feedIntent,
};
const ISSUERS: Record<CertificateKind, typeof root> = { leaf: issuing, issuing: root, root, cross: root, ocsp: issuing, tls: issuing, feed: issuing };
const KINDS = Object.keys(INTENTS) as CertificateKind[];

/** A certificate of a kind that is right but for `change`. */
const changed = (kind: CertificateKind, change: (intent: Intent) => Partial<Intent>): LintSubject => {
  const intent = INTENTS[kind]();
  return lintSubject(kind, { ...intent, ...change(intent) }, ISSUERS[kind]);
};
const replaced = (kind: CertificateKind, ...extensions: Intent['extensions']) => changed(kind, (intent) => ({ extensions: withExtensions(intent, ...extensions) }));
const without = (kind: CertificateKind, id: string) => changed(kind, (intent) => ({ extensions: withoutExtension(intent, id) }));
const critical = (extension: Extension, isCritical = true) => ({ ...extension, critical: isCritical });
/** A subject whose parsed certificate is altered: what the reader would not let through, the lint must still see. */
const altered = (kind: CertificateKind, alter: (certificate: LintSubject['certificate']) => Partial<LintSubject['certificate']>): LintSubject => {
  const subject = changed(kind, () => ({}));
  return { ...subject, certificate: { ...subject.certificate, ...alter(subject.certificate) } };
};
const sans = (uris: string[], dnsNames: string[] = []) => encodeSubjectAlternativeName({ uris, dnsNames }, false);
const other = testKey('another key');
const CRL_URL = 'http://127.0.0.1:8080/crl/issuing/complete.crl';
const pointName = () => context(0, context(0, contextPrimitive(6, Buffer.from(CRL_URL))));
const replaceOctets = (octets: Buffer, from: Buffer, to: Buffer): Buffer => {
  const at = octets.indexOf(from);
  if (at < 0) throw new Error('nothing to replace');
  return Buffer.concat([octets.subarray(0, at), to, octets.subarray(at + from.length)]);
};

/** The TBSCertificate with its nth field (RFC 5280 §4.1) replaced. */
const withField = (tbs: Buffer, n: number, field: Buffer): Buffer => {
  const cursor = open(tbs).sequence('TBSCertificate');
  const fields: Buffer[] = [];
  while (!cursor.done) fields.push(cursor.next().raw);
  return sequence(...fields.with(n, field));
};
const withExplicitDefault = (extension: Extension) => sequence(oid(extension.oid), boolean(extension.critical), octetString(extension.value));

/** What each lint refuses. */
const FAILING: Record<string, [string, LintSubject][]> = {
  version: [['version 1', altered('leaf', () => ({ version: 1 }))]],
  'serial-number': [
    ['19 octets', changed('leaf', ({ serial }) => ({ serial: serial.subarray(0, 19) }))],
    ['another layout version', changed('leaf', ({ serial }) => ({ serial: Buffer.concat([Buffer.of(2), serial.subarray(1)]) }))],
    ['the bucket of another day', changed('leaf', () => ({ serial: makeSerial(daysFromNow(1), Buffer.alloc(16, 1)) }))],
    ['no entropy', changed('leaf', ({ notAfter }) => ({ serial: makeSerial(notAfter, Buffer.alloc(16)) }))],
  ],
  'signature-algorithm': [
    ['another than the issuer signs with', changed('leaf', () => ({ signatureAlgorithm: sequence(oid('1.2.840.10045.4.3.2')) }))],
    ['another outside', altered('leaf', () => ({ signatureAlgorithm: sequence(oid('1.2.840.10045.4.3.2')) }))],
  ],
  'issuer-name': [
    ['another name', changed('leaf', () => ({ issuerName: root.name }))],
    ['the same text in another string type', changed('leaf', ({ issuerName }) => ({ issuerName: replaceOctets(issuerName, Buffer.of(0x0c, 0x0f), Buffer.of(0x13, 0x0f)) }))],
    [
      'an empty name, though it is the issuer\'s',
      { ...changed('leaf', () => ({ issuerName: sequence() })), issuer: { ...changed('leaf', () => ({})).issuer, subjectName: sequence() } },
    ],
    ['a root of another name', changed('root', () => ({ subject: [{ type: 'CN', value: 'Other' }] }))],
  ],
  'validity-within-issuer': [
    ['before its issuer', changed('leaf', () => ({ notBefore: daysFromNow(-6) }))],
    ['after its issuer', changed('leaf', () => ({ notAfter: daysFromNow(366), serial: makeSerial(daysFromNow(366), Buffer.alloc(16, 1)) }))],
    ['upside down', changed('leaf', ({ notAfter }) => ({ notBefore: notAfter }))],
  ],
  'validity-encoding': [
    ['GeneralizedTime before 2050', altered('leaf', ({ tbs, notBefore, notAfter }) => ({ tbs: withField(tbs, 4, sequence(time(notBefore), generalizedTime(notAfter))) }))],
    ['half a second', altered('leaf', () => ({ notBefore: new Date(NOW.getTime() - 59_500) }))],
  ],
  'subject-name': [
    ['a CA without', changed('issuing', (intent) => ({ subject: [], extensions: withExtensions(intent, encodeSubjectAlternativeName({ uris: [SPIFFE_ID], dnsNames: [] }, true)) }))],
    ['empty beside an alternative name that is not critical', changed('leaf', () => ({ subject: [] }))],
    ['present beside a critical alternative name', replaced('leaf', encodeSubjectAlternativeName({ uris: [SPIFFE_ID], dnsNames: [] }, true))],
  ],
  'expected-key': [['another key', { ...changed('leaf', () => ({})), expectedSpki: other.spki }]],
  'duplicate-extensions': [['key usage twice', altered('leaf', ({ extensions }) => ({ extensions: [...extensions, ...extensions.slice(2, 3)] }))]],
  'unknown-critical-extensions': [
    ['an unknown one', replaced('leaf', { oid: '1.2.3.4', critical: true, value: nullValue() })],
    ['a known one', replaced('ocsp', critical(encodeOcspNoCheck()))],
  ],
  'authority-key-identifier': [
    ['missing', without('leaf', OID.authorityKeyIdentifier)],
    ['of another key', replaced('issuing', encodeAuthorityKeyIdentifier(other.keyIdentifier))],
    ['critical', replaced('leaf', critical(encodeAuthorityKeyIdentifier(issuing.key.keyIdentifier)))],
    ['with a serial beside the key', replaced('leaf', { ...encodeAuthorityKeyIdentifier(issuing.key.keyIdentifier), value: sequence(contextPrimitive(0, issuing.key.keyIdentifier), contextPrimitive(2, Buffer.of(1))) })],
    ['another in a root', replaced('root', encodeAuthorityKeyIdentifier(other.keyIdentifier))],
  ],
  'subject-key-identifier': [
    ['missing', without('leaf', OID.subjectKeyIdentifier)],
    ['of another key', replaced('leaf', encodeSubjectKeyIdentifier(other.keyIdentifier))],
    ['critical', replaced('leaf', critical(encodeSubjectKeyIdentifier(testKey('Test Agent').keyIdentifier)))],
  ],
  'key-usage': [
    ['missing', without('leaf', OID.keyUsage)],
    ['not critical', replaced('leaf', critical(encodeKeyUsage(['digitalSignature']), false))],
    ['a leaf that signs certificates', replaced('leaf', encodeKeyUsage(['digitalSignature', 'keyCertSign']))],
    ['a CA that signs no lists', replaced('issuing', encodeKeyUsage(['keyCertSign']))],
  ],
  'extended-key-usage': [
    ['missing in a leaf', without('leaf', OID.extendedKeyUsage)],
    ['OCSP signing in a leaf', replaced('leaf', encodeExtendedKeyUsage(['clientAuth', 'OCSPSigning']))],
    ['client authentication in a responder', replaced('ocsp', encodeExtendedKeyUsage(['OCSPSigning', 'clientAuth']))],
    ['any purpose', replaced('leaf', { oid: OID.extendedKeyUsage, critical: false, value: sequence(oid('2.5.29.37.0')) })],
    ['present in a CA', replaced('issuing', encodeExtendedKeyUsage(['clientAuth']))],
    ['critical', replaced('leaf', critical(encodeExtendedKeyUsage(['clientAuth'])))],
    ['repeated', replaced('leaf', encodeExtendedKeyUsage(['clientAuth', 'clientAuth']))],
  ],
  'basic-constraints': [
    ['missing', without('leaf', OID.basicConstraints)],
    ['a leaf that is a CA', replaced('leaf', encodeBasicConstraints({ ca: true }))],
    ['an issuing CA that is none', replaced('issuing', encodeBasicConstraints({ ca: false }))],
    ['an issuing CA without path length', replaced('issuing', encodeBasicConstraints({ ca: true }))],
    ['not critical in a CA', replaced('issuing', critical(encodeBasicConstraints({ ca: true, pathLength: 0 }), false))],
    ['a root with no room below', replaced('root', encodeBasicConstraints({ ca: true, pathLength: 0 }))],
    ['a cross-certificate with no room below', replaced('cross', encodeBasicConstraints({ ca: true, pathLength: 0 }))],
    ["longer than the issuer's", { ...changed('cross', () => ({})), issuer: { ...changed('cross', () => ({})).issuer, pathLength: 1 } }],
  ],
  'name-constraints': [['in a leaf', replaced('leaf', { oid: OID.nameConstraints, critical: false, value: sequence() })]],
  'subject-alternative-name': [
    ['missing', without('leaf', OID.subjectAlternativeName)],
    ['another agent', replaced('leaf', sans([SPIFFE_ID.replace(/A$/, 'B')]))],
    ['the instance in the path, unasked', replaced('leaf', sans([`${SPIFFE_ID}/instance/${INSTANCE_ID}`]))],
    ['two URIs', replaced('leaf', sans([SPIFFE_ID, SPIFFE_ID]))],
    ['no URI', replaced('leaf', sans([], ['agent.example.test']))],
    ['an unregistered DNS name', replaced('leaf', sans([SPIFFE_ID], ['signet.example.test']))],
    ['a DNS name twice', replaced('leaf', sans([SPIFFE_ID], ['agent.example.test', 'agent.example.test']))],
    ['an address', replaced('leaf', encodeSubjectAlternativeName({ uris: [SPIFFE_ID], dnsNames: [], ipAddresses: ['127.0.0.1'] }, false))],
    ['a leaf without registration', { ...changed('leaf', () => ({})), registration: undefined }],
    ['in a CA', replaced('issuing', sans([SPIFFE_ID]))],
    ['in a responder', replaced('ocsp', sans([], ['ocsp.example.test']))],
    ['a URI in a server certificate', replaced('tls', sans([SPIFFE_ID], ['localhost']))],
  ],
  'spiffe-id': [
    ['another trust domain', replaced('leaf', sans([SPIFFE_ID.replace('signet.test', 'signet.example')]))],
    ['no path', replaced('leaf', sans(['spiffe://signet.test']))],
    ['not SPIFFE', replaced('leaf', sans(['https://signet.test/agent']))],
    ['upper case', replaced('leaf', sans([SPIFFE_ID.replace('signet', 'Signet')]))],
    ['two', replaced('leaf', sans([SPIFFE_ID, `${SPIFFE_ID}/x`]))],
  ],
  'revocation-pointers': [
    ['a leaf without any', changed('leaf', (intent) => ({ extensions: withoutExtension(intent, OID.crlDistributionPoints) }))],
    ['a leaf with pointers and noRevAvail', replaced('leaf', encodeNoRevAvail())],
    ['a CA without CRL', without('issuing', OID.crlDistributionPoints)],
    ['a CA that points to OCSP', replaced('issuing', encodeAuthorityInformationAccess({ ocsp: ['http://127.0.0.1:8080/ocsp'] }))],
    ['noRevAvail in a CA', changed('issuing', (intent) => ({ extensions: [...withoutExtension(intent, OID.crlDistributionPoints), encodeNoRevAvail()] }))],
    ['pointers in a responder', replaced('ocsp', encodeAuthorityInformationAccess({ ocsp: ['http://127.0.0.1:8080/ocsp'] }))],
    ['a CRL distribution point without a URL', replaced('leaf', { oid: OID.crlDistributionPoints, critical: false, value: sequence(sequence()) })],
    ['a CRL distribution point that says more', replaced('leaf', { ...encodeCrlDistributionPoints([CRL_URL]), value: sequence(sequence(pointName(), contextPrimitive(1, Buffer.of(1, 6)))) })],
    ['a relative CRL URL', replaced('leaf', encodeCrlDistributionPoints(['/crl/issuing/complete.crl']))],
    ['another access method', replaced('leaf', { ...encodeAuthorityInformationAccess({}), value: sequence(sequence(oid('1.3.6.1.5.5.7.48.3'), contextPrimitive(6, Buffer.from(CRL_URL)))) })],
    ['noRevAvail with content', changed('leaf', () => ({ extensions: ephemeralIntent().extensions.map((one) => (one.oid === OID.noRevAvail ? { ...one, value: sequence() } : one)) }))],
    ['critical noRevAvail', changed('leaf', () => ({ extensions: ephemeralIntent().extensions.map((one) => (one.oid === OID.noRevAvail ? critical(one) : one)) }))],
  ],
  'ocsp-no-check': [
    ['missing in a responder', without('ocsp', OID.ocspNoCheck)],
    ['in a leaf', replaced('leaf', encodeOcspNoCheck())],
    ['not NULL', replaced('ocsp', { ...encodeOcspNoCheck(), value: octetString(Buffer.alloc(0)) })],
  ],
  'der-minimal': [
    ['an explicit default', altered('leaf', ({ tbs, extensions }) => ({ tbs: withField(tbs, 7, context(3, sequence(...extensions.map(withExplicitDefault)))) }))],
    ['octets behind the value of an extension', replaced('leaf', { oid: '1.2.3.4', critical: false, value: Buffer.of(5, 0, 0) })],
  ],
};

test.each(KINDS)('a %s certificate of the right shape passes every lint', (kind) => {
  expect(lintCertificate(changed(kind, () => ({})))).toEqual([]);
});

test('a leaf with noRevAvail instead of pointers passes every lint', () => {
  expect(lintCertificate(lintSubject('leaf', ephemeralIntent(), issuing))).toEqual([]);
});

test('a leaf with an empty subject and a critical alternative name passes every lint', () => {
  const names = encodeSubjectAlternativeName({ uris: [SPIFFE_ID], dnsNames: [] }, true);
  expect(lintCertificate(changed('leaf', (intent) => ({ subject: [], extensions: withExtensions(intent, names) })))).toEqual([]);
});

test('a leaf with its instance in the path passes where the profile says so, and only there', () => {
  const subject = replaced('leaf', sans([`${SPIFFE_ID}/instance/${INSTANCE_ID}`]));
  const registration = subject.registration && { ...subject.registration, instanceInPath: true };
  expect(lintCertificate({ ...subject, registration })).toEqual([]);
  expect(lintCertificate({ ...changed('leaf', () => ({})), registration }).map(({ lint }) => lint)).toEqual(['subject-alternative-name']);
});

test('an issuing CA fits under a root with path length 1', () => {
  const subject = changed('issuing', () => ({}));
  expect(lintCertificate({ ...subject, issuer: { ...subject.issuer, pathLength: 1 } })).toEqual([]);
  expect(lintCertificate({ ...subject, issuer: { ...subject.issuer, pathLength: 0 } }).map(({ lint }) => lint)).toEqual(['basic-constraints']);
});

describe.each(Object.entries(FAILING))('%s', (name, cases) => {
  test.each(cases)('refuses %s', (_, subject) => {
    expect(lintCertificate(subject).map(({ lint }) => lint)).toContain(name);
  });
});

test('every lint has a failing case, a name of its own and a section', () => {
  expect(LINTS.map(({ name }) => name).toSorted()).toEqual(Object.keys(FAILING).toSorted());
  for (const { reference } of LINTS) expect(reference).toMatch(/^(RFC \d+|X\.690|X509-SVID) §/);
});

test('a TBSCertificate that cannot be read is a fault, not an exception', () => {
  const faults = lintCertificate(altered('leaf', () => ({ tbs: Buffer.of(0x30, 0x80) })));
  expect(faults.map(({ lint }) => lint)).toEqual(['signature-algorithm', 'validity-encoding', 'der-minimal']);
  expect(faults[0]?.message).toMatch(/indefinite length/);
});

test('a fault says which lint, which section and what', () => {
  const subject = changed('leaf', () => ({ issuerName: encodeName([{ type: 'CN', value: 'Nobody' }]) }));
  expect(lintCertificate(subject)).toEqual([{ lint: 'issuer-name', reference: 'RFC 5280 §4.1.2.4', message: "issuer differs from the issuer's subject" }]);
});
