import { constants, createPublicKey, generateKeyPairSync, hash, sign, type KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SignetError } from '../../../src/core/errors.ts';
import { ALGORITHMS, keyAlgorithmByDer, signatureAlgorithmByDer, type KeyAlgorithm } from '../../../src/x509/algorithms.ts';
import { bitString, integer, nullValue, oid, sequence } from '../../../src/x509/der/writer.ts';
import { OID } from '../../../src/x509/oids.ts';
import { keyIdentifierOf, parsePublicKey, subjectPublicKeyBits, verifySignature } from '../../../src/x509/public-key.ts';

const hex = (octets: string): Buffer => Buffer.from(octets.replaceAll(' ', ''), 'hex');
const rsaSpki = (n: bigint, e: bigint): Buffer => sequence(sequence(oid(OID.rsaEncryption), nullValue()), bitString(sequence(integer(n), integer(e))));

function refusal(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof SignetError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

/** RFC 8410 §10.1. */
const ED25519 = hex('302a300506032b6570032100 19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1');

const PAIRS: Record<KeyAlgorithm, { publicKey: KeyObject; privateKey: KeyObject }> = {
  'ecdsa-p256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'ecdsa-p384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ed25519: generateKeyPairSync('ed25519'),
  'rsa-2048': generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'rsa-3072': generateKeyPairSync('rsa', { modulusLength: 3072 }),
  'rsa-4096': { publicKey: createPublicKey({ key: rsaSpki((1n << 4095n) | 0x10001n, 65537n), format: 'der', type: 'spki' }), privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey },
};
const spkiOf = (algorithm: KeyAlgorithm): Buffer => PAIRS[algorithm].publicKey.export({ format: 'der', type: 'spki' });
const SIGNING = Object.keys(PAIRS).filter((name) => name !== 'rsa-4096') as KeyAlgorithm[];

describe('the algorithm table', () => {
  test.each<[KeyAlgorithm, string, string]>([
    ['ecdsa-p256', '301306072a8648ce3d020106082a8648ce3d030107', '300a06082a8648ce3d040302'],
    ['ecdsa-p384', '301006072a8648ce3d020106052b81040022', '300a06082a8648ce3d040303'],
    ['ed25519', '300506032b6570', '300506032b6570'],
    ['rsa-2048', '300d06092a864886f70d0101010500', '300d06092a864886f70d01010b0500'],
    ['rsa-3072', '300d06092a864886f70d0101010500', '300d06092a864886f70d01010b0500'],
    ['rsa-4096', '300d06092a864886f70d0101010500', '300d06092a864886f70d01010c0500'],
  ])('%s is named as its RFC says', (algorithm, key, signature) => {
    expect(ALGORITHMS[algorithm].keyIdentifier.toString('hex')).toBe(key);
    expect(ALGORITHMS[algorithm].signature.der.toString('hex')).toBe(signature);
    expect(spkiOf(algorithm).includes(hex(key))).toBe(true);
  });

  test('identifiers find their records, RSA of every size as rsa-2048', () => {
    for (const record of Object.values(ALGORITHMS)) {
      expect(signatureAlgorithmByDer(record.signature.der)).toBe(record.signature);
      expect(keyAlgorithmByDer(record.keyIdentifier)?.key).toBe(record.family === 'rsa' ? 'rsa-2048' : record.key);
    }
  });

  test.each([
    ['ecdsa-with-SHA1', '300906072a8648ce3d0401'],
    ['sha1WithRSAEncryption', '300d06092a864886f70d0101050500'],
    ['md5WithRSAEncryption', '300d06092a864886f70d0101040500'],
    ['RSASSA-PSS', '300b06092a864886f70d01010a'],
    ['ECDSA with parameters', '300c06082a8648ce3d0403020500'],
    ['Ed448', '300506032b6571'],
    ['nothing', ''],
  ])('%s is not in it', (_, der) => {
    expect(signatureAlgorithmByDer(hex(der))).toBeUndefined();
  });

  test('RSA schemes without parameters are taken as with NULL (RFC 4055 §5)', () => {
    expect(signatureAlgorithmByDer(hex('300b06092a864886f70d01010b'))).toBe(ALGORITHMS['rsa-2048'].signature);
  });
});

describe('parsePublicKey', () => {
  test.each<[KeyAlgorithm, number]>([
    ['ecdsa-p256', 256],
    ['ecdsa-p384', 384],
    ['ed25519', 256],
    ['rsa-2048', 2048],
    ['rsa-3072', 3072],
  ])('%s of %i bits', (algorithm, bits) => {
    const spki = spkiOf(algorithm);
    const key = parsePublicKey(spki);
    expect([key.algorithm, key.bits]).toEqual([algorithm, bits]);
    expect(key.spki.equals(spki)).toBe(true);
    expect(key.keyHash.toString('hex')).toBe(hash('sha256', spki));
    expect(key.keyIdentifier.equals(keyIdentifierOf(spki))).toBe(true);
  });

  test('the key identifier is the left 160 bits of the SHA-256 of the key bits (RFC 7093 §2 (1))', () => {
    expect(subjectPublicKeyBits(ED25519).equals(ED25519.subarray(-32))).toBe(true);
    expect(parsePublicKey(ED25519).keyIdentifier.toString('hex')).toBe(hash('sha256', ED25519.subarray(-32)).slice(0, 40));
  });

  const p256 = spkiOf('ecdsa-p256');
  const point = p256.subarray(-65);
  const withPoint = (...octets: Uint8Array[]) => sequence(ALGORITHMS['ecdsa-p256'].keyIdentifier, bitString(Buffer.concat(octets)));
  test.each<[string, Buffer, string]>([
    ['a compressed point', withPoint(Buffer.of(2 + ((point[64] ?? 0) & 1)), point.subarray(1, 33)), 'key-type-not-allowed'],
    ['a hybrid point', withPoint(Buffer.of(6 + ((point[64] ?? 0) & 1)), point.subarray(1)), 'key-type-not-allowed'],
    ['the point at infinity', withPoint(Buffer.of(0)), 'key-type-not-allowed'],
    ['a point one octet short', withPoint(point.subarray(0, 64)), 'key-type-not-allowed'],
    ['a P-384 point under P-256', withPoint(spkiOf('ecdsa-p384').subarray(-97)), 'key-type-not-allowed'],
    ['an Ed25519 key of 31 octets', sequence(sequence(oid(OID.ed25519)), bitString(Buffer.alloc(31, 9))), 'key-type-not-allowed'],
    ['an Ed25519 key with NULL parameters', sequence(sequence(oid(OID.ed25519), nullValue()), bitString(Buffer.alloc(32, 9))), 'key-type-not-allowed'],
    ['an EC key without curve', sequence(sequence(oid(OID.ecPublicKey)), bitString(point)), 'key-type-not-allowed'],
    ['an RSA key without parameters', sequence(sequence(oid(OID.rsaEncryption)), bitString(sequence(integer(5), integer(3)))), 'key-type-not-allowed'],
    ['bits that are not whole octets', sequence(sequence(oid(OID.ed25519)), bitString(Buffer.alloc(32, 0x80), 7)), 'csr-malformed'],
    ['octets behind', Buffer.concat([ED25519, Buffer.of(0)]), 'csr-malformed'],
    ['an RSA key that is no sequence', sequence(ALGORITHMS['rsa-2048'].keyIdentifier, bitString(integer(5))), 'csr-malformed'],
    ['an RSA key with a third number', sequence(ALGORITHMS['rsa-2048'].keyIdentifier, bitString(sequence(integer(5), integer(3), integer(1)))), 'csr-malformed'],
    ['a negative modulus', sequence(ALGORITHMS['rsa-2048'].keyIdentifier, bitString(sequence(hex('0201ff'), integer(3)))), 'csr-malformed'],
    ['a modulus of 20000 bits', rsaSpki(1n << 19_999n, 3n), 'key-type-not-allowed'],
    ['nothing', Buffer.alloc(0), 'csr-malformed'],
  ])('refuses %s', (_, spki, code) => {
    expect(refusal(() => parsePublicKey(spki))).toMatch(new RegExp(`^${code}:`));
  });

  test.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '0100000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000080',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  ])('the Ed25519 point %s has small order', (key) => {
    expect(refusal(() => parsePublicKey(sequence(sequence(oid(OID.ed25519)), bitString(hex(key)))))).toMatch(/^key-weak: .*small order/);
  });
});

