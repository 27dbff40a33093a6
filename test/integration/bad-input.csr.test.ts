/** Bad certification requests: each is refused with its code, and the join token they came with still works at the end. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bitString, context, integer, nullValue, octetString, oid, sequence, setOf, utf8String } from '../../src/x509/der/writer.ts';
import { encodeBasicConstraints } from '../../src/x509/extensions/basic-constraints.ts';
import { encodeKeyUsage } from '../../src/x509/extensions/key-usage.ts';
import { encodeSubjectAlternativeName } from '../../src/x509/extensions/subject-alternative-name.ts';
import { OID } from '../../src/x509/oids.ts';
import { ECDSA_WITH_SHA256, extensionRequest, makeCsr, makeKey, requestInfo, requestOf } from '../support/csr.ts';
import { createClient, type Reply } from '../support/https-client.ts';
import { expectRefused, unchanged, type Refusal } from '../support/refusals.ts';
import { startService, type Service } from '../support/service.ts';

let service: Service;
let token: string;
beforeAll(async () => {
  service = await startService();
  token = await service.joinToken(await service.register());
});
afterAll(() => service.close());

const good = makeCsr();
const malformed = (says: RegExp): Refusal => ({ status: 400, code: 'csr-malformed', says });
const asked = (...extensions: Parameters<typeof extensionRequest>[0]) => makeCsr({ attributes: [extensionRequest(extensions)] });

/** The content of a SEQUENCE. */
const contentOf = (der: Buffer): Buffer => der.subarray((der[1] ?? 0) < 0x80 ? 2 : 2 + ((der[1] ?? 0) & 0x7f));
const indefinite = (der: Buffer): Buffer => Buffer.concat([Buffer.of(0x30, 0x80), contentOf(der), Buffer.of(0, 0)]);
/** The length in one octet more than it needs. */
const overlong = (der: Buffer): Buffer => Buffer.concat([Buffer.of(0x30, 0x82, 0), der.subarray(2)]);
const withFlippedBit = (der: Buffer, fromEnd: number): Buffer => {
  const bent = Buffer.from(der);
  bent[der.length - fromEnd] = (bent[der.length - fromEnd] ?? 0) ^ 1;
  return bent;
};
const nested = (depth: number): Buffer => Array.from({ length: depth }).reduce<Buffer>((inner) => sequence(inner), nullValue());

