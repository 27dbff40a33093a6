/** The one table of algorithms (RFC 5480, 8410, 3279, 4055, 5758). Nothing else switches on their names. */
import { nullValue, oid, sequence } from './der/writer.ts';
import { OID } from './oids.ts';

/** Keys Signet certifies and signs with. RSA subject keys of other sizes up to 4096 bits go by the next lower name. */
export type KeyAlgorithm = 'ecdsa-p256' | 'ecdsa-p384' | 'ed25519' | 'rsa-2048' | 'rsa-3072' | 'rsa-4096';

/** Keys that can make the same kind of signature. */
export type KeyFamily = 'ecdsa' | 'ed25519' | 'rsa';

/** One signature scheme as X.509 names it. */
export interface SignatureScheme {
  oid: string;
  /** AlgorithmIdentifier, DER. */
  der: Buffer;
  /** First argument of node:crypto sign and verify; null where the scheme hashes by itself. */
  digest: 'sha256' | 'sha384' | 'sha512' | null;
  family: KeyFamily;
}

/** A kind of key: how SubjectPublicKeyInfo names it, and the one scheme Signet signs with. */
export interface AlgorithmRecord {
  key: KeyAlgorithm;
  family: KeyFamily;
  /** AlgorithmIdentifier of the SubjectPublicKeyInfo, DER. */
  keyIdentifier: Buffer;
  signature: SignatureScheme;
}

const scheme = (family: KeyFamily, dotted: string, digest: SignatureScheme['digest'], ...parameters: Buffer[]): SignatureScheme => ({
  oid: dotted,
  der: sequence(oid(dotted), ...parameters),
  digest,
  family,
});

// ECDSA and Ed25519 have no parameters (RFC 5758 §3.2, RFC 8410 §3); PKCS #1 v1.5 has NULL (RFC 4055 §5).
const ecdsaSha256 = scheme('ecdsa', OID.ecdsaWithSha256, 'sha256');
const ecdsaSha384 = scheme('ecdsa', OID.ecdsaWithSha384, 'sha384');
const ecdsaSha512 = scheme('ecdsa', OID.ecdsaWithSha512, 'sha512');
const ed25519 = scheme('ed25519', OID.ed25519, null);
const rsaSha256 = scheme('rsa', OID.sha256WithRsaEncryption, 'sha256', nullValue());
const rsaSha384 = scheme('rsa', OID.sha384WithRsaEncryption, 'sha384', nullValue());
const rsaSha512 = scheme('rsa', OID.sha512WithRsaEncryption, 'sha512', nullValue());

const ecKey = (curve: string): Buffer => sequence(oid(OID.ecPublicKey), oid(curve));
const rsaKey = sequence(oid(OID.rsaEncryption), nullValue());

/** Kinds of keys by name. */
export const ALGORITHMS: Readonly<Record<KeyAlgorithm, AlgorithmRecord>> = {
  'ecdsa-p256': { key: 'ecdsa-p256', family: 'ecdsa', keyIdentifier: ecKey(OID.secp256r1), signature: ecdsaSha256 },
  'ecdsa-p384': { key: 'ecdsa-p384', family: 'ecdsa', keyIdentifier: ecKey(OID.secp384r1), signature: ecdsaSha384 },
  ed25519: { key: 'ed25519', family: 'ed25519', keyIdentifier: sequence(oid(OID.ed25519)), signature: ed25519 },
  'rsa-2048': { key: 'rsa-2048', family: 'rsa', keyIdentifier: rsaKey, signature: rsaSha256 },
  'rsa-3072': { key: 'rsa-3072', family: 'rsa', keyIdentifier: rsaKey, signature: rsaSha256 },
  'rsa-4096': { key: 'rsa-4096', family: 'rsa', keyIdentifier: rsaKey, signature: rsaSha384 },
};

const keyOf = (der: Uint8Array): string => Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('latin1');

const SCHEMES: ReadonlyMap<string, SignatureScheme> = new Map([
  ...[ecdsaSha256, ecdsaSha384, ecdsaSha512, ed25519, rsaSha256, rsaSha384, rsaSha512].map((one) => [keyOf(one.der), one] as const),
  // RFC 4055 §5: parameters of the RSA schemes that are absent are accepted as NULL.
  ...[rsaSha256, rsaSha384, rsaSha512].map((one) => [keyOf(sequence(oid(one.oid))), one] as const),
]);

/** The scheme an AlgorithmIdentifier (DER) names; undefined when we do not accept it: SHA-1, MD5, PSS and DSA are not in the table. */
export const signatureAlgorithmByDer = (identifier: Uint8Array): SignatureScheme | undefined => SCHEMES.get(keyOf(identifier));

const FAMILIES: ReadonlyMap<string, AlgorithmRecord> = new Map(
  // Of the three RSA records, which differ in size only, the first stands for the family.
  Object.values(ALGORITHMS).toReversed().map((record) => [keyOf(record.keyIdentifier), record] as const),
);

/**
 * The record whose SubjectPublicKeyInfo AlgorithmIdentifier (DER) this is; undefined for key types and curves we do not accept. For RSA of
 * every size it is `rsa-2048`.
 */
export const keyAlgorithmByDer = (identifier: Uint8Array): AlgorithmRecord | undefined => FAMILIES.get(keyOf(identifier));
