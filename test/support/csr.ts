/** CSRs (RFC 2986) built octet by octet, as no honest tool would: each part can be bent. */
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { bitString, context, integer, oid, sequence, setOf } from '../../src/x509/der/writer.ts';
import { encodeExtensions, type Extension } from '../../src/x509/extensions/extension.ts';
import { encodeName, type NameAttribute } from '../../src/x509/names.ts';
import { OID } from '../../src/x509/oids.ts';
import { temporaryFolder } from './postgres.ts';

export interface SigningKey {
  privateKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  spki: Buffer;
  /** PKCS#8, PEM. */
  pem: string;
}

export function makeKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, spki: publicKey.export({ format: 'der', type: 'spki' }), pem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

export interface CsrParts {
  key?: SigningKey;
  /** Another key in the request than the one that signs. */
  spki?: Buffer;
  subject?: NameAttribute[];
  /** Attributes, DER each; `extensionRequest` makes one. */
  attributes?: Buffer[];
  version?: number;
  signatureAlgorithm?: Buffer;
}

export const ECDSA_WITH_SHA256 = sequence(oid(OID.ecdsaWithSha256));

/** CertificationRequestInfo. */
export const requestInfo = ({ spki = makeKey().spki, subject = [], attributes = [], version = 0 }: Omit<CsrParts, 'key' | 'signatureAlgorithm'> = {}): Buffer =>
  sequence(integer(version), encodeName(subject), spki, context(0, ...attributes));

/** CertificationRequest; `signature` as it is. */
export const requestOf = (info: Buffer, signature: Buffer, signatureAlgorithm: Buffer = ECDSA_WITH_SHA256): Buffer => sequence(info, signatureAlgorithm, bitString(signature));

/** A CSR of these parts, signed by `key` (default: a fresh P-256 key). */
export function makeCsr({ key = makeKey(), spki = key.spki, signatureAlgorithm, ...parts }: CsrParts = {}): Buffer {
  const info = requestInfo({ ...parts, spki });
  return requestOf(info, sign('sha256', info, key.privateKey), signatureAlgorithm);
}

/** The attribute extensionRequest (RFC 2985 §5.4.2), under its name or another. */
export const extensionRequest = (extensions: Extension[], type: string = OID.extensionRequest): Buffer => sequence(oid(type), setOf(encodeExtensions(extensions)));

/** A CSR that openssl makes of a key that openssl makes: `generate` is its command without `-out`. DER. */
export function opensslCsr(generate: string[], request: string[] = []): Buffer {
  const folder = temporaryFolder('signet-csr-');
  try {
    const key = path.join(folder, 'key.pem');
    const quiet: ExecFileSyncOptions = { stdio: 'ignore' };
    execFileSync('openssl', [generate[0] ?? '', '-out', key, ...generate.slice(1)], quiet);
    execFileSync('openssl', ['req', '-new', '-key', key, '-subj', '/', '-outform', 'DER', '-out', path.join(folder, 'csr.der'), ...request], quiet);
    return fs.readFileSync(path.join(folder, 'csr.der'));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