const NOT_READABLE: Record<string, () => Buffer | string> = {
  'text that is no base64': () => 'not a request at all!',
  'base64 that is no DER': () => Buffer.from('this is not DER'),
  'nothing behind a tag': () => Buffer.of(0x30),
  'a length of 2 GiB': () => Buffer.of(0x30, 0x84, 0x7f, 0xff, 0xff, 0xff),
  'truncated by one octet': () => good.subarray(0, -1),
  'truncated in the middle': () => good.subarray(0, good.length >> 1),
  'one octet behind its end': () => Buffer.concat([good, Buffer.of(0)]),
  'another request behind its end': () => Buffer.concat([good, good]),
  'trailing octets inside': () => sequence(contentOf(good), nullValue()),
  'indefinite length outside': () => indefinite(good),
  'indefinite length inside': () => requestOf(indefinite(requestInfo()), Buffer.alloc(64)),
  'a length that is not minimal': () => overlong(good),
  'a certificate instead': () => requestOf(sequence(context(0, integer(2)), integer(1)), Buffer.alloc(64)),
  'version 2': () => makeCsr({ version: 1 }),
  'a BIT STRING with unused bits as signature': () => sequence(requestInfo(), ECDSA_WITH_SHA256, bitString(Buffer.alloc(64), 3)),
  'no attributes': () => requestOf(sequence(integer(0), sequence(), makeKey().spki), Buffer.alloc(64)),
  'nesting a thousand deep': () => nested(1000),
  'an extension that is no DER': () => asked({ oid: OID.subjectAlternativeName, critical: false, value: Buffer.from('broken') }),
  'PEM without an end': () => `-----BEGIN CERTIFICATE REQUEST-----\n${good.toString('base64')}`,
  'PEM of a certificate': () => `-----BEGIN CERTIFICATE-----\n${good.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
  'PEM of a private key': () => makeKey().pem,
};

describe('cannot be read:', () => {
  test.each(Object.entries(NOT_READABLE))('%s', async (_, make) => {
    const reply = await unchanged(service.database, () => service.enroll(token, make()));
    expectRefused(reply, malformed(/CSR|csr|PEM/));
  });
});

const pkcs10 = (bytes: Buffer, headers: Record<string, string> = {}): Promise<Reply> => {
  const { api: url } = service.signet.urls;
  return createClient({ url, ca: service.signet.rootPem, token }).send('POST', '/v1/certificates', { bytes, headers: { 'content-type': 'application/pkcs10', ...headers } });
};

describe('too large:', () => {
  const TEN_MB = 10_000_000;
  const tooLarge: Refusal = { status: 413, code: 'body-too-large', says: /at most 65536 octets/ };

  test('10 MB as application/pkcs10', async () => {
    expectRefused(await unchanged(service.database, () => pkcs10(sequence(Buffer.alloc(TEN_MB)))), tooLarge);
  });

  test('10 MB in JSON', async () => {
    expectRefused(await unchanged(service.database, () => service.enroll(token, Buffer.alloc(TEN_MB))), tooLarge);
  });

  test('10 MB without a length in front', async () => {
    expectRefused(await unchanged(service.database, () => pkcs10(Buffer.alloc(TEN_MB), { 'transfer-encoding': 'chunked' })), tooLarge);
  });

  test('more than a request may have', async () => {
    expectRefused(await unchanged(service.database, () => pkcs10(sequence(octetString(Buffer.alloc(20_000))))), { status: 413, code: 'csr-too-large', says: /20008 octets, more than 16384/ });
  });

  test('more names than a request may have', async () => {
    const dnsNames = Array.from({ length: 17 }, (_, i) => `n${i}.example.com`);
    const reply = await unchanged(service.database, () => service.enroll(token, asked(encodeSubjectAlternativeName({ uris: [], dnsNames }, false))));
    expectRefused(reply, { status: 413, code: 'csr-too-large', says: /17 names, more than 16/ });
  });
});

describe('does not prove its key:', () => {
  const SHA1 = sequence(oid('1.2.840.10045.4.1'));
  const UNPROVEN: Record<string, () => Buffer> = {
    'one bit of the signature turned': () => withFlippedBit(good, 1),
    'signed by another key': () => makeCsr({ spki: makeKey().spki }),
    'a signature of zeros': () => requestOf(requestInfo(), sequence(integer(0), integer(0))),
    'an algorithm for another kind of key': () => makeCsr({ signatureAlgorithm: sequence(oid(OID.sha256WithRsaEncryption), nullValue()) }),
    'SHA-1': () => makeCsr({ signatureAlgorithm: SHA1 }),
    'an unknown algorithm': () => makeCsr({ signatureAlgorithm: sequence(oid('1.2.3.4')) }),
  };

  test.each(Object.entries(UNPROVEN))('%s', async (_, make) => {
    const reply = await unchanged(service.database, () => service.enroll(token, make()));
    expectRefused(reply, { status: 400, code: 'csr-signature-invalid', says: /not signed by its own key with ECDSA .* SHA-2/ });
  });
});

describe('asks for what no agent gets:', () => {
  const unknown = (critical: boolean) => ({ oid: '1.3.6.1.4.1.99999.1', critical, value: nullValue() });
  const constraints = extensionRequest([encodeBasicConstraints({ ca: false })]);
  const twoValues = sequence(oid(OID.extensionRequest), setOf(sequence(), sequence(sequence(oid('1.2.3'), octetString(nullValue())))));
  const WISHES: Record<string, [make: () => Buffer, refusal: Refusal]> = {
    'CA:TRUE': [() => asked(encodeBasicConstraints({ ca: true })), { status: 422, code: 'csr-ca-requested', says: /CA:TRUE/ }],
    'CA:TRUE with a path length': [() => asked(encodeBasicConstraints({ ca: true, pathLength: 0 })), { status: 422, code: 'csr-ca-requested', says: /CA:TRUE/ }],
    'CA:TRUE in the older attribute': [
      () => makeCsr({ attributes: [extensionRequest([encodeBasicConstraints({ ca: true })], OID.microsoftCertExtensions)] }),
      { status: 422, code: 'csr-ca-requested', says: /CA:TRUE/ },
    ],
    keyCertSign: [() => asked(encodeKeyUsage(['digitalSignature', 'keyCertSign'])), { status: 422, code: 'csr-ca-requested', says: /keyCertSign/ }],
    cRLSign: [() => asked(encodeKeyUsage(['cRLSign'])), { status: 422, code: 'csr-ca-requested', says: /cRLSign/ }],
    'an unknown critical extension': [() => asked(unknown(true)), { status: 422, code: 'csr-extension-unsupported', says: /critical extension 1\.3\.6\.1\.4\.1\.99999\.1/ }],
    'a critical name constraint': [
      () => asked({ oid: OID.nameConstraints, critical: true, value: sequence() }),
      { status: 422, code: 'csr-extension-unsupported', says: /critical extension 2\.5\.29\.30/ },
    ],
    'one extension twice': [
      () => asked(encodeBasicConstraints({ ca: false }), encodeBasicConstraints({ ca: true })),
      { status: 422, code: 'csr-extension-unsupported', says: /2\.5\.29\.19 appears twice/ },
    ],
    'two extensionRequests': [
      () => makeCsr({ attributes: [constraints, extensionRequest([encodeBasicConstraints({ ca: true })])] }),
      { status: 400, code: 'csr-attribute-duplicated', says: /attribute 1\.2\.840\.113549\.1\.9\.14 twice/ },
    ],
    'two extensionRequests, one under its older name': [
      () => makeCsr({ attributes: [constraints, extensionRequest([encodeBasicConstraints({ ca: true })], OID.microsoftCertExtensions)] }),
      { status: 400, code: 'csr-attribute-duplicated', says: /twice/ },
    ],
    'two values in one extensionRequest': [() => makeCsr({ attributes: [twoValues] }), { status: 400, code: 'csr-attribute-duplicated', says: /more than one value/ }],
    'another attribute twice': [
      () => makeCsr({ attributes: [1, 2].map(() => sequence(oid('1.2.840.113549.1.9.7'), setOf(utf8String('challenge')))) }),
      { status: 400, code: 'csr-attribute-duplicated', says: /attribute 1\.2\.840\.113549\.1\.9\.7 twice/ },
    ],
  };

  test.each(Object.entries(WISHES))('%s', async (_, [make, refusal]) => {
    expectRefused(await unchanged(service.database, () => service.enroll(token, make())), refusal);
  });
});

test('after all of these the join token is unspent, and enrolls a good request that asks for nothing critical', async () => {
  const wish = { oid: '1.3.6.1.4.1.99999.1', critical: false, value: nullValue() };
  expect((await service.enroll(token, asked(wish))).status).toBe(201);
});
