import { bitStringBytes, DerError, open, smallInteger, timeValue, unsignedIntegerBytes, type DerCursor } from './der/reader.ts';
import { TAG } from './der/writer.ts';
import { parseAuthorityInformationAccess, type AuthorityInformation } from './extensions/authority-information-access.ts';
import { parseAuthorityKeyIdentifier } from './extensions/authority-key-identifier.ts';
import { parseBasicConstraints, type BasicConstraints } from './extensions/basic-constraints.ts';
import { parseExtendedKeyUsage } from './extensions/extended-key-usage.ts';
import { parseExtensions, type Extension } from './extensions/extension.ts';
import { parseKeyUsage, type KeyUsage } from './extensions/key-usage.ts';
import { parseSubjectAlternativeName, type AlternativeNames } from './extensions/subject-alternative-name.ts';
import { parseSubjectKeyIdentifier } from './extensions/subject-key-identifier.ts';
import { parseName, type NameAttribute } from './names.ts';
import { OID } from './oids.ts';

/** A certificate as it was read (RFC 5280 §4.1). Buffers are views into the input. */
export interface Certificate {
  /** Whole certificate; for what `parseTbs` read, the TBSCertificate. */
  der: Buffer;
  tbs: Buffer;
  /** 1, 2 or 3. */
  version: number;
  /** Magnitude. */
  serial: Buffer;
  /** AlgorithmIdentifier of the signature (the outer one; for `parseTbs` the inner one). */
  signatureAlgorithm: Buffer;
  /** Empty for what `parseTbs` read. */
  signature: Buffer;
  issuerName: Buffer;
  issuer: NameAttribute[];
  subjectName: Buffer;
  subject: NameAttribute[];
  notBefore: Date;
  notAfter: Date;
  spki: Buffer;
  extensions: Extension[];
  basicConstraints?: BasicConstraints;
  keyUsage?: KeyUsage[];
  extendedKeyUsage?: string[];
  subjectAlternativeName?: AlternativeNames & { critical: boolean };
  subjectKeyIdentifier?: Buffer;
  authorityKeyIdentifier?: Buffer;
  authorityInformationAccess?: AuthorityInformation;
}

/** Reads a Certificate, strictly. @throws DerError for anything else */
export function parseCertificate(der: Uint8Array): Certificate {
  const outer = open(der);
  const node = outer.expect(TAG.SEQUENCE, 'Certificate');
  outer.end('Certificate');
  const fields = outer.descend(node);
  const tbs = fields.expect(TAG.SEQUENCE, 'TBSCertificate');
  const signatureAlgorithm = fields.expect(TAG.SEQUENCE, 'signatureAlgorithm').raw;
  const signature = bitStringBytes(fields.expect(TAG.BIT_STRING, 'signatureValue'));
  fields.end('Certificate');
  const certificate = readTbs(fields.descend(tbs), tbs.raw);
  if (!certificate.signatureAlgorithm.equals(signatureAlgorithm)) throw new DerError('the two signature algorithms differ', tbs.offset);
  return { ...certificate, der: node.raw, signature };
}

/** Reads a TBSCertificate that is not yet signed. @throws DerError */
export function parseTbs(tbs: Uint8Array): Certificate {
  const outer = open(tbs);
  const node = outer.expect(TAG.SEQUENCE, 'TBSCertificate');
  outer.end('TBSCertificate');
  return readTbs(outer.descend(node), node.raw);
}

function readTbs(fields: DerCursor, raw: Buffer): Certificate {
  const version = readVersion(fields);
  const serial = unsignedIntegerBytes(fields.expect(TAG.INTEGER, 'serialNumber'));
  const signatureAlgorithm = fields.expect(TAG.SEQUENCE, 'signature').raw;
  const issuer = parseName(fields);
  const validity = fields.sequence('Validity');
  const notBefore = timeValue(validity.next());
  const notAfter = timeValue(validity.next());
  validity.end('Validity');
  const subject = parseName(fields);
  const spki = fields.expect(TAG.SEQUENCE, 'SubjectPublicKeyInfo').raw;
  fields.optional(0x81);
  fields.optional(0x82);
  const wrapped = fields.optional(0xa3);
  fields.end('TBSCertificate');
  if (wrapped && version !== 3) throw new DerError('extensions in a certificate that is not version 3', wrapped.offset);
  const extensions = wrapped ? parseExtensions(fields.descend(wrapped)) : [];
  return {
    der: raw, tbs: raw, version, serial, signatureAlgorithm, signature: Buffer.alloc(0),
    issuerName: issuer.raw, issuer: issuer.attributes, subjectName: subject.raw, subject: subject.attributes,
    notBefore, notAfter, spki, extensions,
    ...readExtensions(extensions),
  };
}

function readVersion(fields: DerCursor): number {
  const wrapped = fields.optional(0xa0);
  if (!wrapped) return 1;
  const inner = fields.descend(wrapped);
  const version = smallInteger(inner.expect(TAG.INTEGER, 'version'));
  inner.end('version');
  if (version !== 1 && version !== 2) throw new DerError('unknown certificate version, or the default one written out', wrapped.offset);
  return version + 1;
}

type ReadExtensions = Pick<
  Certificate,
  'basicConstraints' | 'keyUsage' | 'extendedKeyUsage' | 'subjectAlternativeName' | 'subjectKeyIdentifier' | 'authorityKeyIdentifier' | 'authorityInformationAccess'
>;

function readExtensions(extensions: readonly Extension[]): ReadExtensions {
  const read: ReadExtensions = {};
  for (const { oid, value, critical } of extensions) {
    switch (oid) {
      case OID.basicConstraints:
        read.basicConstraints = parseBasicConstraints(value);
        break;
      case OID.keyUsage:
        read.keyUsage = parseKeyUsage(value);
        break;
      case OID.extendedKeyUsage:
        read.extendedKeyUsage = parseExtendedKeyUsage(value);
        break;
      case OID.subjectAlternativeName:
        read.subjectAlternativeName = { ...parseSubjectAlternativeName(value), critical };
        break;
      case OID.subjectKeyIdentifier:
        read.subjectKeyIdentifier = parseSubjectKeyIdentifier(value);
        break;
      case OID.authorityKeyIdentifier: {
        const keyIdentifier = parseAuthorityKeyIdentifier(value);
        if (keyIdentifier) read.authorityKeyIdentifier = keyIdentifier;
        break;
      }
      case OID.authorityInformationAccess:
        read.authorityInformationAccess = parseAuthorityInformationAccess(value);
        break;
      default:
        break;
    }
  }
  return read;
}
