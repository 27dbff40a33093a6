/**
 * DER writer (ITU-T X.690 §10): every function returns one complete, minimal TLV as a Buffer.
 * Content is trusted (it is ours); what comes from outside goes through the reader first.
 */

export const TAG = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  ENUMERATED: 0x0a,
  UTF8_STRING: 0x0c,
  PRINTABLE_STRING: 0x13,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** Octets the header of a TLV with this content length takes. */
function headerLength(length: number): number {
  if (length < 0x80) return 2;
  if (length < 0x100) return 3;
  if (length < 0x10000) return 4;
  return length < 0x1000000 ? 5 : 6;
}

/** Writes tag and minimal length into `out` from `start` on; returns how many octets they take. */
function writeHeader(out: Buffer, start: number, tag: number, length: number): number {
  const size = headerLength(length);
  out[start] = tag;
  if (size === 2) {
    out[start + 1] = length;
    return 2;
  }
  out[start + 1] = 0x80 | (size - 2);
  for (let at = start + size - 1, left = length; at > start + 1; at--, left = Math.floor(left / 256)) out[at] = left & 0xff;
  return size;
}

/** Header octets for a tag and content length (below 2^32). */
export function header(tag: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(headerLength(length));
  writeHeader(out, 0, tag, length);
  return out;
}

/** One TLV around the concatenated parts. One allocation: this is the hot path of issuing. */
export function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = Buffer.allocUnsafe(headerLength(length) + length);
  let at = writeHeader(out, 0, tag, length);
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A TLV yet to be written, with others inside it, at any depth. */
export interface Layer {
  tag: number;
  /** Octets of the content. */
  length: number;
  parts: readonly (Uint8Array | Layer)[];
}

/** For what is wrapped many times over: `writeLayers` copies each octet once, where a TLV made of TLVs copies it at every level. */
export function layer(tag: number, ...parts: (Uint8Array | Layer)[]): Layer {
  let length = 0;
  for (const part of parts) length += 'tag' in part ? headerLength(part.length) + part.length : part.length;
  return { tag, length, parts };
}

/** The whole of it in one Buffer. */
export function writeLayers(top: Layer): Buffer {
  const out = Buffer.allocUnsafe(headerLength(top.length) + top.length);
  writeLayer(out, 0, top);
  return out;
}

function writeLayer(out: Buffer, start: number, { tag, length, parts }: Layer): number {
  let at = start + writeHeader(out, start, tag, length);
  for (const part of parts) {
    if ('tag' in part) {
      at = writeLayer(out, at, part);
    } else {
      out.set(part, at);
      at += part.length;
    }
  }
  return at;
}

export const sequence = (...parts: Uint8Array[]): Buffer => tlv(TAG.SEQUENCE, ...parts);

/** SET OF: elements sorted by their encodings (X.690 §11.6). */
export const setOf = (...parts: Uint8Array[]): Buffer => tlv(TAG.SET, ...parts.toSorted((a, b) => Buffer.compare(a, b)));

/** INTEGER from unsigned big-endian magnitude octets, made minimal and positive. */
export function unsignedInteger(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const body = magnitude.subarray(start);
  if (body.length === 0) return tlv(TAG.INTEGER, Uint8Array.of(0));
  return (body[0] ?? 0) & 0x80 ? tlv(TAG.INTEGER, Uint8Array.of(0), body) : tlv(TAG.INTEGER, body);
}

