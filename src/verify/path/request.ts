/** What a path is asked for with, and the answer. Pure: time is given, nothing is fetched. */
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import type { ForeignCrl } from '../../x509/foreign/crl.ts';
import type { CrlMemory } from './crl-memory.ts';
import type { PathReason } from './reasons.ts';
import type { CertificateStore } from './store.ts';

/** What the certificate is to be used for: its extended key usage, by name or dotted OID. */
export const PURPOSES = ['serverAuth', 'clientAuth', 'codeSigning', 'emailProtection', 'timeStamping', 'OCSPSigning', 'jwt'] as const;
export type Purpose = (typeof PURPOSES)[number];

/**
 * Whose revocation must be known: nobody's; the leaf's; that of every certificate below the anchor. Unset: `path` when lists are given, else `leaf`
 * when OCSP answers are, else `none`. What is given is always looked at, and a certificate that it says is revoked is refused.
 */
export type RevocationMode = 'none' | 'leaf' | 'path';

export interface PathRequest {
  /** The trust anchors. Their names, keys, validity and constraints count; their signatures do not. */
  anchors: CertificateStore;
  /** Certificates a path may be built of; their order means nothing. */
  intermediates?: CertificateStore | undefined;
  leaf: ForeignCertificate;
  /** Lists, DER or as read (`readCrl`), in any order. */
  crls?: readonly (Uint8Array | ForeignCrl)[] | undefined;
  /** OCSPResponse, DER, each. */
  ocsp?: readonly Uint8Array[] | undefined;
  /** The nonce that was sent: every OCSP answer must have it. Unset: nonces are not looked at. */
  ocspNonce?: Uint8Array | undefined;
  revocation?: RevocationMode | undefined;
  /** Lists seen before: older ones are refused. */
  crlMemory?: CrlMemory | undefined;
  /** The time at which everything must be valid. */
  time: Date;
  /** Unset: any. */
  purpose?: Purpose | undefined;
  /** DNS name or IP address that the leaf must be for. */
  host?: string | undefined;
  /** SPIFFE ID that the leaf, an X.509-SVID, must be for. */
  spiffeId?: string | undefined;
  /** Trust domain of which the leaf must be an X.509-SVID, whatever its path. */
  trustDomain?: string | undefined;
  /** user-initial-policy-set (RFC 5280 §6.1.1 (c)), dotted. Unset or with anyPolicy in it: any. */
  initialPolicies?: readonly string[] | undefined;
  /** initial-explicit-policy. */
  requireExplicitPolicy?: boolean | undefined;
  /** initial-policy-mapping-inhibit. */
  inhibitMapping?: boolean | undefined;
  /** initial-any-policy-inhibit. */
  inhibitAnyPolicy?: boolean | undefined;
  /** CAs between leaf and anchor, those that are self-issued not counted. At most and by default 16. */
  maxDepth?: number | undefined;
  /** SHA-1 and SHA-224 signatures, RSA from 1024 bits, DSA. */
  allowLegacyAlgorithms?: boolean | undefined;
}

export interface PathResult {
  valid: boolean;
  /** From the leaf to the anchor, both included: of a valid path, else of the one that came furthest, or empty. */
  path: ForeignCertificate[];
  /** Empty exactly when the path is valid. The first is the one to tell. */
  reasons: PathReason[];
}
