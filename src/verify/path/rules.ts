/** What each certificate of a path must fulfil by itself: critical extensions, the profile of RFC 5280 §4 as far as validation relies on it, purpose. */
import type { ForeignCertificate } from '../../x509/foreign/certificate.ts';
import { OID } from '../../x509/oids.ts';
import type { KeyUsage } from '../../x509/extensions/key-usage.ts';
import { nameOf, reason, type PathReason } from './reasons.ts';
import type { Purpose } from './request.ts';

/** Critical extensions that are processed (§6.1.4 (o), §6.1.5 (f)). */
const PROCESSED: readonly string[] = [
  OID.basicConstraints, OID.keyUsage, OID.extendedKeyUsage, OID.subjectAlternativeName, OID.nameConstraints, OID.certificatePolicies, OID.policyMappings,
  OID.policyConstraints, OID.inhibitAnyPolicy, OID.crlDistributionPoints,
];
/** Never critical (§4.2.1.1, §4.2.1.2). */
const NEVER_CRITICAL: readonly string[] = [OID.authorityKeyIdentifier, OID.subjectKeyIdentifier];

type Role = 'leaf' | 'ca' | 'anchor';

/** What a certificate breaks, in its role. */
export function certificateFault(certificate: ForeignCertificate, role: Role): PathReason | undefined {
  const unknown = certificate.extensions.find(({ oid, critical }) => critical && !PROCESSED.includes(oid) && !NEVER_CRITICAL.includes(oid));
  if (unknown) return reason('unknown-critical-extension', `${nameOf(certificate)} has the critical extension ${unknown.oid}, which is not processed here`, certificate);
  const broken = brokenRule(certificate, role);
  return broken === undefined ? undefined : reason('profile-violated', `${nameOf(certificate)} ${broken}`, certificate);
}

function brokenRule(certificate: ForeignCertificate, role: Role): string | undefined {
  const { extensions, basicConstraints, keyUsage, subject, issuer, authorityKeyIdentifier, subjectKeyIdentifier, alternativeNames } = certificate;
  const isCa = basicConstraints?.ca === true;
  const isCritical = (oid: string) => extensions.some((extension) => extension.oid === oid && extension.critical);
  if (extensions.some(({ oid, critical }) => critical && NEVER_CRITICAL.includes(oid))) return 'has a critical key identifier (RFC 5280 §4.2.1.1, §4.2.1.2)';
  if (role !== 'anchor' && certificate.serial.every((octet) => octet === 0)) return 'has the serial number 0 (RFC 5280 §4.1.2.2)';
  if (issuer.keys.length === 0) return 'has no issuer (RFC 5280 §4.1.2.4)';
  if (isCa && subject.keys.length === 0) return 'is a CA without a name (RFC 5280 §4.1.2.6)';
  if (subject.keys.length === 0 && !(alternativeNames && isCritical(OID.subjectAlternativeName))) return 'has no subject, and no critical alternative name (RFC 5280 §4.2.1.6)';
  if (role !== 'anchor' && !certificate.isSelfIssued && !authorityKeyIdentifier?.keyIdentifier) return 'has no authority key identifier (RFC 5280 §4.2.1.1)';
  if (authorityKeyIdentifier && !authorityKeyIdentifier.keyIdentifier) return 'has an authority key identifier without a key identifier (RFC 5280 §4.2.1.1)';
  if (isCa && !subjectKeyIdentifier) return 'is a CA without subject key identifier (RFC 5280 §4.2.1.2)';
  if (!isCa && keyUsage?.includes('keyCertSign')) return 'has keyCertSign and is no CA (RFC 5280 §4.2.1.3)';
  if (!isCa && certificate.nameConstraints) return 'has name constraints and is no CA (RFC 5280 §4.2.1.10)';
  if (isCa && extensions.some(({ oid }) => oid === OID.noRevAvail)) return 'is a CA with noRevAvail (RFC 9608 §2)';
  if (role === 'anchor' && !isCritical(OID.basicConstraints)) return 'is an anchor with basic constraints that are not critical (RFC 5280 §4.2.1.9)';
  return undefined;
}

/** Whether a certificate may be an issuer at all (§6.1.4 (k), (n)). */
export function issuerFault(certificate: ForeignCertificate): PathReason | undefined {
  if (certificate.basicConstraints?.ca !== true) return reason('not-a-ca', `${nameOf(certificate)} is no CA`, certificate);
  if (certificate.keyUsage && !certificate.keyUsage.includes('keyCertSign')) return reason('not-a-ca', `the key usage of ${nameOf(certificate)} has no keyCertSign`, certificate);
  return undefined;
}

/** Key usages of which the leaf needs one, where it has a key usage (RFC 5280 §4.2.1.12; RFC 9509 for jwt). */
const USAGES: Readonly<Record<Purpose, readonly KeyUsage[]>> = {
  serverAuth: ['digitalSignature', 'keyEncipherment', 'keyAgreement'],
  clientAuth: ['digitalSignature', 'keyAgreement'],
  codeSigning: ['digitalSignature'],
  emailProtection: ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'keyAgreement'],
  timeStamping: ['digitalSignature', 'nonRepudiation'],
  OCSPSigning: ['digitalSignature', 'nonRepudiation'],
  jwt: ['digitalSignature', 'nonRepudiation'],
};

/** What a CA does not do with its own key: whoever could would be able to make itself any name. */
const ENDS: readonly Purpose[] = ['serverAuth', 'clientAuth'];

/** A CA's extended key usage limits what is below it; anyExtendedKeyUsage limits nothing in a CA, and allows nothing in a leaf (§4.2.1.12). */
export function purposeFault(path: readonly ForeignCertificate[], purpose: Purpose): PathReason | undefined {
  const [leaf] = path;
  if (leaf?.basicConstraints?.ca && ENDS.includes(purpose)) return reason('purpose-not-allowed', `${nameOf(leaf)} is a CA, and no end of a connection`, leaf);
  if (leaf?.keyUsage && !leaf.keyUsage.some((usage) => USAGES[purpose].includes(usage))) {
    return reason('purpose-not-allowed', `the key usage of ${nameOf(leaf)} does not allow ${purpose}`, leaf);
  }
  const narrow = path.find(({ extendedKeyUsage }, i) => extendedKeyUsage && !extendedKeyUsage.includes(purpose) && (i === 0 || !extendedKeyUsage.includes('anyExtendedKeyUsage')));
  return narrow && reason('purpose-not-allowed', `the extended key usage of ${nameOf(narrow)} does not allow ${purpose}`, narrow);
}
