/**
 * Keys and signatures of any CA (RFC 3279, 4055, 5480, 5758, 8410): the supported ones, those supported only where the caller says so (legacy), and no
 * others. One table each; nothing else switches on algorithms.
 */
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { bitStringBytes, DerError, oidValue, open, smallInteger, unsignedIntegerBytes, type DerCursor } from '../der/reader.ts';
import { nullValue, TAG } from '../der/writer.ts';
import { isSmallOrderPoint } from '../keys/ed25519.ts';
import { OID } from '../oids.ts';
import { withoutStackTraces } from '../public-key.ts';

type Family = 'ecdsa' | 'ed25519' | 'rsa' | 'rsa-pss' | 'dsa';
/** Whether an algorithm may be used: always, only with `allowLegacyAlgorithms`, or never. */
export type Standing = 'supported' | 'legacy' | 'unsupported';

/** A public key that was judged. */
export interface ForeignKey {
  standing: Standing;
  /** For people: `P-256`, `RSA of 1024 bits`. */
  name: string;
  family: Family | undefined;
  /** Undefined when OpenSSL cannot use it, or we do not want to. */
  key: KeyObject | undefined;
}

const RSA_BITS = { supported: 2048, legacy: 1024, max: 8192 } as const;
const MAX_RSA_EXPONENT_BYTES = 8;

const unsupported = (name: string): ForeignKey => ({ standing: 'unsupported', name, family: undefined, key: undefined });

/** Reads and judges a SubjectPublicKeyInfo, and imports the key. Never throws. */
export function readForeignKey(spki: Buffer): ForeignKey {
  try {
    const top = open(spki);
    const fields = top.sequence('SubjectPublicKeyInfo');
    top.end('SubjectPublicKeyInfo');
    const algorithm = fields.sequence('algorithm');
    const bits = bitStringBytes(fields.expect(TAG.BIT_STRING, 'subjectPublicKey'));
    fields.end('SubjectPublicKeyInfo');
    const judged = judgeKey(oidValue(algorithm.expect(TAG.OID, 'algorithm')), algorithm, bits);
    if (judged.standing === 'unsupported') return judged;
    return { ...judged, key: withoutStackTraces(() => createPublicKey({ key: spki, format: 'der', type: 'spki' })) };
  } catch (error) {
    // OpenSSL says in many ways that a key is none: a point off its curve, a modulus of nonsense.
    return unsupported(error instanceof DerError ? `a key that is not DER (${error.message})` : 'a key that cannot be used');
  }
}

function judgeKey(id: string, parameters: DerCursor, bits: Buffer): ForeignKey {
  switch (id) {
    case OID.ecPublicKey:
      return judgePoint(parameters, bits);
    case OID.ed25519: {
      parameters.end('algorithm');
      const usable = bits.length === 32 && !isSmallOrderPoint(bits);
      return usable ? { standing: 'supported', name: 'Ed25519', family: 'ed25519', key: undefined } : unsupported('an Ed25519 key that proves nothing');
    }
    case OID.rsaEncryption:
      return judgeModulus(bits, 'rsa');
    case OID.rsassaPss:
      return judgeModulus(bits, 'rsa-pss');
    case OID.dsa:
      return { standing: 'legacy', name: 'DSA', family: 'dsa', key: undefined };
    default:
      return unsupported(`a key of algorithm ${id}`);
  }
}

/** Octets of an uncompressed or compressed point by curve (RFC 5480 §2.2). */
const CURVES: Readonly<Record<string, { name: string; octets: number }>> = {
  [OID.secp256r1]: { name: 'P-256', octets: 32 },
  [OID.secp384r1]: { name: 'P-384', octets: 48 },
};

/** Named curves only: parameters written out could be those of any curve (CVE-2020-0601). */
function judgePoint(parameters: DerCursor, bits: Buffer): ForeignKey {
  const named = parameters.optional(TAG.OID);
  const curve = named && CURVES[oidValue(named)];
  if (!named) return unsupported('an elliptic curve whose parameters are written out');
  if (!curve) return unsupported(`a key on curve ${oidValue(named)}`);
  parameters.end('algorithm');
  const isPoint = (bits[0] === 4 && bits.length === 1 + 2 * curve.octets) || ((bits[0] === 2 || bits[0] === 3) && bits.length === 1 + curve.octets);
  return isPoint ? { standing: 'supported', name: curve.name, family: 'ecdsa', key: undefined } : unsupported(`a point that is not on ${curve.name}`);
}

