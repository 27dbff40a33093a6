/**
 * Certificates of any CA (RFC 5280 §4), for path validation. DER is read as strictly as ours; what a certificate may say is wider: every string type
 * in names, every kind of alternative name, policies, times before 2050 as GeneralizedTime, negative serial numbers. Only parsed, never judged.
 */
import { bitStringBytes, DerError, integerContent, open, smallInteger, timeValue, type DerCursor, type DerLimits } from '../der/reader.ts';
import { TAG } from '../der/writer.ts';
import { parseAuthorityInformationAccess } from '../extensions/authority-information-access.ts';
import { parseBasicConstraints, type BasicConstraints } from '../extensions/basic-constraints.ts';
import { parseExtendedKeyUsage } from '../extensions/extended-key-usage.ts';
import { parseExtensions, type Extension } from '../extensions/extension.ts';
import { parseForeignKeyUsage, type KeyUsage } from '../extensions/key-usage.ts';
import { parseSubjectKeyIdentifier } from '../extensions/subject-key-identifier.ts';
import { OID } from '../oids.ts';
import { parseForeignDistributionPoints, type ForeignDistributionPoint } from './distribution-points.ts';
import type { ForeignGeneralName } from './general-name.ts';
import { parseForeignName, type ForeignName } from './name.ts';
import {
  parseForeignAlternativeNames, parseForeignAuthorityKeyIdentifier, parseForeignNameConstraints, type ForeignAuthorityKeyIdentifier, type ForeignNameConstraints,
} from './name-constraints.ts';
import { parseCertificatePolicies, parseInhibitAnyPolicy, parsePolicyConstraints, parsePolicyMappings, type PolicyConstraints, type PolicyMapping } from './policies.ts';

/** A certificate as read; buffers are views into `der`. */
export interface ForeignCertificate {
  der: Buffer;
  /** What the signature covers. */
  tbs: Buffer;
  version: 1 | 2 | 3;
  /** INTEGER content with its sign, as other certificates, lists and answers repeat it. */
  serial: Buffer;
  /** AlgorithmIdentifier, DER; the same inside and outside. */
  signatureAlgorithm: Buffer;
  signature: Buffer;
  issuer: ForeignName;
  subject: ForeignName;
  notBefore: Date;
  notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  spki: Buffer;
  /** In the order they came, no two of one kind. */
  extensions: readonly Extension[];
  /** Issuer and subject are the same name (§6.1): the certificate rolls a key over, or is a root. */
  isSelfIssued: boolean;
  basicConstraints: BasicConstraints | undefined;
  keyUsage: KeyUsage[] | undefined;
  /** Names of known purposes, dotted OIDs of others. */
  extendedKeyUsage: string[] | undefined;
  alternativeNames: ForeignGeneralName[] | undefined;
  subjectKeyIdentifier: Buffer | undefined;
  authorityKeyIdentifier: ForeignAuthorityKeyIdentifier | undefined;
  nameConstraints: ForeignNameConstraints | undefined;
  policies: string[] | undefined;
  policyMappings: PolicyMapping[] | undefined;
  policyConstraints: PolicyConstraints | undefined;
  inhibitAnyPolicy: number | undefined;
  distributionPoints: ForeignDistributionPoint[] | undefined;
}

/** Larger than any certificate that is in use but for those made to be slow; elements are those of some thousand names. */
export const FOREIGN_LIMITS: DerLimits = { maxBytes: 262_144, maxDepth: 24, maxElements: 16_384 };
/** Of a serial number, sign octet included. RFC 5280 §4.1.2.2 allows 20. */
const MAX_SERIAL_BYTES = 21;

