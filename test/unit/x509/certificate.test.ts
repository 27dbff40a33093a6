import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { X509Certificate as PeculiarCertificate } from '@peculiar/x509';
import fc from 'fast-check';
import * as pkijs from 'pkijs';
import { ALGORITHMS } from '../../../src/x509/algorithms.ts';
import { parseCertificate, parseTbs } from '../../../src/x509/certificate.ts';
import { DerError } from '../../../src/x509/der/reader.ts';
import { bitString, context, contextPrimitive, integer, nullValue, oid, sequence, time, unsignedInteger } from '../../../src/x509/der/writer.ts';
import { encodeExtensions, type Extension } from '../../../src/x509/extensions/extension.ts';
import { encodeNoRevAvail } from '../../../src/x509/extensions/no-rev-avail.ts';
import { encodeSubjectAlternativeName } from '../../../src/x509/extensions/subject-alternative-name.ts';
import { encodeName } from '../../../src/x509/names.ts';
import { OID } from '../../../src/x509/oids.ts';
import { decodePem, encodePem } from '../../../src/x509/pem.ts';
import { verifySignature } from '../../../src/x509/public-key.ts';
import { assembleCertificate, encodeTbs } from '../../../src/x509/tbs.ts';
import { AGENT_ID, daysFromNow, issue, leafIntent, makeIssuing, makeLeaf, makeRoot, NOW, SPIFFE_ID, testKey, withExtensions } from '../../support/test-pki.ts';

const root = makeRoot();
const issuing = makeIssuing(root);
const leaf = makeLeaf(issuing);

const dir = mkdtempSync(join(tmpdir(), 'signet-certificate-'));
afterAll(() => rmSync(dir, { recursive: true }));
const file = (name: string, der: Buffer): string => {
  writeFileSync(join(dir, name), encodePem('CERTIFICATE', der));
  return join(dir, name);
};
const openssl = (...args: string[]): string => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
const text = (der: Buffer): string => openssl('x509', '-in', file('shown.pem', der), '-noout', '-text', '-nameopt', 'RFC2253');

