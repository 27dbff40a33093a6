import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as pkijs from 'pkijs';
import { SignetError, type ErrorCode } from '../../../src/core/errors.ts';
import { parseCsr, verifyCsr, type CertificateRequest } from '../../../src/x509/csr.ts';
import { bitString, boolean, ia5String, integer, nullValue, octetString, oid, sequence, tlv, utf8String } from '../../../src/x509/der/writer.ts';
import { encodeBasicConstraints } from '../../../src/x509/extensions/basic-constraints.ts';
import { encodeExtensions } from '../../../src/x509/extensions/extension.ts';
import { encodeKeyUsage } from '../../../src/x509/extensions/key-usage.ts';
import { encodeSubjectAlternativeName } from '../../../src/x509/extensions/subject-alternative-name.ts';
import { OID } from '../../../src/x509/oids.ts';
import { decodePem } from '../../../src/x509/pem.ts';
import { makeKeyAndCsr } from '../../../src/client/key-and-csr.ts';
import { anyExtension, attribute, extensionRequest, makeCsr } from '../../support/csr-parts.ts';
import { testKey } from '../../support/test-pki.ts';

/** Made by `openssl req -new` (3.0.19), one for each kind of key and each request named; the keys are thrown away. */
const fixturePath = (name: string): string => join(import.meta.dirname, 'fixtures/csr', `${name}.pem`);
const fixture = (name: string): Buffer => decodePem(readFileSync(fixturePath(name), 'utf8'), 'CERTIFICATE REQUEST');

const LIMITS = { maxBytes: 16_384, maxNames: 16 };
const parse = (der: Uint8Array): CertificateRequest => parseCsr(der, LIMITS);

/** The code a reading is refused with; any error but a SignetError fails the test. */
function refusal(read: () => unknown): ErrorCode | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof SignetError) return error.code;
    throw error;
  }
}

describe('CSRs of openssl', () => {
  test.each([
    ['ecdsa-p256', 'ecdsa-p256', 256],
    ['ecdsa-p256-sha512', 'ecdsa-p256', 256],
    ['ecdsa-p384', 'ecdsa-p384', 384],
    ['ed25519', 'ed25519', 256],
    ['rsa-2048', 'rsa-2048', 2048],
    ['rsa-2056-sha384', 'rsa-2048', 2056],
    ['rsa-3072', 'rsa-3072', 3072],
    ['rsa-4096', 'rsa-4096', 4096],
    ['rsa-exponent-3', 'rsa-2048', 2048],
  ])('%s: key %s of %i bits is accepted, its possession proven', (name, algorithm, bits) => {
    const csr = parse(fixture(name));
    expect(csr.subject).toEqual([{ type: 'CN', value: '01KAJ3G5N8AAAAAAAAAAAAAAAA' }]);
    expect([csr.publicKey.algorithm, csr.publicKey.bits]).toEqual([algorithm, bits]);
    expect(csr.requested).toEqual({ uris: [], dnsNames: [], otherNames: 0, keyUsage: undefined, extendedKeyUsage: undefined });
    verifyCsr(csr);
    const spki = execFileSync('openssl', ['req', '-in', fixturePath(name), '-noout', '-pubkey']).toString();
    expect(csr.publicKey.spki.equals(decodePem(spki, 'PUBLIC KEY'))).toBe(true);
  });

  test.each<[string, ErrorCode]>([
    ['ecdsa-p521', 'key-type-not-allowed'],
    ['secp256k1', 'key-type-not-allowed'],
    ['brainpool-p256', 'key-type-not-allowed'],
    ['explicit-curve', 'key-type-not-allowed'],
    ['compressed-point', 'key-type-not-allowed'],
    ['ed448', 'key-type-not-allowed'],
    ['dsa', 'key-type-not-allowed'],
    ['rsa-pss', 'key-type-not-allowed'],
    ['rsa-4104', 'key-type-not-allowed'],
    ['rsa-1024', 'key-weak'],
    ['rsa-2047', 'key-weak'],
    ['ca-requested', 'csr-ca-requested'],
    ['key-cert-sign', 'csr-ca-requested'],
    ['unknown-critical', 'csr-extension-unsupported'],
  ])('%s is refused with %s', (name, code) => {
    expect(refusal(() => parse(fixture(name)))).toBe(code);
  });

  test.each(['sha1-signed', 'rsa-2048-pss-signed'])('%s proves nothing', (name) => {
    const csr = parse(fixture(name));
    expect(refusal(() => verifyCsr(csr))).toBe('csr-signature-invalid');
  });

  test('what is asked for is read', () => {
    expect(parse(fixture('with-names')).requested).toEqual({
      uris: ['spiffe://signet.test/agent/x'],
      dnsNames: ['a.example.test', 'b.example.test'],
      otherNames: 3,
      keyUsage: ['digitalSignature', 'keyAgreement'],
      extendedKeyUsage: ['clientAuth', '1.2.3.4'],
    });
  });

  test('an empty subject and an unknown extension that is not critical do no harm', () => {
    expect(parse(fixture('empty-subject')).subject).toEqual([]);
    verifyCsr(parse(fixture('unknown-not-critical')));
  });

  test('openssl and verifyCsr agree on a signature that was changed', () => {
    const broken = fixture('ecdsa-p256');
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    const judged = (input: Buffer) => spawnSync('openssl', ['req', '-inform', 'DER', '-noout', '-verify'], { input }).stderr.toString();
    expect(judged(fixture('ecdsa-p256'))).toMatch(/verify OK/);
    expect(judged(broken)).toMatch(/verify failure/);
    expect(refusal(() => verifyCsr(parse(broken)))).toBe('csr-signature-invalid');
  });
});

