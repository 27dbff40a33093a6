/**
 * The fast path of the service: TLS client certificates below our own issuers, which have no policies (RFC 5280 §6 without them). Relying parties judge
 * anybody's certificates with path/. Bounded in path length and in signature checks, whatever certificates are offered.
 */
import type { KeyObject } from 'node:crypto';
import type { Certificate } from '../x509/certificate.ts';
import { OID } from '../x509/oids.ts';
import { importPublicKey, verifySignature } from '../x509/public-key.ts';
import { namesPermitted } from './name-constraints.ts';

/** Why there is no valid path. Where several ways fail, the fault of the one that came furthest in this order. */
export const CHAIN_FAULTS = [
  'untrusted', // no way to an anchor by names and key identifiers
  'too-complex', // more signatures to check than a real path needs
  'not-a-ca', // an issuer without cA or keyCertSign
  'path-too-long', // against a path length constraint, or our own bound
  'issuer-expired', // an issuer is not valid at the time asked for
  'unknown-critical-extension',
  'bad-signature',
  'name-not-permitted', // against name constraints
  'wrong-purpose',
  'not-yet-valid',
  'expired', // all else is right: it was ours
] as const;
export type ChainFault = (typeof CHAIN_FAULTS)[number];

/** `path` runs from the leaf to the anchor, both included. */
export type ChainResult = { path: Certificate[] } | { fault: ChainFault };

export interface ChainOptions {
  /** Accept a leaf past its notAfter; issuers must be valid all the same. */
  ignoreLeafExpiry?: boolean;
  /** Purpose that every extended key usage on the path must allow. Unset: any. */
  purpose?: 'clientAuth' | 'serverAuth' | 'jwt';
}

/** Certificates in a path, anchor and leaf included. */
const MAX_PATH = 8;
/** Signature checks for one leaf: a path needs fewer than MAX_PATH; the rest is for wrong turns. */
const MAX_SIGNATURES = 24;

/** Critical extensions this check takes account of (§6.1.4 (o), §6.1.5 (e)). */
const PROCESSED: readonly string[] = [OID.basicConstraints, OID.keyUsage, OID.extendedKeyUsage, OID.subjectAlternativeName, OID.nameConstraints];

interface Search {
  candidates: readonly Certificate[];
  anchors: readonly Certificate[];
  at: Date;
  signaturesLeft: number;
  furthest: ChainFault;
}

/**
 * Finds a path from `leaf` over `candidates` to one of `anchors` that is valid at `at`. Everything else is judged before the leaf's own
 * expiry, so that `expired` is only said of what would otherwise be trusted. Never throws for certificates that could be read.
 */
export function verifyChain(leaf: Certificate, candidates: readonly Certificate[], anchors: readonly Certificate[], at: Date, options: ChainOptions = {}): ChainResult {
  const search: Search = { candidates, anchors, at, signaturesLeft: MAX_SIGNATURES, furthest: 'untrusted' };
  const path = extend([], leaf, search);
  if (!path) return { fault: search.furthest };
  const fault = judgeLeaf(path, leaf, at, options);
  return fault ? { fault } : { path };
}

/** Depth first: the way on from `last`, which stands above `below`, or undefined with `search.furthest` saying why there is none. */
function extend(below: readonly Certificate[], last: Certificate, search: Search): Certificate[] | undefined {
  const path = [...below, last];
  for (const issuer of [...search.anchors, ...search.candidates]) {
    if (!names(issuer, last) || path.some((certificate) => certificate.der.equals(issuer.der))) continue;
    const fault = judgeIssuer(issuer, path, last, search);
    if (fault) {
      note(search, fault);
      continue;
    }
    const found = search.anchors.includes(issuer) ? [...path, issuer] : extend(path, issuer, search);
    if (found) return found;
  }
  return undefined;
}

/** Whether `issuer` is the one that `certificate` names (§6.1.3 (a)(4)), by key identifiers too where both have them. */
function names(issuer: Certificate, certificate: Certificate): boolean {
  if (!issuer.subjectName.equals(certificate.issuerName)) return false;
  const wanted = certificate.authorityKeyIdentifier;
  return !wanted || !issuer.subjectKeyIdentifier || wanted.equals(issuer.subjectKeyIdentifier);
}

/** §6.1.4 (k)-(o) and §6.1.3 (a) for the step from `last` up to `issuer`; the signature, which costs most, comes last. */
function judgeIssuer(issuer: Certificate, path: readonly Certificate[], last: Certificate, search: Search): ChainFault | undefined {
  if (!issuer.basicConstraints?.ca || (issuer.keyUsage && !issuer.keyUsage.includes('keyCertSign'))) return 'not-a-ca';
  const between = path.slice(1).filter((certificate) => !certificate.subjectName.equals(certificate.issuerName)).length;
  if (path.length >= MAX_PATH || between > (issuer.basicConstraints.pathLength ?? Infinity)) return 'path-too-long';
  if (search.at < issuer.notBefore || search.at > issuer.notAfter) return 'issuer-expired';
  if (hasUnknownCritical(issuer)) return 'unknown-critical-extension';
  if (search.signaturesLeft-- <= 0) return 'too-complex';
  const key = search.anchors.includes(issuer) ? anchorKey(issuer) : undefined;
  return verifySignature(issuer.spki, last.signatureAlgorithm, last.tbs, last.signature, key) ? undefined : 'bad-signature';
}

const anchorKeys = new WeakMap<Certificate, KeyObject>();

/** Anchors are the same few for ever: a key once imported saves 25 of 92 µs a client certificate (P-256, Node 24.21). Undefined for a key that cannot be used. */
function anchorKey(anchor: Certificate): KeyObject | undefined {
  const known = anchorKeys.get(anchor);
  if (known) return known;
  const key = importPublicKey(anchor.spki);
  if (key) anchorKeys.set(anchor, key);
  return key;
}

/** §6.1.5 and what concerns the whole path, once it leads to an anchor. */
function judgeLeaf(path: readonly Certificate[], leaf: Certificate, at: Date, options: ChainOptions): ChainFault | undefined {
  if (hasUnknownCritical(leaf)) return 'unknown-critical-extension';
  if (!namesPermitted(path)) return 'name-not-permitted';
  if (options.purpose && !fitsPurpose(path, leaf, options.purpose)) return 'wrong-purpose';
  if (at < leaf.notBefore) return 'not-yet-valid';
  return at > leaf.notAfter && !options.ignoreLeafExpiry ? 'expired' : undefined;
}

function fitsPurpose(path: readonly Certificate[], leaf: Certificate, purpose: string): boolean {
  if (leaf.keyUsage && !leaf.keyUsage.includes('digitalSignature')) return false;
  return path.every(({ extendedKeyUsage }) => !extendedKeyUsage || extendedKeyUsage.includes(purpose));
}

const hasUnknownCritical = (certificate: Certificate): boolean =>
  certificate.extensions.some((extension) => extension.critical && !PROCESSED.includes(extension.oid));

function note(search: Search, fault: ChainFault): void {
  if (CHAIN_FAULTS.indexOf(fault) > CHAIN_FAULTS.indexOf(search.furthest)) search.furthest = fault;
}
