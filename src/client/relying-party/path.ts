import { verifyChain, type ChainFault } from '../../verify/chain.ts';
import { parseSpiffeId } from '../../core/spiffe-id.ts';
import type { Certificate } from '../../x509/certificate.ts';
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

/** Where nothing can be said of the time, because something else is wrong first. */
const UNTRUSTED: Partial<Record<ChainFault, string>> = {
  untrusted: 'no way to a trusted root',
  'too-complex': 'the chain is more than is looked at',
  'bad-signature': 'a signature in the chain is wrong',
};

/** Validates the path (RFC 5280 §6) at `now`. The one place where the SDK judges certificates. */
export function validatePeer(leaf: Certificate, candidates: readonly Certificate[], roots: readonly Certificate[], now: Date, purpose: PathPurpose): TrustedPath | Refused {
  const result = verifyChain(leaf, candidates, roots, now, { purpose });
  if ('path' in result) {
    const times = (pick: (one: Certificate) => Date): number[] => result.path.map((one) => pick(one).getTime());
    return { certificates: result.path, notBefore: new Date(Math.max(...times(({ notBefore }) => notBefore))), notAfter: new Date(Math.min(...times(({ notAfter }) => notAfter))) };
  }
  if (result.fault === 'expired') return refuse('certificate-expired', `the certificate ended at ${leaf.notAfter.toISOString()}`);
  if (result.fault === 'not-yet-valid') return refuse('certificate-not-yet-valid', `the certificate begins at ${leaf.notBefore.toISOString()}`);
  return refuse('certificate-untrusted', UNTRUSTED[result.fault] ?? `the chain is not valid: ${result.fault}`);
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