describe('CSRs of other makers', () => {
  test.each(['ecdsa-p256', 'ecdsa-p384', 'ed25519'] as const)('@peculiar/x509 with a %s key, as our client uses it', async (type) => {
    const { csr } = await makeKeyAndCsr(type);
    const parsed = parse(decodePem(csr, 'CERTIFICATE REQUEST'));
    verifyCsr(parsed);
    expect([parsed.publicKey.algorithm, parsed.subject]).toEqual([type, []]);
  });

  test('pkijs reads and verifies what makeCsr writes, so the tests below start from a good one', async () => {
    const der = makeCsr({ attributes: [extensionRequest(encodeSubjectAlternativeName({ uris: [], dnsNames: ['a.test'] }, false))] });
    const request = pkijs.CertificationRequest.fromBER(Uint8Array.from(der));
    expect(request.attributes?.map(({ type }) => type)).toEqual([OID.extensionRequest]);
    expect(request.subjectPublicKeyInfo.algorithm.algorithmId).toBe(OID.ed25519);
    const csr = parse(der);
    verifyCsr(csr);
    expect(csr.requested.dnsNames).toEqual(['a.test']);
    const key = await globalThis.crypto.subtle.importKey('spki', Uint8Array.from(csr.publicKey.spki), 'Ed25519', true, ['verify']);
    expect(await globalThis.crypto.subtle.verify('Ed25519', key, Uint8Array.from(csr.signature), Uint8Array.from(csr.tbs))).toBe(true);
  });
});