/** Reads a certificate; its signature is not checked. @throws DerError and nothing else, whatever the octets are */
export function parseForeignCertificate(der: Uint8Array): ForeignCertificate {
  const top = open(der, FOREIGN_LIMITS);
  const outer = top.expect(TAG.SEQUENCE, 'Certificate');
  top.end('Certificate');
  const parts = top.descend(outer);
  const tbs = parts.expect(TAG.SEQUENCE, 'TBSCertificate');
  const algorithm = parts.expect(TAG.SEQUENCE, 'signatureAlgorithm');
  const signature = bitStringBytes(parts.expect(TAG.BIT_STRING, 'signatureValue'));
  parts.end('Certificate');
  const fields = parts.descend(tbs);
  const version = parseVersion(fields);
  const serial = integerContent(fields.expect(TAG.INTEGER, 'serialNumber'));
  const inside = fields.expect(TAG.SEQUENCE, 'signature').raw;
  if (!inside.equals(algorithm.raw)) throw new DerError('signature algorithms inside and outside differ', algorithm.offset);
  if (serial.length > MAX_SERIAL_BYTES || (serial.length === MAX_SERIAL_BYTES && serial[0] !== 0)) throw new DerError('serial number of more than 20 octets', tbs.offset);
  const issuer = parseForeignName(fields.expect(TAG.SEQUENCE, 'issuer').raw);
  const validity = fields.sequence('validity');
  const notBefore = timeValue(validity.next(), false);
  const notAfter = timeValue(validity.next(), false);
  validity.end('validity');
  const subject = parseForeignName(fields.expect(TAG.SEQUENCE, 'subject').raw);
  const spki = fields.expect(TAG.SEQUENCE, 'subjectPublicKeyInfo').raw;
  const extensions = parseRest(fields, version);
  return {
    der: outer.raw,
    tbs: tbs.raw,
    version,
    serial,
    signatureAlgorithm: algorithm.raw,
    signature,
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    extensions,
    isSelfIssued: issuer.key === subject.key,
    ...parseKnown(extensions, issuer),
  };
}

/** The extensions, behind unique identifiers that nobody uses (§4.1.2.8). */
function parseRest(fields: DerCursor, version: number): Extension[] {
  if (version > 1) {
    fields.optional(0x81);
    fields.optional(0x82);
  }
  const wrapped = version === 3 ? fields.optional(0xa3) : undefined;
  fields.end('TBSCertificate');
  return wrapped ? parseExtensions(fields.descend(wrapped)) : [];
}

/** Version 1 is the default, which DER leaves out. */
function parseVersion(fields: DerCursor): ForeignCertificate['version'] {
  const wrapper = fields.optional(0xa0);
  if (!wrapper) return 1;
  const inner = fields.descend(wrapper);
  const version = smallInteger(inner.expect(TAG.INTEGER, 'version'));
  inner.end('version');
  if (version !== 1 && version !== 2) throw new DerError('unknown certificate version', wrapper.offset);
  return version === 1 ? 2 : 3;
}

/** The extensions that path validation processes. @throws DerError for one that is not of its form, critical or not */
function parseKnown(extensions: readonly Extension[], issuer: ForeignName) {
  const value = <T>(id: string, parse: (value: Buffer) => T): T | undefined => {
    const extension = extensions.find((one) => one.oid === id);
    return extension && parse(extension.value);
  };
  value(OID.authorityInformationAccess, parseAuthorityInformationAccess);
  return {
    basicConstraints: value(OID.basicConstraints, parseBasicConstraints),
    keyUsage: value(OID.keyUsage, parseForeignKeyUsage),
    extendedKeyUsage: value(OID.extendedKeyUsage, parseExtendedKeyUsage),
    alternativeNames: value(OID.subjectAlternativeName, parseForeignAlternativeNames),
    subjectKeyIdentifier: value(OID.subjectKeyIdentifier, parseSubjectKeyIdentifier),
    authorityKeyIdentifier: value(OID.authorityKeyIdentifier, parseForeignAuthorityKeyIdentifier),
    nameConstraints: value(OID.nameConstraints, parseForeignNameConstraints),
    policies: value(OID.certificatePolicies, parseCertificatePolicies),
    policyMappings: value(OID.policyMappings, parsePolicyMappings),
    policyConstraints: value(OID.policyConstraints, parsePolicyConstraints),
    inhibitAnyPolicy: value(OID.inhibitAnyPolicy, parseInhibitAnyPolicy),
    distributionPoints: value(OID.crlDistributionPoints, (points) => parseForeignDistributionPoints(points, issuer)),
  };
}

/** The subject of a certificate, without reading the rest: what a store of many is sorted by. @throws DerError */
export function foreignSubject(der: Uint8Array): ForeignName {
  const top = open(der, FOREIGN_LIMITS);
  const fields = top.sequence('Certificate').sequence('TBSCertificate');
  fields.optional(0xa0);
  for (const field of ['serialNumber', 'signature', 'issuer', 'validity']) {
    if (fields.done) throw new DerError(`no ${field}`, 0);
    fields.next();
  }
  return parseForeignName(fields.expect(TAG.SEQUENCE, 'subject').raw);
}