function judgeModulus(bits: Buffer, family: 'rsa' | 'rsa-pss'): ForeignKey {
  const top = open(bits);
  const fields = top.sequence('RSAPublicKey');
  top.end('RSAPublicKey');
  const modulus = unsignedIntegerBytes(fields.expect(TAG.INTEGER, 'modulus'));
  const exponent = unsignedIntegerBytes(fields.expect(TAG.INTEGER, 'publicExponent'));
  fields.end('RSAPublicKey');
  const size = modulus.length * 8 - (Math.clz32(modulus[0] ?? 0) - 24);
  const name = `RSA of ${size} bits`;
  const isOdd = ((modulus.at(-1) ?? 0) & 1) === 1 && ((exponent.at(-1) ?? 0) & 1) === 1;
  const isOne = exponent.length === 1 && (exponent[0] ?? 0) < 3;
  // A size that is no multiple of 8 is made by no key generator in use, but by mistakes.
  if (!isOdd || isOne || exponent.length > MAX_RSA_EXPONENT_BYTES || size > RSA_BITS.max || size < RSA_BITS.legacy || size % 8 !== 0) return unsupported(`${name} as nobody should make it`);
  return { standing: size >= RSA_BITS.supported ? 'supported' : 'legacy', name, family, key: undefined };
}

/** A signature scheme by its AlgorithmIdentifier. */
interface Scheme {
  standing: Standing;
  families: readonly Family[];
  /** As node:crypto wants it; null where the scheme hashes by itself. */
  digest: string | null;
  /** Octets, of PSS. */
  saltLength?: number;
}

const RSA: readonly Family[] = ['rsa'];
const SCHEMES: Readonly<Record<string, Scheme & { parameters: 'none' | 'null' }>> = {
  [OID.ecdsaWithSha256]: { standing: 'supported', families: ['ecdsa'], digest: 'sha256', parameters: 'none' },
  [OID.ecdsaWithSha384]: { standing: 'supported', families: ['ecdsa'], digest: 'sha384', parameters: 'none' },
  [OID.ecdsaWithSha512]: { standing: 'supported', families: ['ecdsa'], digest: 'sha512', parameters: 'none' },
  [OID.ed25519]: { standing: 'supported', families: ['ed25519'], digest: null, parameters: 'none' },
  [OID.sha256WithRsaEncryption]: { standing: 'supported', families: RSA, digest: 'sha256', parameters: 'null' },
  [OID.sha384WithRsaEncryption]: { standing: 'supported', families: RSA, digest: 'sha384', parameters: 'null' },
  [OID.sha512WithRsaEncryption]: { standing: 'supported', families: RSA, digest: 'sha512', parameters: 'null' },
  [OID.sha1WithRsaEncryption]: { standing: 'legacy', families: RSA, digest: 'sha1', parameters: 'null' },
  [OID.sha224WithRsaEncryption]: { standing: 'legacy', families: RSA, digest: 'sha224', parameters: 'null' },
  [OID.ecdsaWithSha1]: { standing: 'legacy', families: ['ecdsa'], digest: 'sha1', parameters: 'none' },
  [OID.ecdsaWithSha224]: { standing: 'legacy', families: ['ecdsa'], digest: 'sha224', parameters: 'none' },
  [OID.dsaWithSha1]: { standing: 'legacy', families: ['dsa'], digest: 'sha1', parameters: 'none' },
  [OID.dsaWithSha256]: { standing: 'legacy', families: ['dsa'], digest: 'sha256', parameters: 'none' },
};

/** Read schemes, by their octets: there are few of them. */
const schemes = new Map<string, Scheme>();
const MAX_SCHEMES = 256;
const NO_SCHEME: Scheme = { standing: 'unsupported', families: [], digest: null };