describe('what parseCsr refuses', () => {
  const good = makeCsr();
  const names = encodeSubjectAlternativeName({ uris: ['a:b'], dnsNames: [] }, false);
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const otherSpki = publicKey.export({ format: 'der', type: 'spki' });

  test('the good one passes', () => {
    verifyCsr(parse(good));
  });

  test.each<[string, ErrorCode, () => Uint8Array]>([
    ['nothing', 'csr-malformed', () => Buffer.alloc(0)],
    ['text', 'csr-malformed', () => Buffer.from('-----BEGIN CERTIFICATE REQUEST-----')],
    ['a truncated CSR', 'csr-malformed', () => good.subarray(0, -1)],
    ['trailing octets', 'csr-malformed', () => Buffer.concat([good, Buffer.of(0)])],
    ['indefinite length', 'csr-malformed', () => Buffer.concat([Buffer.of(0x30, 0x80), good.subarray(3), Buffer.of(0, 0)])],
    ['a length that is not minimal', 'csr-malformed', () => Buffer.concat([Buffer.of(0x30, 0x82, 0, good[2] ?? 0), good.subarray(3)])],
    ['another version', 'csr-malformed', () => makeCsr({ version: 1 })],
    ['no attributes element', 'csr-malformed', () => makeCsr({ attributesDer: Buffer.alloc(0) })],
    ['something behind the attributes', 'csr-malformed', () => makeCsr({ behind: [nullValue()] })],
    ['a subject that is no name', 'csr-malformed', () => makeCsr({ subjectDer: sequence(nullValue()) })],
    ['an empty relative name', 'csr-malformed', () => makeCsr({ subjectDer: sequence(tlv(0x31)) })],
    ['an empty common name', 'csr-malformed', () => makeCsr({ subject: [{ type: 'CN', value: '' }] })],
    ['a common name that is not UTF-8', 'csr-malformed', () => makeCsr({ subjectDer: sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.of(0xff))))) })],
    ['a public key that is no key', 'csr-malformed', () => makeCsr({ spki: sequence(nullValue()) })],
    ['a public key with octets behind', 'csr-malformed', () => makeCsr({ spki: sequence(sequence(oid(OID.ed25519)), bitString(Buffer.alloc(32, 5)), nullValue()) })],
    ['two values in the extensionRequest', 'csr-attribute-duplicated', () => makeCsr({ attributes: [attribute(OID.extensionRequest, encodeExtensions([names]), encodeExtensions([names]))] })],
    ['two extensionRequests', 'csr-attribute-duplicated', () => makeCsr({ attributes: [extensionRequest(names), extensionRequest(names)] })],
    ['an extensionRequest by each of its names', 'csr-attribute-duplicated', () => makeCsr({ attributes: [extensionRequest(names), attribute(OID.microsoftCertExtensions, encodeExtensions([names]))] })],
    ['any other attribute twice', 'csr-attribute-duplicated', () => makeCsr({ attributes: [attribute('1.2.3', nullValue()), attribute('1.2.3', nullValue())] })],
    ['an extensionRequest without value', 'csr-malformed', () => makeCsr({ attributes: [attribute(OID.extensionRequest)] })],
    ['an extension twice', 'csr-extension-unsupported', () => makeCsr({ attributes: [extensionRequest(names, names)] })],
    ['an unknown critical extension', 'csr-extension-unsupported', () => makeCsr({ attributes: [extensionRequest(anyExtension('1.2.3', true))] })],
    ['critical name constraints', 'csr-extension-unsupported', () => makeCsr({ attributes: [extensionRequest(anyExtension(OID.nameConstraints, true))] })],
    ['CA:TRUE', 'csr-ca-requested', () => makeCsr({ attributes: [extensionRequest(encodeBasicConstraints({ ca: true }))] })],
    ['CA:TRUE by the older name', 'csr-ca-requested', () => makeCsr({ attributes: [attribute(OID.microsoftCertExtensions, encodeExtensions([encodeBasicConstraints({ ca: true })]))] })],
    ['cRLSign', 'csr-ca-requested', () => makeCsr({ attributes: [extensionRequest(encodeKeyUsage(['digitalSignature', 'cRLSign']))] })],
    ['an alternative name that is broken', 'csr-malformed', () => makeCsr({ attributes: [extensionRequest(anyExtension(OID.subjectAlternativeName, false, sequence()))] })],
    ['an alternative name with octets behind', 'csr-malformed', () => makeCsr({ attributes: [extensionRequest({ ...names, value: Buffer.concat([names.value, nullValue()]) })] })],
    ['basic constraints with cA FALSE written out', 'csr-malformed', () => makeCsr({ attributes: [extensionRequest(anyExtension(OID.basicConstraints, false, sequence(boolean(false))))] })],
    ['seventeen subject attributes', 'csr-too-large', () => makeCsr({ subject: Array.from({ length: 17 }, () => ({ type: 'OU', value: 'x' })) })],
    ['seventeen names of both kinds', 'csr-too-large', () => makeCsr({ attributes: [extensionRequest(encodeSubjectAlternativeName({ uris: [], dnsNames: Array<string>(16).fill('a') }, false))] })],
    ['more octets than the limit', 'csr-too-large', () => Buffer.alloc(16_385)],
    ['10 MB', 'csr-too-large', () => Buffer.alloc(10_000_000, 0x30)],
    ['more elements than any CSR has', 'csr-malformed', () => makeCsr({ attributes: Array.from({ length: 1400 }, (_, i) => attribute(`1.2.${i}`)) })],
  ])('%s: %s', (_, code, make) => {
    expect(refusal(() => parse(make()))).toBe(code);
  });

  test('sixteen names pass, and attributes that are not ours are read over', () => {
    const sixteen = encodeSubjectAlternativeName({ uris: [], dnsNames: Array<string>(15).fill('a') }, false);
    const csr = parse(makeCsr({ attributes: [attribute('1.2.840.113549.1.9.7', utf8String('secret')), extensionRequest(sixteen)] }));
    expect(csr.requested.dnsNames).toHaveLength(15);
    expect(parse(makeCsr({ attributes: [attribute(OID.extensionRequest, sequence())] })).requested.dnsNames).toEqual([]);
  });

  test('names under the older name of extensionRequest are seen, not dropped', () => {
    expect(parse(makeCsr({ attributes: [attribute(OID.microsoftCertExtensions, encodeExtensions([names]))] })).requested.uris).toEqual(['a:b']);
  });

  test.each<[string, () => Buffer]>([
    ['by another key', () => makeCsr({ spki: testKey('another').spki })],
    ['by a key of another kind', () => makeCsr({ spki: otherSpki })],
    ['of other octets', () => Buffer.from(good).fill(0x7a, good.indexOf('Test Agent'), good.indexOf('Test Agent') + 1)],
    ['under an unknown algorithm', () => sequence(parse(good).tbs, sequence(oid('1.2.3')), bitString(parse(good).signature))],
    ['that is empty', () => sequence(parse(good).tbs, testKey('x').algorithm, bitString(Buffer.alloc(0)))],
  ])('a signature %s proves nothing', (_, make) => {
    expect(refusal(() => verifyCsr(parse(make())))).toBe('csr-signature-invalid');
  });

  test('a point that is not on its curve proves nothing', () => {
    const off = Buffer.from(otherSpki);
    off[off.length - 1] = (off.at(-1) ?? 0) ^ 1;
    expect(refusal(() => verifyCsr(parse(makeCsr({ spki: off }))))).toBe('csr-signature-invalid');
  });
});

