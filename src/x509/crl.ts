/**
 * Certificate revocation lists (RFC 5280 §5): written entry by entry in parts and read entry by entry from one buffer, because a
 * list may hold a million of them.
 */
import { bitStringBytes, DerCursor, DerError, open, smallInteger, timeValue, unsignedIntegerBytes, type DerLimits } from './der/reader.ts';
import { bitString, context, enumerated, header, integer, TAG, time } from './der/writer.ts';
import { parseCrlNumber } from './extensions/crl-number.ts';
import { encodeExtensions, parseExtensions, type Extension } from './extensions/extension.ts';
import { parseReasonCode } from './extensions/reason-code.ts';
import { OID } from './oids.ts';

/** One revoked certificate (RFC 5280 §5.1.2.6). */
export interface CrlEntry {
  /** Big-endian magnitude, at most 20 octets (§4.1.2.2). */
  serial: Uint8Array;
  revokedAt: Date;
  /** CRLReason (§5.3.1), 0..10 without 7. `unspecified` (0) and undefined leave the extension out, as §5.3.1 asks. */
  reason: number | undefined;
}

/** What a list says besides its entries. */
export interface CrlFields {
  /** Name, DER. */
  issuerName: Uint8Array;
  /** AlgorithmIdentifier, DER. */
  signatureAlgorithm: Uint8Array;
  thisUpdate: Date;
  nextUpdate: Date;
  /** crlExtensions: at least AKI and CRL number (§5.2). */
  extensions: readonly Extension[];
}

/** Octets of a part of entries. */
export const CRL_PART_BYTES = 1_048_576;
/** Longest entry: header 2, serial 2 + 1 + 20, GeneralizedTime 17, reason 14. */
const MAX_ENTRY_BYTES = 56;
const MAX_SERIAL_BYTES = 20;

/** crlEntryExtensions of each reason, made once (§5.3.1). */
const REASON_EXTENSIONS: readonly Buffer[] = Array.from({ length: 11 }, (_, reason) =>
  encodeExtensions([{ oid: OID.reasonCode, critical: false, value: enumerated(reason) }]),
);

/**
 * A TBSCertList (§5.1.2) under construction: the caller adds entries as it reads them from the database, and nothing but their
 * octets is kept, in parts: a list of a million needs no buffer of 50 MB, nor a copy of one.
 */
export class TbsCertListWriter {
  readonly #fields: Buffer;
  readonly #extensions: Buffer;
  #full: Buffer[] = [];
  /** Of the entries in full parts, taken or not. */
  #fullBytes = 0;
  #bytes: Buffer;
  #at = 0;
  #count = 0;
  #finished = false;
  /** Date and time of the entry before: entries of one second, and of one day, share octets. */
  readonly #time: { day: number; dayOctets: Buffer } = { day: Number.NaN, dayOctets: Buffer.alloc(0) };

  constructor(list: CrlFields) {
    // version is v2 (1), always: there are extensions (§5.1.2.1).
    this.#fields = Buffer.concat([integer(1), list.signatureAlgorithm, list.issuerName, time(list.thisUpdate), time(list.nextUpdate)]);
    this.#extensions = list.extensions.length === 0 ? Buffer.alloc(0) : context(0, encodeExtensions(list.extensions));
    this.#bytes = Buffer.allocUnsafeSlow(FIRST_PART_BYTES);
  }

  /** Entries added so far. */
  get count(): number {
    return this.#count;
  }

  /** Appends one entry; order is kept. @throws RangeError for a serial, time or reason that a CRL cannot carry */
  add({ serial, revokedAt, reason = 0 }: CrlEntry): void {
    this.addFrom(serial, 0, serial.length, revokedAt.getTime(), reason);
  }

