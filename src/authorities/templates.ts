import type { KeyAlgorithm } from '../x509/algorithms.ts';
import { encodeAuthorityInformationAccess } from '../x509/extensions/authority-information-access.ts';
import { encodeAuthorityKeyIdentifier } from '../x509/extensions/authority-key-identifier.ts';
import { encodeBasicConstraints } from '../x509/extensions/basic-constraints.ts';
import { encodeCrlDistributionPoints } from '../x509/extensions/crl-distribution-points.ts';
import { encodeExtendedKeyUsage } from '../x509/extensions/extended-key-usage.ts';
import type { Extension } from '../x509/extensions/extension.ts';
import { encodeKeyUsage } from '../x509/extensions/key-usage.ts';
import { encodeNameConstraints } from '../x509/extensions/name-constraints.ts';
import { encodeNoRevAvail } from '../x509/extensions/no-rev-avail.ts';
import { encodeOcspNoCheck } from '../x509/extensions/ocsp-nocheck.ts';
import { encodeSubjectAlternativeName } from '../x509/extensions/subject-alternative-name.ts';
import { encodeSubjectKeyIdentifier } from '../x509/extensions/subject-key-identifier.ts';
import type { NameAttribute } from '../x509/names.ts';

/** What these certificates take from config. */
export interface AuthorityConfig {
  readonly trustDomain: string;
  readonly organization: string;
  readonly publicUrl: string;
  readonly nameConstraints: 'off' | 'noncritical' | 'critical';
  readonly authorityKeyAlgorithm: KeyAlgorithm;
  readonly authorityBackdateSeconds: number;
  readonly crlShards: number;
  readonly rootValidityDays: number;
  readonly issuerValidityDays: number;
  readonly responderValidityDays: number;
  readonly tlsValidityDays: number;
}

/** The CA certificate that signs, as far as what it signs speaks of it. */
export interface Signer {
  id: string;
  keyIdentifier: Buffer;
}

/** Names Signet's own TLS certificate carries. */
export interface TlsNames {
  dnsNames: readonly string[];
  ipAddresses: readonly string[];
}

/** RFC 5280 appendix A, ub-common-name. */
const COMMON_NAME_MAX = 64;

/** Subject of an authority certificate. The end of its id keeps generations apart: two CAs never share a name (RFC 5280 §4.1.2.6). */
export function authorityName(organization: string, role: 'Root CA' | 'Issuing CA' | 'OCSP Responder' | 'TLS' | 'Feed', id: string): NameAttribute[] {
  const rest = ` ${role} ${id.slice(-8)}`;
  return [
    { type: 'O', value: organization },
    { type: 'CN', value: `${organization.slice(0, COMMON_NAME_MAX - rest.length)}${rest}` },
  ];
}

/** URL of an issuer's complete CRL; it never changes. */
export const crlUrl = (config: Pick<AuthorityConfig, 'publicUrl'>, issuerId: string): string => `${config.publicUrl}/crl/${issuerId}/complete.crl`;

const certificateUrl = (config: Pick<AuthorityConfig, 'publicUrl'>, id: string): string => `${config.publicUrl}/issuers/${id}.cer`;

/** Where to find the signer and its revocations, for everything that is not a root. */
const pointersTo = (config: AuthorityConfig, signer: Signer): Extension[] => [
  encodeCrlDistributionPoints([crlUrl(config, signer.id)]),
  encodeAuthorityInformationAccess({ caIssuers: [certificateUrl(config, signer.id)] }),
];

/** Root (RFC 5280 §4.2.1): no path length, so that a successor can be cross-signed under it; what limits is the issuer's own 0. */
export const rootExtensions = (keyIdentifier: Buffer): Extension[] => [
  encodeBasicConstraints({ ca: true }),
  encodeKeyUsage(['keyCertSign', 'cRLSign']),
  encodeSubjectKeyIdentifier(keyIdentifier),
];

/** Issuing CA: signs leaves only (path length 0), no EKU; name constraints only if configured (ADR: off by default). */
export const issuingExtensions = (config: AuthorityConfig, root: Signer, keyIdentifier: Buffer): Extension[] => [
  encodeAuthorityKeyIdentifier(root.keyIdentifier),
  encodeSubjectKeyIdentifier(keyIdentifier),
  encodeBasicConstraints({ ca: true, pathLength: 0 }),
  encodeKeyUsage(['keyCertSign', 'cRLSign']),
  ...(config.nameConstraints === 'off' ? [] : [encodeNameConstraints({ permittedUris: [config.trustDomain] }, config.nameConstraints === 'critical')]),
  ...pointersTo(config, root),
];

/** The new root's name and key under an older root: one issuing CA may follow. */
export const crossExtensions = (config: AuthorityConfig, olderRoot: Signer, keyIdentifier: Buffer): Extension[] => [
  encodeAuthorityKeyIdentifier(olderRoot.keyIdentifier),
  encodeSubjectKeyIdentifier(keyIdentifier),
  encodeBasicConstraints({ ca: true, pathLength: 1 }),
  encodeKeyUsage(['keyCertSign', 'cRLSign']),
  ...pointersTo(config, olderRoot),
];

/** Delegated OCSP responder: OCSPSigning only, never asked about itself (RFC 6960 §4.2.2.2, §4.2.2.2.1). */
export const responderExtensions = (issuer: Signer, keyIdentifier: Buffer): Extension[] => [
  encodeAuthorityKeyIdentifier(issuer.keyIdentifier),
  encodeSubjectKeyIdentifier(keyIdentifier),
  encodeBasicConstraints({ ca: false }),
  encodeKeyUsage(['digitalSignature']),
  encodeExtendedKeyUsage(['OCSPSigning']),
  encodeOcspNoCheck(),
];

/** The key of the live feed: signs heartbeats and snapshots as JWS, nothing else (ADR 0009). Short-lived: nothing tells of its revocation (RFC 9608). */
export const feedExtensions = (issuer: Signer, keyIdentifier: Buffer): Extension[] => [
  encodeAuthorityKeyIdentifier(issuer.keyIdentifier),
  encodeSubjectKeyIdentifier(keyIdentifier),
  encodeBasicConstraints({ ca: false }),
  encodeKeyUsage(['digitalSignature']),
  encodeExtendedKeyUsage(['jwt']),
  encodeNoRevAvail(),
];

/** Signet's own doors: server authentication; its status is on the issuer's complete CRL and in OCSP. */
export const tlsExtensions = (config: AuthorityConfig, issuer: Signer, keyIdentifier: Buffer, names: TlsNames): Extension[] => [
  encodeAuthorityKeyIdentifier(issuer.keyIdentifier),
  encodeSubjectKeyIdentifier(keyIdentifier),
  encodeBasicConstraints({ ca: false }),
  encodeKeyUsage(['digitalSignature']),
  encodeExtendedKeyUsage(['serverAuth']),
  encodeSubjectAlternativeName({ uris: [], dnsNames: names.dnsNames, ipAddresses: names.ipAddresses }, false),
  encodeCrlDistributionPoints([crlUrl(config, issuer.id)]),
  encodeAuthorityInformationAccess({ ocsp: [`${config.publicUrl}/ocsp`], caIssuers: [certificateUrl(config, issuer.id)] }),
];