function schemeOf(algorithm: Buffer): Scheme {
  const octets = algorithm.toString('latin1');
  const known = schemes.get(octets);
  if (known) return known;
  const scheme = readScheme(algorithm);
  if (schemes.size >= MAX_SCHEMES) schemes.clear();
  schemes.set(octets, scheme);
  return scheme;
}

function readScheme(algorithm: Buffer): Scheme {
  try {
    const top = open(algorithm);
    const fields = top.sequence('AlgorithmIdentifier');
    top.end('AlgorithmIdentifier');
    const id = oidValue(fields.expect(TAG.OID, 'algorithm'));
    if (id === OID.rsassaPss) return readPss(fields);
    const scheme = SCHEMES[id];
    // NULL may be missing (RFC 4055 §5).
    if (scheme?.parameters === 'null' && !fields.done && !fields.next().raw.equals(nullValue())) return NO_SCHEME;
    fields.end('AlgorithmIdentifier');
    return scheme ?? NO_SCHEME;
  } catch (error) {
    if (error instanceof DerError) return NO_SCHEME;
    throw error;
  }
}

const PSS_DIGESTS: Readonly<Record<string, { digest: string; standing: Standing }>> = {
  [OID.sha256]: { digest: 'sha256', standing: 'supported' },
  [OID.sha384]: { digest: 'sha384', standing: 'supported' },
  [OID.sha512]: { digest: 'sha512', standing: 'supported' },
  [OID.sha1]: { digest: 'sha1', standing: 'legacy' },
};

/** RSASSA-PSS-params (RFC 4055 §3.1): the same digest for message and mask, trailer 1. Defaults are those of SHA-1. @throws DerError */
function readPss(algorithm: DerCursor): Scheme {
  const fields = algorithm.sequence('RSASSA-PSS-params');
  algorithm.end('AlgorithmIdentifier');
  const hash = fields.optional(0xa0);
  const mask = fields.optional(0xa1);
  const salt = fields.optional(0xa2);
  const trailer = fields.optional(0xa3);
  fields.end('RSASSA-PSS-params');
  const hashId = hash ? digestId(fields.descend(hash)) : OID.sha1;
  const maskHashId = mask ? maskDigestId(fields.descend(mask)) : OID.sha1;
  const digest = PSS_DIGESTS[hashId];
  const saltLength = salt ? smallInteger(fields.descend(salt).expect(TAG.INTEGER, 'saltLength')) : 20;
  if (!digest || maskHashId !== hashId || trailer || saltLength > 64) return NO_SCHEME;
  return { ...digest, families: ['rsa', 'rsa-pss'], saltLength };
}

function digestId(wrapper: DerCursor): string {
  const fields = wrapper.sequence('hashAlgorithm');
  const id = oidValue(fields.expect(TAG.OID, 'hashAlgorithm'));
  if (!fields.done && !fields.next().raw.equals(nullValue())) throw new DerError('parameters of a digest', 0);
  fields.end('hashAlgorithm');
  return id;
}

function maskDigestId(wrapper: DerCursor): string {
  const fields = wrapper.sequence('maskGenAlgorithm');
  if (oidValue(fields.expect(TAG.OID, 'maskGenAlgorithm')) !== OID.mgf1) throw new DerError('mask that is not MGF1', 0);
  return digestId(fields);
}

/** Whether an algorithm of signatures may be used at all. */
export const signatureStanding = (algorithm: Buffer): Standing => schemeOf(algorithm).standing;

/** Whether `signature` over `data` is by `key`. False for whatever does not fit together; never throws. Standing is the caller's to judge. */
export function verifyForeignSignature(key: ForeignKey, algorithm: Buffer, data: Buffer, signature: Buffer): boolean {
  const scheme = schemeOf(algorithm);
  if (!key.key || key.family === undefined || !scheme.families.includes(key.family)) return false;
  try {
    if (scheme.saltLength === undefined) return verify(scheme.digest, data, key.key, signature);
    return verify(scheme.digest, data, { key: key.key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.saltLength }, signature);
  } catch {
    return false;
  }
}