/** INTEGER from a non-negative number or bigint. */
export function integer(value: number | bigint): Buffer {
  const hex = value.toString(16);
  return unsignedInteger(Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex'));
}

export const enumerated = (value: number): Buffer => Buffer.from([TAG.ENUMERATED, 1, value]);
export const boolean = (value: boolean): Buffer => Buffer.from([TAG.BOOLEAN, 1, value ? 0xff : 0]);
export const nullValue = (): Buffer => Buffer.from([TAG.NULL, 0]);
export const octetString = (bytes: Uint8Array): Buffer => tlv(TAG.OCTET_STRING, bytes);
export const bitString = (bytes: Uint8Array, unusedBits = 0): Buffer => tlv(TAG.BIT_STRING, Uint8Array.of(unusedBits), bytes);

/** BIT STRING with named bits (X.690 §11.2.2): bit 0 first, trailing zero bits removed. */
export function namedBits(bits: readonly number[]): Buffer {
  const highest = bits.length === 0 ? -1 : Math.max(...bits);
  const bytes = new Uint8Array(highest < 0 ? 0 : (highest >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return bitString(bytes, highest < 0 ? 0 : 7 - (highest & 7));
}

/** Encodings of identifiers seen before. Bounded: some come out of what was read. */
const oidCache = new Map<string, Buffer>();
const OID_CACHE_MAX = 256;

/** OBJECT IDENTIFIER from dotted decimal: two arcs or more, each below 2^53. @throws RangeError */
export function oid(dotted: string): Buffer {
  const known = oidCache.get(dotted);
  if (known) return known;
  const encoded = encodeOid(dotted);
  if (oidCache.size < OID_CACHE_MAX) oidCache.set(dotted, encoded);
  return encoded;
}

const DOTTED = /^[0-2](?:\.(?:0|[1-9]\d*))+$/;

function encodeOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const head = first * 40 + second;
  const inRange = [head, ...rest].every((arc) => Number.isSafeInteger(arc)) && (first === 2 || second < 40);
  if (!DOTTED.test(dotted) || !inRange) throw new RangeError('not an object identifier');
  const body: number[] = [];
  for (const arc of [head, ...rest]) {
    const septets = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) septets.unshift((left % 128) | 0x80);
    body.push(...septets);
  }
  return tlv(TAG.OID, Uint8Array.from(body));
}

export const utf8String = (text: string): Buffer => tlv(TAG.UTF8_STRING, Buffer.from(text, 'utf8'));
export const printableString = (text: string): Buffer => tlv(TAG.PRINTABLE_STRING, Buffer.from(text, 'latin1'));
export const ia5String = (text: string): Buffer => tlv(TAG.IA5_STRING, Buffer.from(text, 'latin1'));

/** Context-specific constructed `[n]` around parts (explicit tagging, or implicit around a constructed type). */
export const context = (n: number, ...parts: Uint8Array[]): Buffer => tlv(0xa0 | n, ...parts);
/** Context-specific primitive `[n]` (implicit tagging of a primitive type). */
export const contextPrimitive = (n: number, bytes: Uint8Array): Buffer => tlv(0x80 | n, bytes);

/** Time as RFC 5280 §4.1.2.5 wants it: UTCTime from 1950 through 2049, else GeneralizedTime; whole seconds, Z. */
export function time(at: Date): Buffer {
  const year = at.getUTCFullYear();
  if (year < 1950 || year >= 2050) return generalizedTime(at);
  const out = Buffer.allocUnsafe(15);
  out[0] = TAG.UTC_TIME;
  out[1] = 13;
  writeTwoDigits(out, 2, year % 100);
  writeMonthToSecond(out, 4, at);
  return out;
}

/** GeneralizedTime, whole seconds, of the years 0 to 9999 (RFC 6960 uses nothing else). @throws RangeError */
export function generalizedTime(at: Date): Buffer {
  const year = at.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) throw new RangeError('no such time in GeneralizedTime');
  const out = Buffer.allocUnsafe(17);
  out[0] = TAG.GENERALIZED_TIME;
  out[1] = 15;
  writeTwoDigits(out, 2, Math.floor(year / 100));
  writeTwoDigits(out, 4, year % 100);
  writeMonthToSecond(out, 6, at);
  return out;
}

function writeMonthToSecond(out: Buffer, at: number, when: Date): void {
  writeTwoDigits(out, at, when.getUTCMonth() + 1);
  writeTwoDigits(out, at + 2, when.getUTCDate());
  writeTwoDigits(out, at + 4, when.getUTCHours());
  writeTwoDigits(out, at + 6, when.getUTCMinutes());
  writeTwoDigits(out, at + 8, when.getUTCSeconds());
  out[at + 10] = 0x5a; // Z
}

function writeTwoDigits(out: Buffer, at: number, value: number): void {
  out[at] = 0x30 + Math.floor(value / 10);
  out[at + 1] = 0x30 + (value % 10);
}
