import { createHash, verify } from 'node:crypto';
import { SignetError } from '../core/errors.ts';
import { signatureAlgorithmByDer, type KeyAlgorithm } from './algorithms.ts';
import { bitStringBytes, DerError, open, unsignedIntegerBytes } from './der/reader.ts';
import { nullValue, oid, sequence, TAG } from './der/writer.ts';
import { OID } from './oids.ts';
import { isRocaModulus, isWeakModulus } from './weak-rsa.ts';

/** A subject's public key, checked for type, form and known weaknesses. */
export interface PublicKeyInfo {
  algorithm: KeyAlgorithm;
  bits: number;
  /** SubjectPublicKeyInfo, DER. */
  spki: Buffer;
  /** SHA-256 of `spki`: how the key registry names it. */
  keyHash: Buffer;
  /** Leftmost 160 bits of the SHA-256 of the subjectPublicKey bits (RFC 7093 §2 method 1). */
  keyIdentifier: Buffer;
}

// AlgorithmIdentifiers have one encoding each, so they are compared as octets.
const P256 = sequence(oid(OID.ecPublicKey), oid(OID.prime256v1));
const P384 = sequence(oid(OID.ecPublicKey), oid(OID.secp384r1));
const ED25519 = sequence(oid(OID.ed25519));
const RSA = sequence(oid(OID.rsaEncryption), nullValue());

const UNCOMPRESSED = 0x04;
const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/**
 * Reads a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, RFC 5480, RFC 8410, RFC 3279 §2.3.1).
 * @throws SignetError key-type-not-allowed for a type or curve that is not accepted, key-weak, csr-malformed for what is not strict DER
 */
export function parsePublicKey(spki: Uint8Array): PublicKeyInfo {
  const bytes = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength);
  try {
    const { algorithm, bits } = splitSpki(bytes);
    const { name, size } = judge(algorithm, bits);
    return { algorithm: name, bits: size, spki: bytes, keyHash: sha256(bytes), keyIdentifier: sha256(bits).subarray(0, 20) };
  } catch (error) {
    if (error instanceof DerError) throw new SignetError('csr-malformed', `the public key is not strict DER: ${error.message}`);
    throw error;
  }
}

function splitSpki(spki: Buffer): { algorithm: Buffer; bits: Buffer } {
  const outer = open(spki);
  const fields = outer.sequence('SubjectPublicKeyInfo');
  outer.end('SubjectPublicKeyInfo');
  const algorithm = fields.expect(TAG.SEQUENCE, 'algorithm').raw;
  const bits = bitStringBytes(fields.expect(TAG.BIT_STRING, 'subjectPublicKey'));
  fields.end('SubjectPublicKeyInfo');
  return { algorithm, bits };
}

/** The subjectPublicKey bits of a SubjectPublicKeyInfo: what key identifiers and OCSP's issuerKeyHash are made of. @throws DerError */
export const subjectPublicKeyBits = (spki: Uint8Array): Buffer => splitSpki(Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength)).bits;

/** Key identifier of a SubjectPublicKeyInfo (RFC 7093 §2 method 1). @throws DerError */
export const keyIdentifierOf = (spki: Uint8Array): Buffer => sha256(subjectPublicKeyBits(spki)).subarray(0, 20);

function judge(algorithm: Buffer, bits: Buffer): { name: KeyAlgorithm; size: number } {
  if (algorithm.equals(P256)) return point('ecdsa-p256', bits, 256);
  if (algorithm.equals(P384)) return point('ecdsa-p384', bits, 384);
  if (algorithm.equals(ED25519)) {
    if (bits.length !== 32) throw new SignetError('key-weak', 'an Ed25519 public key has 32 octets');
    return { name: 'ed25519', size: 256 };
  }
  if (algorithm.equals(RSA)) return modulus(bits);
  throw new SignetError('key-type-not-allowed', 'accepted keys are P-256, P-384, Ed25519 and RSA of 2048 to 4096 bits');
}

/** Form only: whether the point lies on its curve is checked where the key is imported, at the proof of possession. */
function point(name: KeyAlgorithm, bits: Buffer, size: number): { name: KeyAlgorithm; size: number } {
  if (bits[0] !== UNCOMPRESSED || bits.length !== 1 + size / 4) throw new SignetError('key-type-not-allowed', 'an EC public key must be an uncompressed point of its curve (RFC 5480 §2.2)');
  return { name, size };
}

const MIN_MODULUS_BITS = 2048;
const MAX_MODULUS_BITS = 4096;

function modulus(bits: Buffer): { name: KeyAlgorithm; size: number } {
  const outer = open(bits);
  const fields = outer.sequence('RSAPublicKey');
  outer.end('RSAPublicKey');
  const n = unsignedIntegerBytes(fields.expect(TAG.INTEGER, 'modulus'));
  const e = unsignedIntegerBytes(fields.expect(TAG.INTEGER, 'publicExponent'));
  fields.end('RSAPublicKey');
  const size = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (size < MIN_MODULUS_BITS || size > MAX_MODULUS_BITS) throw new SignetError('key-weak', `an RSA key must have ${MIN_MODULUS_BITS} to ${MAX_MODULUS_BITS} bits; this one has ${size}`);
  const exponent = e.length > 4 ? Number.NaN : e.readUIntBE(0, e.length);
  if (!(exponent >= 3 && exponent % 2 === 1)) throw new SignetError('key-weak', 'an RSA public exponent must be odd, at least 3 and below 2^32');
  const value = BigInt(`0x${n.toString('hex')}`);
  if (isWeakModulus(value)) throw new SignetError('key-weak', 'the RSA modulus has a small factor, or factors close to each other');
  if (isRocaModulus(value)) throw new SignetError('key-weak', 'the RSA modulus has the form of a vulnerable key generator (ROCA, CVE-2017-15361)');
  return { name: size >= 4096 ? 'rsa-4096' : size >= 3072 ? 'rsa-3072' : 'rsa-2048', size };
}

/**
 * Whether `signature` over `data` verifies with the key and the AlgorithmIdentifier. Never throws: a key that cannot be imported (a point off its curve),
 * a scheme that is not accepted or does not fit the key gives false. The key is imported inline: a CSR's is always fresh (performance.md §A).
 */
export function verifySignature(spki: Uint8Array, algorithmIdentifier: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  const scheme = signatureAlgorithmByDer(algorithmIdentifier);
  if (!scheme) return false;
  const key = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength);
  try {
    if (keyTypeOf(key) !== scheme.keyType) return false;
    return verify(scheme.digest, data, { key, format: 'der', type: 'spki' }, signature);
  } catch {
    return false;
  }
}

function keyTypeOf(spki: Buffer): 'ec' | 'ed25519' | 'rsa' | undefined {
  const { algorithm } = splitSpki(spki);
  if (algorithm.equals(P256) || algorithm.equals(P384)) return 'ec';
  if (algorithm.equals(ED25519)) return 'ed25519';
  return algorithm.equals(RSA) ? 'rsa' : undefined;
}
