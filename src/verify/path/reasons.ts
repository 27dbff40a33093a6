/** Why a certificate is not to be trusted: the closed list of reasons. Codes are stable; sentences are for people. */
import { foreignNameText } from '../../x509/foreign/name.ts';
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';

/**
 * Codes, those of a search that came less far first: where several ways fail, what is said is of the one that came furthest. The meaning stands in
 * docs/path-validation.md.
 */
export const PATH_REASONS = {
  // what was given
  'malformed-request': 'The question is not of its form.',
  'malformed-certificate': 'A certificate is not DER, or not of the form of RFC 5280 §4.',
  'certificate-too-large': 'A certificate has more octets than are read.',
  'too-many-certificates': 'More certificates, lists or answers than are looked at.',
  // building
  untrusted: 'No way leads to a trust anchor.',
  'too-complex': 'More ways, signatures or names than a real path needs; the search was ended.',
  'path-too-long': 'The path has more certificates than allowed.',
  'not-a-ca': 'An issuer may not issue certificates: no cA, or a key usage without keyCertSign.',
  'path-length-exceeded': 'More CAs follow than the path length constraint of one above allows.',
  'issuer-expired': 'An issuer is not valid any more.',
  'issuer-not-yet-valid': 'An issuer is not valid yet.',
  'bad-signature': 'A signature is not by the key of the issuer.',
  // each certificate of a path
  'algorithm-not-supported': 'A key or signature is of an algorithm that is not supported.',
  'legacy-algorithm': 'A key or signature is of an algorithm that is only accepted with allowLegacyAlgorithms.',
  'unknown-critical-extension': 'A critical extension is not processed here.',
  'profile-violated': 'A certificate breaks a rule of RFC 5280 §4 that validation relies on.',
  'name-not-permitted': 'A name is outside of the name constraints of a CA above.',
  'name-constraint-not-supported': 'A name constraint cannot be processed, and a name of its kind occurs.',
  'policy-not-satisfied': 'A certificate policy is required, and none is valid for the whole path.',
  'purpose-not-allowed': 'Key usage or extended key usage does not allow the purpose.',
  expired: 'The certificate is not valid any more.',
  'not-yet-valid': 'The certificate is not valid yet.',
  // who it is
  'host-mismatch': 'The certificate is not for this host.',
  'spiffe-id-invalid': 'The certificate is not an X.509-SVID.',
  'spiffe-id-mismatch': 'The certificate is for another SPIFFE ID.',
  // revocation: what makes evidence unusable, then what it says
  'malformed-crl': 'A list is not DER, or not of the form of RFC 5280 §5.',
  'malformed-ocsp': 'An OCSP answer is not DER, or not of the form of RFC 6960 §4.2.',
  'crl-stale': 'A list is not valid at this time, or says no nextUpdate.',
  'crl-rollback': 'A list is older than one that was seen before.',
  'crl-not-in-scope': 'A list covers other certificates, or only some reasons.',
  'crl-indirect': 'Indirect lists are not processed.',
  'crl-critical-extension': 'A list has a critical extension that is not processed here.',
  'crl-signer-not-authorized': 'Whoever signed a list may not: no cRLSign, or no path to the same anchor.',
  'crl-bad-signature': 'A list is not signed by its issuer.',
  'ocsp-not-successful': 'The responder answered with an error.',
  'ocsp-wrong-certificate': 'An OCSP answer is about another certificate.',
  'ocsp-nonce-mismatch': 'An OCSP answer has not the nonce that was sent.',
  'ocsp-stale': 'An OCSP answer is not valid at this time, or says no nextUpdate.',
  'ocsp-responder-not-authorized': 'The signer of an OCSP answer may not answer for this issuer.',
  'ocsp-bad-signature': 'An OCSP answer is not signed by its responder.',
  'ocsp-unknown': 'The responder does not know the certificate.',
  'status-unknown': 'Nothing usable says whether the certificate is revoked.',
  revoked: 'The certificate is revoked.',
} as const;

export type PathReasonCode = keyof typeof PATH_REASONS;

/** One fault, of one certificate where it is about one. */
export interface PathReason {
  code: PathReasonCode;
  /** What is wrong, in a sentence. */
  message: string;
  /** The certificate it is about; undefined for what was given as a whole, and for a certificate that could not be read. */
  certificate: ForeignCertificate | undefined;
}

export const reason = (code: PathReasonCode, message: string, certificate?: ForeignCertificate): PathReason => ({ code, message, certificate });

const ORDER = new Map(Object.keys(PATH_REASONS).map((code, i) => [code, i]));

/** How far the search came before this fault. */
export const rankOf = (code: PathReasonCode): number => ORDER.get(code) ?? 0;

/** A certificate as sentences name it. */
export function nameOf(certificate: ForeignCertificate): string {
  const text = foreignNameText(certificate.subject);
  return text.length > MAX_NAME ? `${text.slice(0, MAX_NAME)}…` : text;
}
const MAX_NAME = 120;
