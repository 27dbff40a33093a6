import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { readStatement, signStatement, StatementError, thumbprintOf, trustFeedKey, type Heartbeat, type StatementKey } from '../../../src/verify/feed-statement.ts';
import { ALGORITHMS, type KeyAlgorithm } from '../../../src/x509/algorithms.ts';
import { encodeAuthorityKeyIdentifier } from '../../../src/x509/extensions/authority-key-identifier.ts';
import { encodeBasicConstraints } from '../../../src/x509/extensions/basic-constraints.ts';
import { encodeExtendedKeyUsage, type ExtendedKeyUsage } from '../../../src/x509/extensions/extended-key-usage.ts';
import { encodeKeyUsage } from '../../../src/x509/extensions/key-usage.ts';
import { makeSerial } from '../../../src/x509/serial.ts';
import { assembleCertificate, encodeTbs } from '../../../src/x509/tbs.ts';
import { parseCertificate, type Certificate } from '../../../src/x509/certificate.ts';
import { daysFromNow, makeRoot, NOW } from '../../support/test-pki.ts';

const root = makeRoot();
const beat: Heartbeat = { cluster: 'c', epoch: 1, n: 7, time: NOW.toISOString() };

interface TestFeedKey {
  certificate: Certificate;
  privateKey: KeyObject;
  key: StatementKey;
}

function feedKey(algorithm: KeyAlgorithm, usages: ExtendedKeyUsage[] = ['jwt']): TestFeedKey {
  const { publicKey, privateKey } =
    algorithm === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: algorithm === 'ecdsa-p256' ? 'P-256' : 'P-384' });
  const notAfter = daysFromNow(7);
  const tbs = encodeTbs({
    serial: makeSerial(notAfter, new Uint8Array(16).fill(1)), signatureAlgorithm: root.key.algorithm, issuerName: root.certificate.subjectName, notBefore: daysFromNow(-1), notAfter,
    subject: [{ type: 'CN', value: 'Feed' }], spki: publicKey.export({ format: 'der', type: 'spki' }),
    extensions: [encodeAuthorityKeyIdentifier(root.key.keyIdentifier), encodeBasicConstraints({ ca: false }), encodeKeyUsage(['digitalSignature']), ...(usages.length > 0 ? [encodeExtendedKeyUsage(usages)] : [])],
  });
  const certificate = parseCertificate(assembleCertificate(tbs, root.key.algorithm, root.key.sign(tbs)));
  return { certificate, privateKey, key: { algorithm, sign: (data) => Promise.resolve(sign(ALGORITHMS[algorithm].signature.digest, data, privateKey)) } };
}
const x5c = (certificate: Certificate) => [certificate.der.toString('base64')];
const said = (one: TestFeedKey, payload: Heartbeat = beat) => signStatement('heartbeat', payload, { certificate: one.certificate.der, key: one.key });
const trusted = (one: TestFeedKey) => trustFeedKey(x5c(one.certificate), [root.certificate], NOW);
/** A JWS with another header, signed by the key all the same. */
const forged = (one: TestFeedKey, header: object, payload: object = beat) => {
  const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${input}.${sign('sha256', Buffer.from(input), { key: one.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};

describe.each(['ecdsa-p256', 'ecdsa-p384', 'ed25519'] as const)('%s', (algorithm) => {
  test('what the key says is read by whoever trusts the root', async () => {
    const one = feedKey(algorithm);
    expect(readStatement('heartbeat', await said(one), trusted(one), NOW)).toEqual(beat);
  });

  test('a changed octet of any part is refused', async () => {
    const one = feedKey(algorithm);
    const jws = await said(one);
    const parts = jws.split('.');
    for (const [i, part] of parts.entries()) {
      const changed = parts.with(i, `${part.slice(0, 4)}${part[4] === 'A' ? 'B' : 'A'}${part.slice(5)}`).join('.');
      expect(() => readStatement('heartbeat', changed, trusted(one), NOW)).toThrow(StatementError);
    }
    expect(() => readStatement('heartbeat', parts.slice(0, 2).join('.'), trusted(one), NOW)).toThrow('compact');
  });
});

test('ES256 signatures keep their length, whatever the numbers are', async () => {
  const one = feedKey('ecdsa-p256');
  for (let i = 0; i < 300; i++) {
    const jws = await said(one, { ...beat, n: i });
    expect(Buffer.from(jws.split('.')[2] ?? '', 'base64url').length).toBe(64);
    expect(readStatement('heartbeat', jws, trusted(one), NOW).n).toBe(i);
  }
});

test('the algorithm is the key\'s: none, HMAC and others are refused, and so is a statement of another kind', async () => {
  const one = feedKey('ecdsa-p256');
  const right = { alg: 'ES256', typ: 'signet-heartbeat+jwt', 'x5t#S256': thumbprintOf(one.certificate.der) };
  expect(readStatement('heartbeat', forged(one, right), trusted(one), NOW)).toEqual(beat);
  for (const change of [{ alg: 'none' }, { alg: 'HS256' }, { alg: 'ES384' }, { typ: 'JWT' }, { typ: 'signet-snapshot+jwt' }, { crit: ['x'] }, { jwk: {} }, { 'x5t#S256': 'AAAA' }]) {
    expect(() => readStatement('heartbeat', forged(one, { ...right, ...change }), trusted(one), NOW)).toThrow(StatementError);
  }
  expect(() => readStatement('heartbeat', forged(one, right, { ...beat, n: -1 }), trusted(one), NOW)).toThrow('lacks');
  expect(() => readStatement('snapshot', `${forged(one, right)}`, trusted(one), NOW)).toThrow(StatementError);
  const other = feedKey('ecdsa-p256');
  const stolen = await said(other);
  expect(() => readStatement('heartbeat', stolen, trusted(one), NOW)).toThrow('another key');
});

test('a key is trusted for this purpose only, under a root that is trusted, in its time', () => {
  const one = feedKey('ecdsa-p256');
  expect(trusted(one).thumbprint).toBe(thumbprintOf(one.certificate.der));
  for (const usages of [['clientAuth', 'serverAuth'], ['jwt', 'clientAuth'], []] as ExtendedKeyUsage[][]) {
    expect(() => trusted(feedKey('ecdsa-p256', usages))).toThrow('another purpose');
  }
  expect(() => trustFeedKey(x5c(one.certificate), [], NOW)).toThrow('untrusted');
  expect(() => trustFeedKey(x5c(one.certificate), [root.certificate], daysFromNow(8))).toThrow('expired');
  expect(() => trustFeedKey(x5c(one.certificate), [root.certificate], daysFromNow(-3))).toThrow('not-yet-valid');
  expect(() => trustFeedKey(['AAAA'], [root.certificate], NOW)).toThrow('cannot be read');
  expect(() => trustFeedKey([], [root.certificate], NOW)).toThrow(StatementError);
});

test('what a key said ends with its certificate', async () => {
  const one = feedKey('ed25519');
  const jws = await said(one);
  const key = trusted(one);
  expect(() => readStatement('heartbeat', jws, key, daysFromNow(8))).toThrow('expired');
});
