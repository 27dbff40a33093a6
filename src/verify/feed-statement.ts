/**
 * What the key of the live feed says, as compact JWS (RFC 7515): heartbeats, and the ends of snapshots. Made by the service, judged by whoever follows the
 * feed with nothing but the trust bundle. Pure: time comes in as an argument.
 */
import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { KeyAlgorithm } from '../x509/algorithms.ts';
import { parseCertificate, type Certificate } from '../x509/certificate.ts';
import { DerError, open, unsignedIntegerBytes } from '../x509/der/reader.ts';
import { parsePublicKey } from '../x509/public-key.ts';
import { verifyChain } from './chain.ts';

/** `typ` of the header (RFC 8725 §3.11): one statement can never be taken for another, nor for a token of the same key purpose. */
export const STATEMENT_TYPES = { heartbeat: 'signet-heartbeat+jwt', snapshot: 'signet-snapshot+jwt' } as const;
export type StatementType = keyof typeof STATEMENT_TYPES;

const world = {
  cluster: z.string().min(1).max(64),
  epoch: z.int().min(1),
  /** Number of the last event committed at `time`. */
  n: z.int().min(0),
  /** When the database confirmed it: RFC 3339, UTC. */
  time: z.iso.datetime(),
};
const payloads = {
  heartbeat: z.object(world),
  snapshot: z.object({ ...world, entries: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
} as const;

/** Everything up to `n` was sent on this stream before, and at `time` there was no more. */
export type Heartbeat = z.output<typeof payloads.heartbeat>;
/** The end of a snapshot: `entries` lines between its first and its last, and the SHA-256 of all octets before the last. */
export type SnapshotEnd = z.output<typeof payloads.snapshot>;
type Payload<T extends StatementType> = z.output<(typeof payloads)[T]>;

/** How each kind of key signs (RFC 7518 §3.1, RFC 8037 §3.1). `half`: octets of each of the two numbers of an ECDSA signature. */
const SCHEMES = {
  'ecdsa-p256': { alg: 'ES256', digest: 'sha256', half: 32 },
  'ecdsa-p384': { alg: 'ES384', digest: 'sha384', half: 48 },
  ed25519: { alg: 'EdDSA', digest: null, half: undefined },
} as const;
type Scheme = (typeof SCHEMES)[keyof typeof SCHEMES];

const schemeOf = (algorithm: KeyAlgorithm): Scheme | undefined => SCHEMES[algorithm as keyof typeof SCHEMES];

/** What signs: a key of the store. ECDSA signatures come as X.509 has them (DER). */
export interface StatementKey {
  algorithm: KeyAlgorithm;
  sign(data: Uint8Array): Promise<Buffer>;
}

/** RFC 7515 §4.1.8: names the certificate of the key. */
export const thumbprintOf = (der: Uint8Array): string => createHash('sha256').update(der).digest('base64url');

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs a statement. @throws Error for a key that this is not defined for */
export async function signStatement<T extends StatementType>(type: T, payload: Payload<T>, signer: { certificate: Uint8Array; key: StatementKey }): Promise<string> {
  const scheme = schemeOf(signer.key.algorithm);
  if (!scheme) throw new Error(`a feed key cannot be ${signer.key.algorithm}`);
  const signed = `${part({ alg: scheme.alg, typ: STATEMENT_TYPES[type], 'x5t#S256': thumbprintOf(signer.certificate) })}.${part(payload)}`;
  const signature = await signer.key.sign(Buffer.from(signed, 'ascii'));
  return `${signed}.${(scheme.half === undefined ? signature : fixedSize(signature, scheme.half)).toString('base64url')}`;
}

/** An ECDSA signature of X.509 (SEQUENCE {r, s}) as JWS has it: both numbers at their full length (RFC 7518 §3.4). */
function fixedSize(der: Buffer, half: number): Buffer {
  const top = open(der);
  const numbers = top.sequence('ECDSA signature');
  const out = Buffer.alloc(2 * half);
  for (const end of [half, 2 * half]) {
    const number = unsignedIntegerBytes(numbers.next());
    number.copy(out, end - number.length);
  }
  return out;
}

/** Why a statement is not believed. */
export class StatementError extends Error {
  override readonly name = 'StatementError';
}

/** A feed key that leads to a trusted root. */
export interface TrustedFeedKey {
  thumbprint: string;
  certificate: Certificate;
  scheme: Scheme;
  key: KeyObject;
}

const MAX_CHAIN = 10;

/**
 * Judges the certificate of a feed key: chain to one of the roots, purpose, time. `x5c`: base64 DER, leaf first (RFC 7515 §4.1.6).
 * @throws StatementError
 */
export function trustFeedKey(x5c: readonly string[], roots: readonly Certificate[], at: Date): TrustedFeedKey {
  if (x5c.length === 0 || x5c.length > MAX_CHAIN) throw new StatementError('the feed key came without a usable chain');
  const [leaf, ...others] = x5c.map(readCertificate);
  if (!leaf) throw new StatementError('the feed key came without a certificate');
  // Said outright: a certificate without extended key usage would be good for every purpose.
  if (leaf.extendedKeyUsage?.length !== 1 || leaf.extendedKeyUsage[0] !== 'jwt') throw new StatementError('the certificate of the feed key is for another purpose');
  const result = verifyChain(leaf, others, roots, at, { purpose: 'jwt' });
  if ('fault' in result) throw new StatementError(`the certificate of the feed key is not trusted: ${result.fault}`);
  const scheme = schemeOf(parsePublicKey(leaf.spki).algorithm);
  if (!scheme) throw new StatementError('the feed key is of a kind that signs no statements');
  return { thumbprint: thumbprintOf(leaf.der), certificate: leaf, scheme, key: createPublicKey({ key: leaf.spki, format: 'der', type: 'spki' }) };
}

function readCertificate(base64: string): Certificate {
  try {
    return parseCertificate(Buffer.from(base64, 'base64'));
  } catch (error) {
    if (error instanceof DerError) throw new StatementError(`the chain of the feed key cannot be read: ${error.message}`);
    throw error;
  }
}

const header = z.strictObject({ alg: z.string(), typ: z.string(), 'x5t#S256': z.string() });
const MAX_STATEMENT = 4_096;

/**
 * The statement in a compact JWS by the key given, still valid at `at`. The algorithm is the key's; the header may only repeat it (RFC 8725 §3.1).
 * @throws StatementError
 */
export function readStatement<T extends StatementType>(type: T, jws: string, trusted: TrustedFeedKey, at: Date): Payload<T> {
  const parts = jws.length > MAX_STATEMENT ? [] : jws.split('.');
  const [head = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3) throw new StatementError('this is not a compact JWS');
  const said = header.safeParse(decode(head));
  const { scheme, key, thumbprint, certificate } = trusted;
  if (!said.success || said.data.alg !== scheme.alg || said.data.typ !== STATEMENT_TYPES[type]) throw new StatementError('the header is not that of such a statement');
  if (said.data['x5t#S256'] !== thumbprint) throw new StatementError('it is signed by another key than the one that was announced');
  if (at > certificate.notAfter) throw new StatementError(`the certificate of the feed key expired at ${certificate.notAfter.toISOString()}`);
  const octets = Buffer.from(signature, 'base64url');
  const how = scheme.half === undefined ? key : ({ key, dsaEncoding: 'ieee-p1363' } as const);
  if (!verify(scheme.digest, Buffer.from(`${head}.${payload}`, 'ascii'), how, octets)) throw new StatementError('the signature is not by the feed key');
  const read = payloads[type].safeParse(decode(payload));
  if (!read.success) throw new StatementError('the statement lacks what it must say');
  return read.data as Payload<T>;
}

function decode(base64url: string): unknown {
  try {
    return JSON.parse(Buffer.from(base64url, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