describe('fuzz', () => {
  const seeds = ['ecdsa-p256', 'ed25519', 'rsa-2048', 'with-names'].map(fixture);
  const check = (der: Uint8Array): void => {
    refusal(() => verifyCsr(parse(der)));
  };

  test('any octets give a CSR or a SignetError', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), check), { numRuns: 1000 });
  });

  test('a good CSR with octets changed, left out or put in gives a CSR or a SignetError', () => {
    const edit = fc.record({ seed: fc.constantFrom(...seeds), at: fc.nat(), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) });
    fc.assert(
      fc.property(edit, ({ seed, at, remove, insert }) => {
        const place = at % seed.length;
        check(Buffer.concat([seed.subarray(0, place), insert, seed.subarray(place + remove)]));
      }),
      { numRuns: 3000 },
    );
  });

  test('any structure of the right outline gives a CSR or a SignetError', () => {
    const leaf = fc.oneof(fc.constantFrom(nullValue(), integer(0), oid(OID.extensionRequest), octetString(Buffer.alloc(3)), ia5String('a'), testKey('x').spki), fc.uint8Array({ maxLength: 8 }).map((octets) => Buffer.from(octets)));
    const parts = fc.array(leaf, { maxLength: 4 });
    fc.assert(fc.property(parts, parts, (attributes, extra) => check(makeCsr({ attributes, attributesDer: tlv(0xa0, ...attributes, ...extra) }))), { numRuns: 500 });
  });
});
