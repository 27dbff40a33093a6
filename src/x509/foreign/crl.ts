/**
 * Revocation lists of any CA (RFC 5280 §5), for path validation. A list is scanned for one serial number at a time, without an object for each entry:
 * it may hold a million of them.
 */
import { bitStringBytes, DerCursor, DerError, integerContent, open, smallInteger, timeValue, type DerNode } from '../der/reader.ts';
import { TAG } from '../der/writer.ts';
import { CRL_LIMITS } from '../crl.ts';
import { parseCrlNumber } from '../extensions/crl-number.ts';
import { parseExtensions, type Extension } from '../extensions/extension.ts';
import { parseReasonCode } from '../extensions/reason-code.ts';
import { OID } from '../oids.ts';
import { parseForeignIssuingPoint, type ForeignIssuingPoint } from './distribution-points.ts';
import { parseForeignName, type ForeignName } from './name.ts';
import { parseForeignAuthorityKeyIdentifier } from './name-constraints.ts';

/** A list as read; buffers are views into `der`. */
export interface ForeignCrl {
  der: Buffer;
  tbs: Buffer;
  signatureAlgorithm: Buffer;
  signature: Buffer;
  issuer: ForeignName;
  thisUpdate: Date;
  nextUpdate: Date | undefined;
  extensions: readonly Extension[];
  number: bigint | undefined;
  /** CRL number of the complete list that a delta list builds on; undefined of a complete list. */
  baseNumber: bigint | undefined;
  authorityKeyIdentifier: Buffer | undefined;
  issuingPoint: ForeignIssuingPoint | undefined;
  /** @internal The entries, DER. */
  revoked: DerNode | undefined;
}

/** What a list says of a serial number. */
export interface ForeignCrlEntry {
  revokedAt: Date;
  /** CRLReason (§5.3.1). */
  reason: number | undefined;
}

/** Reads a version 2 list; its signature is not checked, nor are its entries read. @throws DerError */
export function parseForeignCrl(input: Uint8Array): ForeignCrl {
  const top = open(input, CRL_LIMITS);
  const outer = top.expect(TAG.SEQUENCE, 'CertificateList');
  top.end('CertificateList');
  const list = top.descend(outer);
  const tbs = list.expect(TAG.SEQUENCE, 'TBSCertList');
  const signatureAlgorithm = list.expect(TAG.SEQUENCE, 'signatureAlgorithm').raw;
  const signature = bitStringBytes(list.expect(TAG.BIT_STRING, 'signature'));
  list.end('CertificateList');
  const fields = list.descend(tbs);
  const version = fields.expect(TAG.INTEGER, 'version');
  if (smallInteger(version) !== 1) throw new DerError('CRL is not version 2', version.offset);
  const inner = fields.expect(TAG.SEQUENCE, 'signature');
  if (!inner.raw.equals(signatureAlgorithm)) throw new DerError('signature algorithms inside and outside differ (§5.1.1.2)', inner.offset);
  const issuer = parseForeignName(fields.expect(TAG.SEQUENCE, 'issuer').raw);
  const thisUpdate = timeValue(fields.next(), false);
  const hasNextUpdate = fields.peekTag() === TAG.UTC_TIME || fields.peekTag() === TAG.GENERALIZED_TIME;
  const nextUpdate = hasNextUpdate ? timeValue(fields.next(), false) : undefined;
  const revoked = fields.optional(TAG.SEQUENCE);
  const wrapped = fields.optional(0xa0);
  fields.end('TBSCertList');
  const extensions = wrapped ? parseExtensions(fields.descend(wrapped)) : [];
  const value = <T>(id: string, parse: (value: Buffer) => T): T | undefined => {
    const extension = extensions.find((one) => one.oid === id);
    return extension && parse(extension.value);
  };
  return {
    der: outer.raw,
    tbs: tbs.raw,
    signatureAlgorithm,
    signature,
    issuer,
    thisUpdate,
    nextUpdate,
    extensions,
    number: value(OID.crlNumber, parseCrlNumber),
    baseNumber: value(OID.deltaCrlIndicator, parseCrlNumber),
    authorityKeyIdentifier: value(OID.authorityKeyIdentifier, parseForeignAuthorityKeyIdentifier)?.keyIdentifier,
    issuingPoint: value(OID.issuingDistributionPoint, (point) => parseForeignIssuingPoint(point, issuer)),
    revoked,
  };
}

/** Elements one entry may have, extensions included. */
const MAX_ENTRY_ELEMENTS = 64;
/** Of entries with nothing but a reason code: SEQUENCE { SEQUENCE { OID 2.5.29.21, OCTET STRING { ENUMERATED … } } }, without the last octet. */
const ONLY_REASON = Buffer.from('300c300a0603551d1504030a01', 'hex');

/**
 * Looks for a serial number (INTEGER content) and walks over every entry all the same: an entry with a critical extension that we cannot process makes
 * the whole list unusable (§5.3), wherever it stands. @throws DerError for that, and for entries that are not DER
 */
export function findInForeignCrl(list: ForeignCrl, serial: Buffer): ForeignCrlEntry | undefined {
  if (!list.revoked) return undefined;
  const { bytes, contentStart, end } = list.revoked;
  let found: ForeignCrlEntry | undefined;
  for (let at = contentStart; at < end; ) {
    const length = bytes[at + 1] ?? 0;
    const short = bytes[at] === TAG.SEQUENCE && length < 0x80 && at + 2 + length <= end;
    const serialLength = bytes[at + 3] ?? 0;
    const isWanted = short && 2 + serialLength <= length && serialLength === serial.length && bytes.compare(serial, 0, serial.length, at + 4, at + 4 + serialLength) === 0;
    if (short && !isWanted && isPlain(bytes, at + 2, at + 2 + length)) {
      at += 2 + length;
      continue;
    }
    const cursor = new DerCursor(bytes.subarray(at, end), at, { depth: CRL_LIMITS.maxDepth, elements: MAX_ENTRY_ELEMENTS }, 0);
    const node = cursor.expect(TAG.SEQUENCE, 'revokedCertificate');
    const entry = parseEntry(cursor.descend(node));
    if (entry.serial.equals(serial)) found ??= { revokedAt: entry.revokedAt, reason: entry.reason };
    at += node.raw.length;
  }
  return found;
}

/** Whether an entry is serial number and UTCTime, and nothing else but a reason. */
function isPlain(bytes: Buffer, from: number, to: number): boolean {
  const serialLength = bytes[from + 1] ?? 0x80;
  if (bytes[from] !== TAG.INTEGER || serialLength === 0 || serialLength >= 0x80) return false;
  const time = from + 2 + serialLength;
  if (bytes[time] !== TAG.UTC_TIME || bytes[time + 1] !== 13) return false;
  const rest = time + 15;
  return rest === to || (to - rest === ONLY_REASON.length + 1 && bytes.compare(ONLY_REASON, 0, ONLY_REASON.length, rest, to - 1) === 0);
}

function parseEntry(entry: DerCursor): ForeignCrlEntry & { serial: Buffer } {
  const serial = integerContent(entry.expect(TAG.INTEGER, 'userCertificate'));
  const when = entry.next();
  const revokedAt = timeValue(when, false);
  const extensions = entry.done ? [] : parseExtensions(entry);
  const unknown = extensions.find(({ oid, critical }) => critical && oid !== OID.reasonCode);
  if (unknown) throw new DerError(`critical extension ${unknown.oid} in an entry (§5.3)`, when.offset);
  const code = extensions.find(({ oid }) => oid === OID.reasonCode);
  return { serial, revokedAt, reason: code && parseReasonCode(code.value) };
}