describe('encodeTbs and assembleCertificate', () => {
  test.each([
    ['root', root.certificate.der],
    ['issuing', issuing.certificate.der],
    ['leaf', leaf.certificate.der],
  ])('under a fixed clock and key the %s certificate is the same to the last octet', (name, der) => {
    expect(encodePem('CERTIFICATE', der)).toBe(readFileSync(join(import.meta.dirname, `fixtures/${name}.pem`), 'utf8'));
  });

  test('openssl reads in the leaf what was meant', () => {
    const shown = text(leaf.certificate.der).replaceAll(/\s+/g, ' ');
    for (const part of [
      'Version: 3 (0x2)',
      'Signature Algorithm: ED25519 Issuer: CN=Test Issuing CA',
      'Not Before: Nov 20 23:59:00 2026 GMT Not After : Nov 21 01:00:00 2026 GMT',
      'Subject: CN=Test Agent',
      'X509v3 Key Usage: critical Digital Signature X509v3',
      'X509v3 Extended Key Usage: TLS Web Client Authentication, TLS Web Server Authentication X509v3',
      'X509v3 Basic Constraints: CA:FALSE X509v3',
      `X509v3 Subject Alternative Name: URI:${SPIFFE_ID}, DNS:agent.example.test`,
      'X509v3 CRL Distribution Points: Full Name: URI:http://127.0.0.1:8080/crl/issuing/complete.crl',
      'OCSP - URI:http://127.0.0.1:8080/ocsp CA Issuers - URI:http://127.0.0.1:8080/issuers/issuing.cer',
    ]) {
      expect(shown).toContain(part);
    }
  });

  test('openssl verifies the chain strictly', () => {
    const verify = (certificate: Buffer, ...options: string[]) =>
      openssl(
        'verify', '-x509_strict', '-attime', String(NOW.getTime() / 1000), '-purpose', 'sslclient', ...options,
        '-CAfile', file('root.pem', root.certificate.der), '-untrusted', file('issuing.pem', issuing.certificate.der), file('leaf.pem', certificate),
      );
    expect(verify(leaf.certificate.der)).toMatch(/leaf.pem: OK/);
    const ephemeral = makeLeaf(issuing, 'Test Agent', (intent) => ({
      subject: [],
      extensions: withExtensions(intent, encodeSubjectAlternativeName({ uris: [SPIFFE_ID], dnsNames: [] }, true), encodeNoRevAvail()),
    }));
    expect(verify(ephemeral.certificate.der)).toMatch(/leaf.pem: OK/);
    expect(() => verify(makeLeaf(issuing, 'x', () => ({ notAfter: daysFromNow(-0.5) })).certificate.der)).toThrow(/certificate has expired/);
  });

  test('@peculiar/x509 reads the same values and verifies the signature', async () => {
    const certificate = new PeculiarCertificate(Uint8Array.from(leaf.certificate.der));
    const subtle = globalThis.crypto.subtle;
    expect(certificate.serialNumber).toBe(leaf.certificate.serial.toString('hex'));
    expect(certificate.subject).toBe('CN=Test Agent');
    expect(certificate.notAfter).toEqual(leaf.certificate.notAfter);
    expect(certificate.extensions.map(({ type, critical, value }) => ({ oid: type, critical, value: Buffer.from(value).toString('hex') }))).toEqual(
      leaf.certificate.extensions.map(({ oid: id, critical, value }) => ({ oid: id, critical, value: value.toString('hex') })),
    );
    const key = await subtle.importKey('spki', Uint8Array.from(issuing.certificate.spki), 'Ed25519', true, ['verify']);
    expect(await certificate.verify({ publicKey: key, signatureOnly: true }, globalThis.crypto)).toBe(true);
  });

  test('pkijs reads every part and writes the same octets', () => {
    const certificate = pkijs.Certificate.fromBER(Uint8Array.from(leaf.certificate.der));
    expect(certificate.version).toBe(2);
    expect(certificate.extensions?.map(({ extnID }) => extnID)).toEqual(leaf.certificate.extensions.map((extension) => extension.oid));
    expect(Buffer.from((certificate.toSchema(false) as { toBER(): ArrayBuffer }).toBER()).equals(leaf.certificate.der)).toBe(true);
  });
});

