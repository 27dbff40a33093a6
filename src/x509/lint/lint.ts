import type { Certificate } from '../certificate.ts';
import type { Extension } from '../extensions/extension.ts';

/** What a certificate is for. `cross` is a CA certificate for the key of another root of ours. */
export type CertificateKind = 'leaf' | 'issuing' | 'root' | 'cross' | 'ocsp' | 'tls' | 'feed';

/** The CA certificate whose key will sign; for a root, its own facts. */
export interface LintIssuer {
  /** Name, DER. */
  subjectName: Buffer;
  subjectKeyIdentifier: Buffer;
  /** AlgorithmIdentifier (DER) of the one scheme this issuer signs with. */
  signatureAlgorithm: Buffer;
  notBefore: Date;
  notAfter: Date;
  /** pathLenConstraint; undefined when there is none. */
  pathLength: number | undefined;
}

/** A certificate about to be signed, and what it is measured against. */
export interface LintSubject {
  /** Read back from the TBSCertificate that will be signed. */
  certificate: Certificate;
  kind: CertificateKind;
  issuer: LintIssuer;
  /** SubjectPublicKeyInfo (DER) that was proven or generated. */
  expectedSpki: Uint8Array;
  /** What the agent is registered as; leaves only. */
  registration?: LintRegistration | undefined;
}

export interface LintRegistration {
  agentId: string;
  instanceId: string;
  trustDomain: string;
  /** DNS names the registration allows; a leaf may carry fewer. */
  dnsNames: readonly string[];
  /** Whether the profile puts the instance into the SPIFFE ID. */
  instanceInPath: boolean;
}

/** One rule: one file. `check` says what is wrong, or nothing; a DerError counts as what is wrong. */
export interface Lint {
  name: string;
  /** Where the rule is written. */
  reference: string;
  check(subject: LintSubject): string | undefined;
}

export interface LintFault {
  lint: string;
  reference: string;
  message: string;
}

export const isAuthority = (kind: CertificateKind): boolean => kind === 'root' || kind === 'issuing' || kind === 'cross';

export const findExtension = (certificate: Certificate, oid: string): Extension | undefined =>
  certificate.extensions.find((extension) => extension.oid === oid);
