import type { CertificateIntent } from '../x509/tbs.ts';
import type { PublicKeyInfo } from '../x509/public-key.ts';
import { encodeAuthorityInformationAccess } from '../x509/extensions/authority-information-access.ts';
import { encodeAuthorityKeyIdentifier } from '../x509/extensions/authority-key-identifier.ts';
import { encodeBasicConstraints } from '../x509/extensions/basic-constraints.ts';
import { encodeCrlDistributionPoints } from '../x509/extensions/crl-distribution-points.ts';
import { encodeExtendedKeyUsage } from '../x509/extensions/extended-key-usage.ts';
import { encodeKeyUsage } from '../x509/extensions/key-usage.ts';
import { encodeNoRevAvail } from '../x509/extensions/no-rev-avail.ts';
import { encodeSubjectAlternativeName } from '../x509/extensions/subject-alternative-name.ts';
import { encodeSubjectKeyIdentifier } from '../x509/extensions/subject-key-identifier.ts';
import type { Extension } from '../x509/extensions/extension.ts';
import type { Profile } from './profile.ts';

/** What the chosen issuer brings into a leaf. URLs are absolute. */
export interface IssuerFacts {
  nameDer: Buffer;
  keyIdentifier: Buffer;
  signatureAlgorithm: Buffer;
  notBefore: Date;
  notAfter: Date;
  crlUrl: string;
  ocspUrl: string;
  certificateUrl: string;
}

export interface LeafFacts {
  /** Serial for the computed notAfter; octets 4..19 are random. */
  makeSerial: (notAfter: Date) => Buffer;
  agentId: string;
  agentName: string;
  spiffeId: string;
  dnsNames: readonly string[];
  publicKey: PublicKeyInfo;
  ttlSeconds: number;
  backdateSeconds: number;
}

/**
 * The certificate a profile makes of granted facts (DESIGN §6, RFC 5280 §4, X509-SVID §2-§4). Lifetime counts from `now`, never from
 * the back-dated notBefore (invariant 15), and never goes past the issuer's. Pure.
 */
export function applyProfile(profile: Profile, issuer: IssuerFacts, leaf: LeafFacts, now: Date): CertificateIntent {
  const wholeSecond = Math.floor(now.getTime() / 1000) * 1000;
  const notAfter = new Date(Math.min(wholeSecond + leaf.ttlSeconds * 1000, issuer.notAfter.getTime()));
  const notBefore = new Date(Math.max(wholeSecond - leaf.backdateSeconds * 1000, issuer.notBefore.getTime()));
  const subject = subjectOf(profile, leaf);
  return {
    serial: leaf.makeSerial(notAfter),
    issuerName: issuer.nameDer,
    signatureAlgorithm: issuer.signatureAlgorithm,
    notBefore,
    notAfter,
    subject,
    spki: leaf.publicKey.spki,
    extensions: [
      encodeAuthorityKeyIdentifier(issuer.keyIdentifier),
      encodeSubjectKeyIdentifier(leaf.publicKey.keyIdentifier),
      encodeKeyUsage(['digitalSignature']),
      encodeExtendedKeyUsage(profile.extendedKeyUsage),
      encodeBasicConstraints({ ca: false }),
      encodeSubjectAlternativeName({ uris: [leaf.spiffeId], dnsNames: [...leaf.dnsNames] }, subject.length === 0),
      ...revocationExtensions(profile, issuer),
    ],
  };
}

function subjectOf(profile: Profile, leaf: LeafFacts): CertificateIntent['subject'] {
  if (profile.subject === 'empty') return [];
  return [{ type: 'CN', value: profile.subject === 'agent-id' ? leaf.agentId : leaf.agentName }];
}

function revocationExtensions(profile: Profile, issuer: IssuerFacts): Extension[] {
  if (profile.revocationPointers === 'none') {
    return [encodeAuthorityInformationAccess({ caIssuers: [issuer.certificateUrl] }), encodeNoRevAvail()];
  }
  return [
    encodeCrlDistributionPoints([issuer.crlUrl]),
    encodeAuthorityInformationAccess({ ocsp: [issuer.ocspUrl], caIssuers: [issuer.certificateUrl] }),
  ];
}

/** Window of certificates whose profile is no longer configured. */
export const DEFAULT_RENEWAL: Pick<Profile, 'renewal'> = { renewal: { startFraction: 0.25, endFraction: 0.4 } };

/** Suggested renewal window in whole seconds, counted from the moment of issue (invariant 15; RFC 9773 semantics). */
export function renewalWindow(profile: Pick<Profile, 'renewal'>, issuedAt: Date, notAfter: Date): { start: Date; end: Date } {
  const life = notAfter.getTime() - issuedAt.getTime();
  const at = (fraction: number) => new Date(Math.floor((issuedAt.getTime() + life * fraction) / 1000) * 1000);
  return { start: at(profile.renewal.startFraction), end: at(profile.renewal.endFraction) };
}

/** How long a window is that was moved: where it begins is spread already. Seconds. */
const STEERED_SECONDS = 60;

/**
 * The window of a certificate that was moved to `createdAt`: its beginning is spread over `spreadSeconds` by the random octets of the serial, so that it is the same
 * at every question and thousands do not come at once. In whole seconds.
 */
export function steeredWindow({ createdAt, spreadSeconds }: { createdAt: Date; spreadSeconds: number }, serial: Uint8Array): { start: Date; end: Date } {
  const [a = 0, b = 0, c = 0] = serial.slice(-3);
  const startSeconds = Math.floor(createdAt.getTime() / 1000) + Math.floor((((a << 16) | (b << 8) | c) / (1 << 24)) * (spreadSeconds + 1));
  return { start: new Date(startSeconds * 1000), end: new Date((startSeconds + STEERED_SECONDS) * 1000) };
}
