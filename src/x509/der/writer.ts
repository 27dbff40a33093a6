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

/** Header octets for a tag and content length. */
export function header(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.from([tag, length]);
  if (length < 0x100) return Buffer.from([tag, 0x81, length]);
  if (length < 0x10000) return Buffer.from([tag, 0x82, length >> 8, length & 0xff]);
  if (length < 0x1000000) return Buffer.from([tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]);
  return Buffer.from([tag, 0x84, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff]);
}

/** One TLV around the concatenated parts. */
export function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  return Buffer.concat([header(tag, length), ...parts]);
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

const oidCache = new Map<string, Buffer>();

/** OBJECT IDENTIFIER from dotted decimal. Cached: call it with constants only. */
export function oid(dotted: string): Buffer {
  const known = oidCache.get(dotted);
  if (known) return known;
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const body: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const septets = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) septets.unshift((left & 0x7f) | 0x80);
    body.push(...septets);
  }
  const out = tlv(TAG.OID, Uint8Array.from(body));
  oidCache.set(dotted, out);
  return out;
}

export const utf8String = (text: string): Buffer => tlv(TAG.UTF8_STRING, Buffer.from(text, 'utf8'));
export const printableString = (text: string): Buffer => tlv(TAG.PRINTABLE_STRING, Buffer.from(text, 'latin1'));
export const ia5String = (text: string): Buffer => tlv(TAG.IA5_STRING, Buffer.from(text, 'latin1'));

/** Context-specific constructed `[n]` around parts (explicit tagging, or implicit around a constructed type). */
export const context = (n: number, ...parts: Uint8Array[]): Buffer => tlv(0xa0 | n, ...parts);
/** Context-specific primitive `[n]` (implicit tagging of a primitive type). */
export const contextPrimitive = (n: number, bytes: Uint8Array): Buffer => tlv(0x80 | n, bytes);

const two = (n: number) => String(n).padStart(2, '0');

/** Time as RFC 5280 §4.1.2.5 wants it: UTCTime through 2049, GeneralizedTime from 2050, whole seconds, Z. */
export function time(at: Date): Buffer {
  return at.getUTCFullYear() < 2050 && at.getUTCFullYear() >= 1950 ? utcTime(at) : generalizedTime(at);
}

function utcTime(at: Date): Buffer {
  return tlv(TAG.UTC_TIME, Buffer.from(`${two(at.getUTCFullYear() % 100)}${monthToSecond(at)}Z`, 'latin1'));
}

/** GeneralizedTime, whole seconds (RFC 6960 uses nothing else). */
export function generalizedTime(at: Date): Buffer {
  return tlv(TAG.GENERALIZED_TIME, Buffer.from(`${String(at.getUTCFullYear()).padStart(4, '0')}${monthToSecond(at)}Z`, 'latin1'));
}

const monthToSecond = (at: Date): string =>
  two(at.getUTCMonth() + 1) + two(at.getUTCDate()) + two(at.getUTCHours()) + two(at.getUTCMinutes()) + two(at.getUTCSeconds());
