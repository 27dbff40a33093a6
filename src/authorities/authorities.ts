import type { SigningKey } from '../keystore/key-store.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { LintSubject } from '../x509/lint/index.ts';
import type { SigningToken } from './prepare.ts';

/** Life of an issuer: made and published → issues → keeps its lists and responder until its last leaf is dead → only a record. */
export type AuthorityState = 'prepared' | 'active' | 'retiring' | 'retired';

/** A CA certificate of ours with its key. */
export interface Authority {
  readonly id: string;
  readonly kind: 'root' | 'issuing';
  readonly state: AuthorityState;
  /** Id of the root that signed it; null for a root. */
  readonly issuerId: string | null;
  readonly certificate: Certificate;
  readonly der: Buffer;
  readonly pem: string;
  /** Subject Name, DER: the issuer name of what it signs. */
  readonly nameDer: Buffer;
  readonly keyIdentifier: Buffer;
  /** AlgorithmIdentifier (DER) of signatures made by its key. */
  readonly signatureAlgorithm: Buffer;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly revokedAt: Date | null;
  /** CRL shards of what it issues; 1 means only the complete list. */
  readonly shardCount: number;
  /** What lints need to know of the issuer of a certificate. */
  readonly lintFacts: LintSubject['issuer'];
  /** Signs a linted TBSCertificate once and returns the certificate, DER. @throws SignetError `internal` when the token was used or names another issuer */
  sign(token: SigningToken): Promise<Buffer>;
  /** Signature over a TBSCertList in parts (RFC 5280 §5.1.1.3). @throws SignetError `internal` for anything else */
  signCrl(tbsCertList: AsyncIterable<Buffer>): Promise<Buffer>;
}

export interface Root extends Authority {
  readonly kind: 'root';
}

/** A CA certificate that issues leaves. */
export interface Issuer extends Authority {
  readonly kind: 'issuing';
  readonly issuerId: string;
}

/** A delegated OCSP responder (RFC 6960 §4.2.2.2) of one issuer. */
export interface Responder {
  readonly id: string;
  readonly issuerId: string;
  readonly certificate: Certificate;
  readonly der: Buffer;
  readonly key: SigningKey;
  /** AlgorithmIdentifier (DER) of its signatures. */
  readonly signatureAlgorithm: Buffer;
  readonly notBefore: Date;
  /** No answer's nextUpdate may lie past this. */
  readonly notAfter: Date;
}

/** Signet's own TLS server certificate with its chain, leaf first. */
export interface TlsIdentity {
  readonly id: string;
  readonly issuerId: string;
  readonly keyId: string;
  readonly certificate: Certificate;
  readonly certificateChainPem: string;
  readonly notAfter: Date;
}

/** The key that signs what the live feed says, with its certificate. */
export interface FeedKey {
  readonly id: string;
  readonly issuerId: string;
  readonly key: SigningKey;
  readonly der: Buffer;
  readonly notAfter: Date;
}

/** The authority as one replica knows it: immutable, replaced as a whole. */
export interface AuthoritySnapshot {
  /** Every root that is not retired, oldest first: the trust bundle. */
  readonly roots: readonly Root[];
  /** The root new issuers are made under. */
  readonly activeRoot: Root;
  /** Every issuing CA that is not retired: prepared, active, retiring. */
  readonly issuing: readonly Issuer[];
  /** The issuer of new leaves. @throws SignetError `issuer-unavailable` when there is none, or it has expired or was revoked */
  readonly active: Issuer;
  readonly tls: TlsIdentity | undefined;
  /** Undefined until the job that makes it has run once. */
  readonly feed: FeedKey | undefined;
  /** Changes with every change of `roots` and only grows (SPIFFE Trust Domain and Bundle §4.1.1). */
  readonly bundleSequence: number;
  readonly issuerById: (id: string) => Issuer | undefined;
  readonly rootById: (id: string) => Root | undefined;
  /** DER certificates to send after a leaf of this issuer: the issuer, then cross certificates of its root while their signers live. Never a root. */
  readonly chainFor: (issuerId: string) => Buffer[];
  /** The same as PEM, one after the other. */
  readonly chainPemFor: (issuerId: string) => string;
  readonly responderFor: (issuerId: string) => Responder | undefined;
  /** The issuer an OCSP CertID speaks of (RFC 6960 §4.1.1); hashes of the issuer's name and of its subjectPublicKey bits. */
  readonly byNameAndKeyHash: (algorithm: 'sha1' | 'sha256', nameHash: Uint8Array, keyHash: Uint8Array) => Issuer | undefined;
}

/** The living view of the authority: read again at once on NOTIFY, and at least every 2 s. */
export interface Authorities {
  snapshot(): AuthoritySnapshot;
  /** Resolves when a snapshot read after this call is in place. @throws when the database cannot be read; the old snapshot stays */
  reload(): Promise<void>;
  /** Calls the listener after every change of the snapshot. */
  subscribe(listener: (snapshot: AuthoritySnapshot) => void): void;
  close(): Promise<void>;
}