describe('weak RSA keys', () => {
  const SMALL_PRIMES = Array.from({ length: 751 }, (_, i) => i).filter((n) => n > 2 && Array.from({ length: n }, (_, d) => d).every((d) => d < 2 || n % d !== 0));
  const hasSmallFactor = (n: bigint) => SMALL_PRIMES.some((prime) => n % BigInt(prime) === 0n);
  /** The first value of `make` without a factor up to 751. */
  const search = (make: (i: bigint) => bigint): bigint => {
    for (let i = 1n; ; i++) if (!hasSmallFactor(make(i)) && make(i) % 2n === 1n) return make(i);
  };
  const jwk = PAIRS['rsa-2048'].publicKey.export({ format: 'jwk' });
  const good = BigInt(`0x${Buffer.from(jwk.n ?? '', 'base64url').toString('hex')}`);
  const rocaModulus = SMALL_PRIMES.filter((prime) => prime <= 167).reduce((product, prime) => product * BigInt(prime), 1n);

  test.each<[string, bigint, bigint, RegExp]>([
    ['exponent 1', good, 1n, /public exponent/],
    ['an even exponent', good, 65536n, /public exponent/],
    ['an exponent above 2^32', good, (1n << 32n) + 1n, /public exponent/],
    ['an even modulus', good + 1n, 65537n, /even modulus/],
    ['a factor of 3', good - (good % 3n), 65537n, /even modulus|small factor/],
    ['a factor of 751', search((i) => (1n << 2038n) + i) * 751n, 65537n, /small factor/],
    ['factors next to each other', search((i) => ((1n << 1024n) - 1n - 2n * i) * ((1n << 1024n) - 3n - 2n * i)), 65537n, /too close together/],
    ['the fingerprint of ROCA', search((i) => rocaModulus * ((1n << 1830n) + i) + (65537n % rocaModulus)), 65537n, /ROCA/],
    ['a square', search((i) => ((1n << 1024n) - 1n - 2n * i) ** 2n), 65537n, /too close together/],
  ])('%s', (_, modulus, exponent, message) => {
    const code = refusal(() => parsePublicKey(rsaSpki(modulus, exponent)));
    expect(code).toMatch(/^key-weak/);
    expect(code).toMatch(message);
  });

  test('exponents 3 and 2^32 - 1 pass', () => {
    for (const exponent of [3n, 0xffff_ffffn]) expect(parsePublicKey(rsaSpki(good, exponent)).algorithm).toBe('rsa-2048');
  });

  test('primes that differ in their upper half pass', () => {
    const distant = search((i) => ((1n << 1024n) - 1n - 2n * i) * ((1n << 1024n) - (1n << 600n) - 1n - 2n * i));
    expect(refusal(() => parsePublicKey(rsaSpki(distant, 65537n)))).toBeUndefined();
  });
});

