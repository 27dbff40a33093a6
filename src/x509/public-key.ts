/** Subject public keys (RFC 5280 §4.1.2.7): which are accepted, how they are named, and signatures by them. */
import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import { SignetError } from '../core/errors.ts';
import { keyAlgorithmByDer, signatureAlgorithmByDer, type KeyAlgorithm } from './algorithms.ts';
import { bitStringBytes, DerError, open } from './der/reader.ts';
import { TAG } from './der/writer.ts';
import { isSmallOrderPoint } from './keys/ed25519.ts';
import { readRsaKey, rsaWeakness } from './keys/rsa.ts';

/** An accepted public key. */
export interface PublicKeyInfo {
  /** For RSA the largest name that the size reaches. */
  algorithm: KeyAlgorithm;
  /** Size of the curve's order or of the modulus. */
  bits: number;
  /** SubjectPublicKeyInfo, DER. There is one encoding for each key. */
  spki: Buffer;
  /** SHA-256 of `spki`: names the key in the key registry. */
  keyHash: Buffer;
  /** Leftmost 160 bits of the SHA-256 of the subjectPublicKey bits (RFC 7093 §2 method 1). */
  keyIdentifier: Buffer;
}

interface KeyParts {
  /** AlgorithmIdentifier, DER. */
  algorithm: Buffer;
  /** subjectPublicKey without the unused-bits octet. */
  bits: Buffer;
}

/** SubjectPublicKeyInfo ::= SEQUENCE { algorithm, subjectPublicKey BIT STRING } @throws DerError */
function splitKey(spki: Uint8Array): KeyParts {
  const top = open(spki);
  const fields = top.sequence('SubjectPublicKeyInfo');
  top.end('SubjectPublicKeyInfo');
  const algorithm = fields.expect(TAG.SEQUENCE, 'algorithm').raw;
  const bits = bitStringBytes(fields.expect(TAG.BIT_STRING, 'subjectPublicKey'));
  fields.end('SubjectPublicKeyInfo');
  return { algorithm, bits };
}

/** The subjectPublicKey bits of an SPKI: what key hashes are made of (RFC 6960 §4.1.1). @throws DerError */
export const subjectPublicKeyBits = (spki: Uint8Array): Buffer => splitKey(spki).bits;

const KEY_IDENTIFIER_BYTES = 20;
const identifierOf = (bits: Buffer): Buffer => hash('sha256', bits, 'buffer').subarray(0, KEY_IDENTIFIER_BYTES);

/** Subject key identifier of an SPKI (RFC 7093 §2 method 1). @throws DerError */
export const keyIdentifierOf = (spki: Uint8Array): Buffer => identifierOf(subjectPublicKeyBits(spki));

/** Octets of an uncompressed point (RFC 5480 §2.2), or of the Ed25519 key, and bits of strength to show, by algorithm. */
const FIXED_SIZES: Readonly<Partial<Record<KeyAlgorithm, { octets: number; bits: number }>>> = {
  'ecdsa-p256': { octets: 65, bits: 256 },
  'ecdsa-p384': { octets: 97, bits: 384 },
  ed25519: { octets: 32, bits: 256 },
};

/**
 * Reads and judges a SubjectPublicKeyInfo. Whether an EC point lies on its curve is left to the signature that proves possession: OpenSSL
 * refuses to use any other. @throws SignetError `csr-malformed`, `key-type-not-allowed`, `key-weak`
 */
export function parsePublicKey(spki: Uint8Array): PublicKeyInfo {
  const parts = readParts(spki);
  const record = keyAlgorithmByDer(parts.algorithm);
  if (!record) throw new SignetError('key-type-not-allowed', 'the public key must be P-256, P-384, Ed25519 or RSA of 2048 to 4096 bits');
  const { algorithm, bits } = record.family === 'rsa' ? judgeRsa(parts.bits) : judgeFixedSize(record.key, parts.bits);
  const view = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength);
  return { algorithm, bits, spki: view, keyHash: hash('sha256', view, 'buffer'), keyIdentifier: identifierOf(parts.bits) };
}

function readParts(spki: Uint8Array): KeyParts {
  try {
    return splitKey(spki);
  } catch (error) {
    if (error instanceof DerError) throw new SignetError('csr-malformed', `the public key is not DER: ${error.message}`, { cause: error });
    throw error;
  }
}

function judgeFixedSize(algorithm: KeyAlgorithm, key: Buffer): { algorithm: KeyAlgorithm; bits: number } {
  const size = FIXED_SIZES[algorithm];
  const uncompressed = algorithm === 'ed25519' || key[0] === 4;
  if (!size || !uncompressed || key.length !== size.octets) throw new SignetError('key-type-not-allowed', `the ${algorithm} public key must be in its uncompressed form`);
  if (algorithm === 'ed25519' && isSmallOrderPoint(key)) throw new SignetError('key-weak', 'the Ed25519 public key is a point of small order');
  return { algorithm, bits: size.bits };
}

const RSA_MIN_BITS = 2048;
const RSA_MAX_BITS = 4096;

function judgeRsa(key: Buffer): { algorithm: KeyAlgorithm; bits: number } {
  const rsa = readRsaKey(key);
  if (rsa.bits < RSA_MIN_BITS) throw new SignetError('key-weak', `the RSA key has ${rsa.bits} bits, fewer than ${RSA_MIN_BITS}`);
  if (rsa.bits > RSA_MAX_BITS) throw new SignetError('key-type-not-allowed', `the RSA key has ${rsa.bits} bits, more than ${RSA_MAX_BITS}`);
  const weakness = rsaWeakness(rsa);
  if (weakness !== undefined) throw new SignetError('key-weak', `the RSA key ${weakness}`);
  return { algorithm: rsa.bits >= 4096 ? 'rsa-4096' : rsa.bits >= 3072 ? 'rsa-3072' : 'rsa-2048', bits: rsa.bits };
}

/**
 * Whether `signature` over `data` is by the key `spki` under the scheme `algorithmIdentifier` (DER). False for whatever is unknown, broken or
 * does not fit together; never throws. The key is imported inline, which is the cheapest way for a key seen once (reference/performance.md A), unless the
 * caller has imported it: `key` is that of `spki` then.
 */
export function verifySignature(spki: Uint8Array, algorithmIdentifier: Uint8Array, data: Uint8Array, signature: Uint8Array, key?: KeyObject): boolean {
  try {
    const scheme = signatureAlgorithmByDer(algorithmIdentifier);
    // Without this, a null digest with an EC key would mean OpenSSL's default digest.
    if (!scheme || keyAlgorithmByDer(splitKey(spki).algorithm)?.family !== scheme.family) return false;
    if (key) return verify(scheme.digest, data, key, signature);
    return withoutStackTraces(() => verify(scheme.digest, data, inline(spki), signature));
  } catch {
    return false;
  }
}

/** A public key to verify with many times; undefined when OpenSSL cannot use it. */
export function importPublicKey(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey(inline(spki));
  } catch {
    return undefined;
  }
}

const inline = (spki: Uint8Array) => ({ key: Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength), format: 'der', type: 'spki' }) as const;

/**
 * Node finds out that these octets are no KeyObject by an error of its own, thrown and caught for each check; the stack traces of those nobody sees
 * cost 25-30 of 118 µs a verification (Node 24.21, P-256, measured in one run with and without).
 */
export function withoutStackTraces<T>(work: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return work();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