  /** The same for a serial that lies in `bytes` from `from` to `to`, and a time in milliseconds since 1970: without an object for each entry. */
  addFrom(bytes: Uint8Array, from: number, to: number, revokedAtMs: number, reason: number): void {
    if (this.#finished) throw new RangeError('the list is finished');
    const reasonExtensions = REASON_EXTENSIONS[reason];
    if (!reasonExtensions || reason === 7) throw new RangeError('no such CRLReason');
    if (this.#bytes.length - this.#at < MAX_ENTRY_BYTES) this.#nextPart();
    const start = this.#at;
    const afterSerial = this.#writeSerial(start + 2, bytes, from, to);
    let end = this.#writeTime(afterSerial, revokedAtMs);
    if (reason !== 0) end += reasonExtensions.copy(this.#bytes, end);
    this.#bytes[start] = TAG.SEQUENCE;
    this.#bytes[start + 1] = end - start - 2;
    this.#at = end;
    this.#count++;
  }

  /** Parts of entries that are full: they need not wait in memory for the others. Each is given once, in order. */
  takeFull(): Buffer[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** What stands before the entries, those that were not taken yet, what stands behind them: with those that were, the TBSCertList. @throws RangeError the second time */
  finish(): { head: Buffer; entries: Buffer[]; tail: Buffer } {
    if (this.#finished) throw new RangeError('the list is finished');
    this.#finished = true;
    const entryBytes = this.#fullBytes + this.#at;
    // An empty revokedCertificates is left out altogether (§5.1.2.6).
    const fields = this.#count > 0 ? Buffer.concat([this.#fields, header(TAG.SEQUENCE, entryBytes)]) : this.#fields;
    const length = fields.length + entryBytes + this.#extensions.length;
    return { head: Buffer.concat([header(TAG.SEQUENCE, length), fields]), entries: [...this.takeFull(), this.#bytes.subarray(0, this.#at)], tail: this.#extensions };
  }

  #nextPart(): void {
    this.#full.push(this.#bytes.subarray(0, this.#at));
    this.#fullBytes += this.#at;
    this.#bytes = Buffer.allocUnsafeSlow(CRL_PART_BYTES);
    this.#at = 0;
  }

  /** INTEGER, positive and minimal; returns the offset behind it. */
  #writeSerial(at: number, serial: Uint8Array, from: number, to: number): number {
    let first = from;
    while (first < to - 1 && serial[first] === 0) first++;
    const length = to - first;
    if (length < 1 || length > MAX_SERIAL_BYTES) throw new RangeError('serial is not 1 to 20 octets');
    const padding = (serial[first] ?? 0) >> 7;
    const bytes = this.#bytes;
    bytes[at] = TAG.INTEGER;
    bytes[at + 1] = length + padding;
    if (padding) bytes[at + 2] = 0;
    for (let i = 0, start = at + 2 + padding; i < length; i++) bytes[start + i] = serial[first + i] ?? 0;
    return at + 2 + padding + length;
  }

  /** Time (§5.1.2.6, as §4.1.2.5) written in place: an object per entry would cost more than the entry. Returns the offset behind it. */
  #writeTime(at: number, whenMs: number): number {
    const seconds = Math.floor(whenMs / 1000);
    const day = Math.floor(seconds / SECONDS_PER_DAY);
    if (day !== this.#time.day) {
      this.#time.dayOctets = encodeDay(new Date(whenMs));
      this.#time.day = day;
    }
    const ofDay = seconds - day * SECONDS_PER_DAY;
    const bytes = this.#bytes;
    let to = at + this.#time.dayOctets.copy(bytes, at);
    to = writeTwoDigits(bytes, to, Math.floor(ofDay / 3_600));
    to = writeTwoDigits(bytes, to, Math.floor(ofDay / 60) % 60);
    to = writeTwoDigits(bytes, to, ofDay % 60);
    bytes[to] = 0x5a; // Z
    return to + 1;
  }
}

/** Most lists are short. */
const FIRST_PART_BYTES = 65_536;
const SECONDS_PER_DAY = 86_400;

/** Tag, length and date of a Time. @throws RangeError for a year that it cannot carry */
function encodeDay(when: Date): Buffer {
  const year = when.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) throw new RangeError('no such revocation time');
  const utc = year >= 1950 && year < 2050;
  const octets = Buffer.alloc(utc ? 8 : 10);
  octets[0] = utc ? TAG.UTC_TIME : TAG.GENERALIZED_TIME;
  octets[1] = utc ? 13 : 15;
  let to = 2;
  if (!utc) to = writeTwoDigits(octets, to, Math.floor(year / 100));
  to = writeTwoDigits(octets, to, year % 100);
  to = writeTwoDigits(octets, to, when.getUTCMonth() + 1);
  writeTwoDigits(octets, to, when.getUTCDate());
  return octets;
}

function writeTwoDigits(bytes: Buffer, at: number, value: number): number {
  bytes[at] = 0x30 + Math.floor(value / 10);
  bytes[at + 1] = 0x30 + (value % 10);
  return at + 2;
}

/** TBSCertList of entries that are at hand. @throws RangeError as `TbsCertListWriter.add` */
export function encodeTbsCertList(list: CrlFields & { entries: Iterable<CrlEntry> }): Buffer {
  const writer = new TbsCertListWriter(list);
  for (const entry of list.entries) writer.add(entry);
  const { head, entries, tail } = writer.finish();
  return Buffer.concat([head, ...entries, tail]);
}

/** What stands before and behind a TBSCertList of this length in its CertificateList (RFC 5280 §5.1). */
export function frameCrl(tbsLength: number, signatureAlgorithm: Uint8Array, signature: Uint8Array): { before: Buffer; behind: Buffer } {
  const behind = Buffer.concat([signatureAlgorithm, bitString(signature)]);
  return { before: header(TAG.SEQUENCE, tbsLength + behind.length), behind };
}

/** CertificateList from its three parts. */
export function assembleCrl(tbs: Uint8Array, signatureAlgorithm: Uint8Array, signature: Uint8Array): Buffer {
  const { before, behind } = frameCrl(tbs.length, signatureAlgorithm, signature);
  return Buffer.concat([before, tbs, behind]);
}

/** 64 MiB: a million of the longest entries and room to spare. Entries are read lazily and do not count as elements. */
export const CRL_LIMITS: DerLimits = { maxBytes: 64 * 1024 * 1024, maxDepth: 24, maxElements: 4_096 };

/** Elements one entry may have, extensions included. */
const MAX_ENTRY_ELEMENTS = 64;

/** One entry as read. An unknown critical extension in it makes the whole list unusable (§5.3). */
export interface ParsedCrlEntry {
  /** Magnitude without sign octet. */
  serial: Buffer;
  revokedAt: Date;
  reason: number | undefined;
  extensions: Extension[];
}

/** A CRL as read; buffers are views into `der`. */
export interface CertificateList {
  der: Buffer;
  tbs: Buffer;
  signatureAlgorithm: Buffer;
  signature: Buffer;
  issuerName: Buffer;
  thisUpdate: Date;
  nextUpdate: Date | undefined;
  extensions: Extension[];
  crlNumber: bigint | undefined;
  /** Entries in order, read as they are asked for. @throws DerError at the first one that is not DER */
  entries(): Generator<ParsedCrlEntry, void, undefined>;
}

/**
 * Reads a version 2 CRL strictly; its signature is not checked. @throws DerError
 */
export function parseCrl(input: Uint8Array, limits: DerLimits = CRL_LIMITS): CertificateList {
  const top = open(input, limits);
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
  const issuerName = fields.expect(TAG.SEQUENCE, 'issuer').raw;
  const thisUpdate = timeValue(fields.next());
  const hasNextUpdate = fields.peekTag() === TAG.UTC_TIME || fields.peekTag() === TAG.GENERALIZED_TIME;
  const nextUpdate = hasNextUpdate ? timeValue(fields.next()) : undefined;
  const revoked = fields.optional(TAG.SEQUENCE);
  if (revoked?.content.length === 0) throw new DerError('empty revokedCertificates (§5.1.2.6)', revoked.offset);
  const wrapped = fields.optional(0xa0);
  fields.end('TBSCertList');
  const extensions = wrapped ? parseExtensions(fields.descend(wrapped)) : [];
  const numbered = extensions.find((extension) => extension.oid === OID.crlNumber);

  return {
    der: outer.raw,
    tbs: tbs.raw,
    signatureAlgorithm,
    signature,
    issuerName,
    thisUpdate,
    nextUpdate,
    extensions,
    crlNumber: numbered && parseCrlNumber(numbered.value),
    entries: function* () {
      if (!revoked) return;
      const { content, offset, raw } = revoked;
      const base = offset + raw.length - content.length;
      for (let at = 0; at < content.length; ) {
        const cursor = new DerCursor(content.subarray(at), base + at, { depth: limits.maxDepth, elements: MAX_ENTRY_ELEMENTS }, 0);
        const entry = cursor.expect(TAG.SEQUENCE, 'revokedCertificate');
        at += entry.raw.length;
        yield parseEntry(cursor.descend(entry));
      }
    },
  };
}

function parseEntry(entry: DerCursor): ParsedCrlEntry {
  const serial = unsignedIntegerBytes(entry.expect(TAG.INTEGER, 'userCertificate'));
  const revokedAt = timeValue(entry.next());
  const extensions = entry.done ? [] : parseExtensions(entry);
  const reasonCode = extensions.find((extension) => extension.oid === OID.reasonCode);
  return { serial, revokedAt, reason: reasonCode && parseReasonCode(reasonCode.value), extensions };
}