describe('parseCertificate', () => {
  test('reads every field of the leaf', () => {
    const { certificate } = leaf;
    expect({
      version: certificate.version,
      issuer: certificate.issuer,
      subject: certificate.subject,
      notBefore: certificate.notBefore.toISOString(),
      notAfter: certificate.notAfter.toISOString(),
      basicConstraints: certificate.basicConstraints,
      keyUsage: certificate.keyUsage,
      extendedKeyUsage: certificate.extendedKeyUsage,
      subjectAlternativeName: certificate.subjectAlternativeName,
      crlDistributionPoints: certificate.crlDistributionPoints,
      authorityInformationAccess: certificate.authorityInformationAccess,
    }).toEqual({
      version: 3,
      issuer: [{ type: 'CN', value: 'Test Issuing CA' }],
      subject: [{ type: 'CN', value: 'Test Agent' }],
      notBefore: '2026-11-20T23:59:00.000Z',
      notAfter: '2026-11-21T01:00:00.000Z',
      basicConstraints: { ca: false, pathLength: undefined },
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['clientAuth', 'serverAuth'],
      subjectAlternativeName: { uris: [`spiffe://signet.test/agent/${AGENT_ID}`], dnsNames: ['agent.example.test'], ipAddresses: [], others: 0 },
      crlDistributionPoints: ['http://127.0.0.1:8080/crl/issuing/complete.crl'],
      authorityInformationAccess: { ocsp: ['http://127.0.0.1:8080/ocsp'], caIssuers: ['http://127.0.0.1:8080/issuers/issuing.cer'] },
    });
    expect(certificate.issuerName.equals(issuing.certificate.subjectName)).toBe(true);
    expect(certificate.spki.equals(leaf.key.spki)).toBe(true);
    expect(certificate.subjectKeyIdentifier?.equals(leaf.key.keyIdentifier)).toBe(true);
    expect(certificate.authorityKeyIdentifier?.equals(issuing.key.keyIdentifier)).toBe(true);
    expect(verifySignature(issuing.certificate.spki, certificate.signatureAlgorithm, certificate.tbs, certificate.signature)).toBe(true);
  });

  test('what it read, encoded again, is the same certificate', () => {
    for (const { certificate } of [root, issuing, leaf]) {
      const tbs = encodeTbs(certificate);
      expect(assembleCertificate(tbs, certificate.signatureAlgorithm, certificate.signature).equals(certificate.der)).toBe(true);
    }
  });

  test('parseTbs gives the same certificate but for the signature', () => {
    const { der, signature, ...rest } = parseTbs(leaf.certificate.tbs);
    expect(der.equals(leaf.certificate.tbs)).toBe(true);
    expect(signature).toHaveLength(0);
    const { der: _der, signature: _signature, ...expected } = leaf.certificate;
    expect(rest).toEqual(expected);
  });

  test('reads certificates of openssl, version 1 too', () => {
    const key = join(dir, 'key.pem');
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key);
    const v3 = openssl(
      'req', '-x509', '-key', key, '-days', '20000', '-subj', '/C=DE/ST=x/L=y/O=Müller/OU=z/CN=a.test/emailAddress=a@b.test', '-utf8', '-set_serial', '0x80',
      '-addext', 'subjectAltName=DNS:a.test,IP:2001:db8::1,email:a@b.test', '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
      '-addext', 'nameConstraints=critical,permitted;URI:.a.test', '-addext', 'certificatePolicies=1.2.3.4', '-addext', 'extendedKeyUsage=anyExtendedKeyUsage,1.2.3',
    );
    const certificate = parseCertificate(decodePem(v3, 'CERTIFICATE'));
    expect(certificate.subject.map(({ type, value }) => `${type}=${value}`)).toEqual(['C=DE', 'ST=x', 'L=y', 'O=Müller', 'OU=z', 'CN=a.test', 'emailAddress=a@b.test']);
    expect(certificate.serial.toString('hex')).toBe('80');
    expect(certificate.notAfter.getUTCFullYear()).toBeGreaterThan(2050);
    expect(certificate.subjectAlternativeName).toEqual({ uris: [], dnsNames: ['a.test'], ipAddresses: ['2001:db8::1'], others: 1 });
    expect(certificate.basicConstraints?.ca).toBe(true);
    expect(certificate.extendedKeyUsage).toEqual(['anyExtendedKeyUsage', '1.2.3']);
    expect(verifySignature(certificate.spki, certificate.signatureAlgorithm, certificate.tbs, certificate.signature)).toBe(true);

    writeFileSync(join(dir, 'v1.csr'), openssl('req', '-new', '-key', key, '-subj', '/CN=v1'));
    const v1 = parseCertificate(decodePem(openssl('x509', '-req', '-in', join(dir, 'v1.csr'), '-signkey', key, '-days', '1'), 'CERTIFICATE'));
    expect([v1.version, v1.extensions, v1.basicConstraints]).toEqual([1, [], undefined]);
  });

  const algorithm = ALGORITHMS.ed25519.signature.der;
  const name = encodeName([{ type: 'CN', value: 'x' }]);
  const validity = sequence(time(NOW), time(daysFromNow(1)));
  const { spki } = testKey('x');
  const version3 = context(0, integer(2));
  const signed = (...fields: Buffer[]): Buffer => assembleCertificate(sequence(...fields), algorithm, Buffer.alloc(64));
  const extended = (...extensions: Extension[]): Buffer => signed(version3, integer(1), algorithm, name, validity, name, spki, context(3, encodeExtensions(extensions)));
  const extension = (id: string, value: Buffer): Extension => ({ oid: id, critical: false, value });

  test('the fields of the refusals below are right but for one', () => {
    expect(parseCertificate(signed(version3, integer(1), algorithm, name, validity, name, spki)).version).toBe(3);
    expect(parseCertificate(signed(context(0, integer(1)), integer(1), algorithm, name, validity, name, spki)).version).toBe(2);
    expect(parseCertificate(extended(extension('1.2.3', nullValue()))).extensions).toHaveLength(1);
  });

  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['octets behind', Buffer.concat([leaf.certificate.der, Buffer.of(0)])],
    ['a truncated certificate', leaf.certificate.der.subarray(0, -1)],
    ['a TBSCertificate alone', leaf.certificate.tbs],
    ['version 1 written out', signed(context(0, integer(0)), integer(1), algorithm, name, validity, name, spki)],
    ['version 4', signed(context(0, integer(3)), integer(1), algorithm, name, validity, name, spki)],
    ['extensions in version 2', signed(context(0, integer(1)), integer(1), algorithm, name, validity, name, spki, context(3, encodeExtensions([extension('1.2.3', nullValue())])))],
    ['serial 0', signed(version3, integer(0), algorithm, name, validity, name, spki)],
    ['a negative serial', signed(version3, Buffer.of(2, 1, 0xff), algorithm, name, validity, name, spki)],
    ['a serial of 21 octets', signed(version3, unsignedInteger(Buffer.alloc(21, 1)), algorithm, name, validity, name, spki)],
    ['another algorithm inside', signed(version3, integer(1), ALGORITHMS['ecdsa-p256'].signature.der, name, validity, name, spki)],
    ['a validity of one time', signed(version3, integer(1), algorithm, name, sequence(time(NOW)), name, spki)],
    ['a validity of three times', signed(version3, integer(1), algorithm, name, sequence(time(NOW), time(NOW), time(NOW)), name, spki)],
    ['a unique identifier', signed(version3, integer(1), algorithm, name, validity, name, spki, contextPrimitive(1, Buffer.of(0, 1)))],
    ['no extensions in the element for them', extended()],
    ['an extension twice', extended(extension('1.2.3', nullValue()), extension('1.2.3', nullValue()))],
    ['broken basic constraints', extended(extension(OID.basicConstraints, nullValue()))],
    ['a broken key usage', extended(extension(OID.keyUsage, Buffer.of(3, 1, 0)))],
    ['a broken alternative name', extended(extension(OID.subjectAlternativeName, sequence()))],
    ['a signature with unused bits', sequence(leaf.certificate.tbs, algorithm, bitString(Buffer.alloc(64), 1))],
    ['something behind the signature', sequence(leaf.certificate.tbs, algorithm, bitString(Buffer.alloc(64)), nullValue())],
    ['a signature algorithm that is no sequence', sequence(leaf.certificate.tbs, oid('1.2.3'), bitString(Buffer.alloc(64)))],
  ])('refuses %s', (_, der) => {
    expect(() => parseCertificate(der)).toThrow(DerError);
  });

  test('any octets, and a certificate changed anywhere, give a certificate or a DerError', () => {
    const seeds = [root, issuing, leaf].map(({ certificate }) => certificate.der);
    const server = issue({ ...leafIntent(issuing), extensions: [encodeSubjectAlternativeName({ uris: [], dnsNames: ['a'], ipAddresses: ['::1'] }, true)] }, issuing.key);
    const edit = fc.record({ seed: fc.constantFrom(...seeds, server.der), at: fc.nat(), remove: fc.nat(2), insert: fc.uint8Array({ maxLength: 2 }) });
    const changed = edit.map(({ seed, at, remove, insert }) => Buffer.concat([seed.subarray(0, at % seed.length), insert, seed.subarray((at % seed.length) + remove)]));
    fc.assert(
      fc.property(fc.oneof({ weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) }, { weight: 5, arbitrary: changed }), (der) => {
        try {
          expect(parseCertificate(der).der.equals(Buffer.from(der))).toBe(true);
        } catch (error) {
          if (!(error instanceof DerError)) throw error;
        }
      }),
      { numRuns: 4000 },
    );
  });

  test('no octet of a certificate can be changed and the signature still hold', () => {
    const { der } = leaf.certificate;
    for (let at = 0; at < der.length; at++) {
      const changed = Buffer.from(der);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      let valid = false;
      try {
        const { signatureAlgorithm, tbs, signature } = parseCertificate(changed);
        valid = verifySignature(issuing.certificate.spki, signatureAlgorithm, tbs, signature);
      } catch (error) {
        if (!(error instanceof DerError)) throw error;
      }
      expect([at, valid]).toEqual([at, false]);
    }
  });
});
