import { parseSpiffeId } from '../../core/spiffe-id.ts';
import { createStore, validatePath, type CertificateStore, type PathReason, type PathReasonCode } from '../../verify/path/index.ts';
import type { Certificate } from '../../x509/certificate.ts';
import { DerError } from '../../x509/der/reader.ts';
import { parseForeignCertificate, type ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { OID } from '../../x509/oids.ts';
import { refuse, type Refused } from './decision.ts';

/** A certificate that leads to a trusted root, whatever the time. */
export interface TrustedPath {
  /** Leaf first, root last. */
  certificates: readonly Certificate[];
  /** All of them are valid between these. */
  notBefore: Date;
  notAfter: Date;
}

export type PathPurpose = 'clientAuth' | 'serverAuth';

/** Roots and issuers as the validator reads them: with the same object it keeps their keys, and the signatures that it checked. */
const read = new WeakMap<Certificate, ForeignCertificate | undefined>();
const stores = new WeakMap<readonly Certificate[], CertificateStore>();

/** Undefined: the validator cannot read it, so it leads nowhere. */
function foreignOf(certificate: Certificate): ForeignCertificate | undefined {
  if (read.has(certificate)) return read.get(certificate);
  const made = tryToRead(certificate.der);
  read.set(certificate, made);
  return made;
}

function tryToRead(der: Buffer): ForeignCertificate | undefined {
  try {
    return parseForeignCertificate(der);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

const storeOf = (certificates: readonly Certificate[]): CertificateStore => createStore(certificates.map(foreignOf).filter((one) => one !== undefined));

/** One store for the roots as long as they are the same ones. */
function anchorsOf(roots: readonly Certificate[]): CertificateStore {
  const known = stores.get(roots) ?? storeOf(roots);
  stores.set(roots, known);
  return known;
}

/** What is only a matter of when, of the certificate or of its issuers. */
const OVER: readonly PathReasonCode[] = ['expired', 'issuer-expired'];
const EARLY: readonly PathReasonCode[] = ['not-yet-valid', 'issuer-not-yet-valid'];
const MAX_SAID = 3;

/**
 * Validates the path (RFC 5280 §6) at `now`. The one place where the SDK judges certificates. The same roots must be the same array. @throws DerError for a leaf that the validator
 * cannot read
 */
export function validatePeer(leaf: Certificate, candidates: readonly Certificate[], roots: readonly Certificate[], now: Date, purpose: PathPurpose): TrustedPath | Refused {
  // Not kept: there are many leaves, and each is judged once.
  const result = validatePath({ leaf: parseForeignCertificate(leaf.der), anchors: anchorsOf(roots), intermediates: storeOf(candidates), time: now, purpose });
  if (!result.valid) return refusalOf(result.reasons);
  const all = [...candidates, ...roots];
  const certificates = result.path.map((foreign, index) => (index === 0 ? leaf : (all.find((one) => foreignOf(one) === foreign) ?? leaf)));
  const times = (pick: (one: Certificate) => Date): number[] => certificates.map((one) => pick(one).getTime());
  return { certificates, notBefore: new Date(Math.max(...times(({ notBefore }) => notBefore))), notAfter: new Date(Math.min(...times(({ notAfter }) => notAfter))) };
}

/** The code for reasons of the validator: of time only where nothing else is wrong. */
function refusalOf(reasons: readonly PathReason[]): Refused {
  const detail = reasons.slice(0, MAX_SAID).map(({ code, message }) => `${message} [${code}]`).join('; ');
  const are = (codes: readonly PathReasonCode[]): boolean => reasons.length > 0 && reasons.every(({ code }) => codes.includes(code));
  if (are(OVER)) return refuse('certificate-expired', detail);
  if (are(EARLY)) return refuse('certificate-not-yet-valid', detail);
  return refuse('certificate-untrusted', detail);
}

/** A SPIFFE ID of ours, as a certificate has it. */
export interface AgentName {
  spiffeId: string;
  agentId: string;
  instanceId: string | undefined;
}

/**
 * The one SPIFFE ID of a certificate (X509-SVID §2, §4.3): exactly one URI, in normal form, of our trust domain, of an agent; and a leaf that signs nothing.
 * Undefined: there is no URI at all.
 */
export function readAgentName(leaf: Certificate, trustDomain: string): AgentName | Refused | undefined {
  const uris = leaf.subjectAlternativeName?.uris ?? [];
  const [uri] = uris;
  if (uri === undefined) return undefined;
  if (uris.length > 1) return refuse('identity-not-accepted', 'the certificate has more than one URI');
  if (leaf.basicConstraints?.ca === true || leaf.keyUsage?.some((usage) => usage === 'keyCertSign' || usage === 'cRLSign') === true) return refuse('identity-not-accepted', 'the certificate may sign others: it is no identity');
  const id = parseSpiffeId(uri);
  if (!id) return refuse('identity-not-accepted', 'the URI is not a SPIFFE ID in its normal form');
  if (id.trustDomain !== trustDomain) return refuse('identity-not-accepted', 'the SPIFFE ID is of another trust domain');
  const [kind, agentId, below, instanceId, ...more] = id.segments;
  const hasInstance = below === 'instance' && instanceId !== undefined && more.length === 0;
  if (kind !== 'agent' || agentId === undefined || (below !== undefined && !hasInstance)) return refuse('identity-not-accepted', 'the SPIFFE ID is not that of an agent');
  return { spiffeId: uri, agentId, instanceId };
}

export const hasNoRevocation = (leaf: Certificate): boolean => leaf.extensions.some(({ oid }) => oid === OID.noRevAvail);
