/** Certificates (RFC 5280 §4), read strictly. */
import { bitStringBytes, DerError, open, smallInteger, timeValue, unsignedIntegerBytes, type DerCursor, type DerNode } from './der/reader.ts';
import { TAG } from './der/writer.ts';
import { parseAuthorityInformationAccess, type AuthorityInformationAccess } from './extensions/authority-information-access.ts';
import { parseAuthorityKeyIdentifier } from './extensions/authority-key-identifier.ts';
import { parseBasicConstraints, type BasicConstraints } from './extensions/basic-constraints.ts';
import { parseCrlDistributionPoints } from './extensions/crl-distribution-points.ts';
import { parseExtendedKeyUsage } from './extensions/extended-key-usage.ts';
import { parseExtensions, type Extension } from './extensions/extension.ts';
import type { GeneralNames } from './extensions/general-names.ts';
import { parseKeyUsage, type KeyUsage } from './extensions/key-usage.ts';
import { parseSubjectAlternativeName } from './extensions/subject-alternative-name.ts';
import { parseSubjectKeyIdentifier } from './extensions/subject-key-identifier.ts';
import { parseRelativeNames, type NameAttribute } from './names.ts';
import { OID } from './oids.ts';

/** A certificate as read; buffers are views into `der`. */
export interface Certificate extends KnownExtensions {
  /** The whole certificate; of parseTbs the TBSCertificate alone. */
  der: Buffer;
  /** What the signature covers. */
  tbs: Buffer;
  version: 1 | 2 | 3;
  /** Magnitude without sign octet, 1 to 20 octets. */
  serial: Buffer;
  /** AlgorithmIdentifier, DER; the same inside and outside. */
  signatureAlgorithm: Buffer;
  /** Empty of parseTbs. */
  signature: Buffer;
  /** Name, DER. */
  issuerName: Buffer;
  issuer: NameAttribute[];
  notBefore: Date;
  notAfter: Date;
  /** Name, DER. */
  subjectName: Buffer;
  subject: NameAttribute[];
  /** SubjectPublicKeyInfo, DER; the key itself is not judged here (parsePublicKey does). */
  spki: Buffer;
  /** In the order they came, no two of one kind. */
  extensions: Extension[];
}

/** Values of the extensions we understand; undefined where the certificate does not have them. */
export interface KnownExtensions {
  basicConstraints: BasicConstraints | undefined;
  keyUsage: KeyUsage[] | undefined;
  /** Names of known purposes, dotted OIDs of others. */
  extendedKeyUsage: string[] | undefined;
  subjectAlternativeName: GeneralNames | undefined;
  subjectKeyIdentifier: Buffer | undefined;
  authorityKeyIdentifier: Buffer | undefined;
  /** URIs. */
  crlDistributionPoints: string[] | undefined;
  authorityInformationAccess: AuthorityInformationAccess | undefined;
}

const MAX_SERIAL_BYTES = 20;

/** Reads a certificate; its signature is not checked. @throws DerError and nothing else, whatever the octets are */
export function parseCertificate(der: Uint8Array): Certificate {
  const top = open(der);
  const outer = top.expect(TAG.SEQUENCE, 'Certificate');
  top.end('Certificate');
  const parts = top.descend(outer);
  const tbs = parts.expect(TAG.SEQUENCE, 'TBSCertificate');
  const algorithm = parts.expect(TAG.SEQUENCE, 'signatureAlgorithm');
  const signature = bitStringBytes(parts.expect(TAG.BIT_STRING, 'signatureValue'));
  parts.end('Certificate');
  const fields = parseFields(parts.descend(tbs));
  if (!fields.signatureAlgorithm.equals(algorithm.raw)) throw new DerError('signature algorithms inside and outside differ', algorithm.offset);
  return { der: outer.raw, tbs: tbs.raw, signature, ...fields };
}

/** Reads a TBSCertificate that nobody has signed yet. @throws DerError */
export function parseTbs(tbs: Uint8Array): Certificate {
  const top = open(tbs);
  const node = top.expect(TAG.SEQUENCE, 'TBSCertificate');
  top.end('TBSCertificate');
  return { der: node.raw, tbs: node.raw, signature: Buffer.alloc(0), ...parseFields(top.descend(node)) };
}

function parseFields(fields: DerCursor): Omit<Certificate, 'der' | 'tbs' | 'signature'> {
  const version = parseVersion(fields);
  const serial = parseSerialNumber(fields.expect(TAG.INTEGER, 'serialNumber'));
  const signatureAlgorithm = fields.expect(TAG.SEQUENCE, 'signature').raw;
  const issuer = fields.expect(TAG.SEQUENCE, 'issuer');
  const validity = fields.sequence('validity');
  const notBefore = timeValue(validity.next());
  const notAfter = timeValue(validity.next());
  validity.end('validity');
  const subject = fields.expect(TAG.SEQUENCE, 'subject');
  const spki = fields.expect(TAG.SEQUENCE, 'subjectPublicKeyInfo').raw;
  const wrapped = version === 3 ? fields.optional(0xa3) : undefined;
  // Unique identifiers [1] and [2] end here too: no CA may make them (§4.1.2.8).
  fields.end('TBSCertificate');
  const extensions = wrapped ? parseExtensions(fields.descend(wrapped)) : [];
  return {
    version,
    serial,
    signatureAlgorithm,
    issuerName: issuer.raw,
    issuer: parseRelativeNames(fields.descend(issuer)),
    notBefore,
    notAfter,
    subjectName: subject.raw,
    subject: parseRelativeNames(fields.descend(subject)),
    spki,
    extensions,
    ...parseKnownExtensions(extensions),
  };
}

/** Version 1 is the default, which DER leaves out. */
function parseVersion(fields: DerCursor): Certificate['version'] {
  const wrapper = fields.optional(0xa0);
  if (!wrapper) return 1;
  const inner = fields.descend(wrapper);
  const version = smallInteger(inner.expect(TAG.INTEGER, 'version'));
  inner.end('version');
  if (version !== 1 && version !== 2) throw new DerError('unknown certificate version', wrapper.offset);
  return version === 1 ? 2 : 3;
}

function parseSerialNumber(node: DerNode): Buffer {
  const serial = unsignedIntegerBytes(node);
  if (serial.length > MAX_SERIAL_BYTES || (serial.length === 1 && serial[0] === 0)) throw new DerError('serial number is not 1 to 20 octets, positive', node.offset);
  return serial;
}

/** The extensions we understand, parsed. @throws DerError */
function parseKnownExtensions(extensions: readonly Extension[]): KnownExtensions {
  const value = <T>(id: string, parse: (value: Buffer) => T): T | undefined => {
    const extension = extensions.find((one) => one.oid === id);
    return extension && parse(extension.value);
  };
  return {
    basicConstraints: value(OID.basicConstraints, parseBasicConstraints),
    keyUsage: value(OID.keyUsage, parseKeyUsage),
    extendedKeyUsage: value(OID.extendedKeyUsage, parseExtendedKeyUsage),
    subjectAlternativeName: value(OID.subjectAlternativeName, parseSubjectAlternativeName),
    subjectKeyIdentifier: value(OID.subjectKeyIdentifier, parseSubjectKeyIdentifier),
    authorityKeyIdentifier: value(OID.authorityKeyIdentifier, parseAuthorityKeyIdentifier),
    crlDistributionPoints: value(OID.crlDistributionPoints, parseCrlDistributionPoints),
    authorityInformationAccess: value(OID.authorityInformationAccess, parseAuthorityInformationAccess),
  };
}