describe('verifySignature', () => {
  const data = Buffer.from('to be signed');
  const signed = (algorithm: KeyAlgorithm) => sign(ALGORITHMS[algorithm].signature.digest, data, PAIRS[algorithm].privateKey);

  test.each(SIGNING)('%s: the right one, and nothing near it', (algorithm) => {
    const spki = spkiOf(algorithm);
    const { der } = ALGORITHMS[algorithm].signature;
    const signature = signed(algorithm);
    expect(verifySignature(spki, der, data, signature)).toBe(true);
    expect(verifySignature(Uint8Array.from(spki), Uint8Array.from(der), Uint8Array.from(data), Uint8Array.from(signature))).toBe(true);
    expect(verifySignature(spki, der, Buffer.from('to be Signed'), signature)).toBe(false);
    expect(verifySignature(spki, der, data, Buffer.concat([signature, Buffer.of(0)]))).toBe(false);
    expect(verifySignature(spki, der, data, signature.subarray(1))).toBe(false);
    for (const other of SIGNING.filter((name) => name !== algorithm)) expect(verifySignature(spkiOf(other), der, data, signature)).toBe(false);
  });

  test('a scheme of another family is refused before OpenSSL guesses a digest', () => {
    const signature = sign('sha256', data, PAIRS['ecdsa-p256'].privateKey);
    expect(verifySignature(spkiOf('ecdsa-p256'), ALGORITHMS.ed25519.signature.der, data, signature)).toBe(false);
  });

  test('PSS under the name of PKCS #1 v1.5 is refused', () => {
    const signature = sign('sha256', data, { key: PAIRS['rsa-2048'].privateKey, padding: constants.RSA_PKCS1_PSS_PADDING });
    expect(verifySignature(spkiOf('rsa-2048'), ALGORITHMS['rsa-2048'].signature.der, data, signature)).toBe(false);
  });

  test('any octets are false, never an exception', () => {
    const octets = fc.uint8Array({ maxLength: 100 });
    const identifier = fc.oneof(octets, fc.constantFrom(...Object.values(ALGORITHMS).map((record) => new Uint8Array(record.signature.der))));
    const key = fc.oneof(octets, fc.constantFrom(...SIGNING.map((name) => new Uint8Array(spkiOf(name)))));
    fc.assert(fc.property(key, identifier, octets, octets, (spki, der, what, signature) => expect(verifySignature(spki, der, what, signature)).toBe(false)));
  });
});
