/**
 * Strict DER reader for the subset X.509 uses (ITU-T X.690 §8, §10): definite, minimal lengths; single-octet tags;
 * minimal integers; booleans 00/FF; no trailing octets. Whatever else comes is a DerError, never another exception.
 * Bounded: input length, nesting depth and number of elements (DESIGN invariant 12).
 */
import { TAG } from './writer.ts';

/** Bytes are not the strict DER this reader accepts. `offset` is into the outermost input. */
export class DerError extends Error {
  override readonly name = 'DerError';
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(`${message} at octet ${offset}`);
    this.offset = offset;
  }
}

export interface DerLimits {
  maxBytes: number;
  maxDepth: number;
  maxElements: number;
}

/** Enough for certificates, CSRs and OCSP requests; CRLs pass their own. */
export const DEFAULT_LIMITS: DerLimits = { maxBytes: 65_536, maxDepth: 24, maxElements: 4_096 };

/** One parsed TLV of an input. Its views are made when asked for: most elements of a certificate are only walked through. */
export class DerNode {
  readonly tag: number;
  /** Offset of the header in the outermost input. */
  readonly offset: number;
  /** @internal The octets this element is part of, and where in them. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;

  constructor(bytes: Buffer, offset: number, start: number, contentStart: number, end: number) {
    this.tag = bytes[start] ?? 0;
    this.offset = offset;
    this.bytes = bytes;
    this.start = start;
    this.contentStart = contentStart;
    this.end = end;
  }

  /** Content octets: a view into the input, never a copy. */
  get content(): Buffer {
    return this.bytes.subarray(this.contentStart, this.end);
  }

  /** Header and content octets: a view into the input, never a copy. */
  get raw(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  /** Number of content octets. */
  get length(): number {
    return this.end - this.contentStart;
  }
}

/** What may still be read of one input, shared by all its cursors. */
interface Budget {
  depth: number;
  elements: number;
}

/**
 * Walks the elements of one level, in order. `open(input)` gives a cursor over the single outermost element;
 * `descend(node)` gives one over a constructed node's children. Call `end()` when a level must have nothing more.
 */
export class DerCursor {
  readonly #bytes: Buffer;
  readonly #base: number;
  readonly #budget: Budget;
  readonly #depth: number;
  #at = 0;
  #end: number;

  /** `base` is the offset of `bytes` in the outermost input, for error messages. */
  constructor(bytes: Buffer, base: number, budget: Budget, depth: number) {
    this.#bytes = bytes;
    this.#base = base;
    this.#budget = budget;
    this.#depth = depth;
    this.#end = bytes.length;
  }

  /** True when this level has no further element. */
  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** Tag of the next element, or undefined at the end of the level. */
  peekTag(): number | undefined {
    return this.#at < this.#end ? this.#bytes[this.#at] : undefined;
  }

  /** The next element, whatever it is. @throws DerError */
  next(): DerNode {
    const start = this.#at;
    const bytes = this.#bytes;
    if (start + 2 > this.#end) throw this.#error('truncated header');
    if (((bytes[start] ?? 0) & 0x1f) === 0x1f) throw this.#error('multi-octet tag');
    const first = bytes[start + 1] ?? 0;
    const contentStart = first < 0x80 ? start + 2 : start + 2 + (first & 0x7f);
    const end = contentStart + (first < 0x80 ? first : this.#longLength(first));
    if (end > this.#end) throw this.#error('content is truncated');
    if (--this.#budget.elements < 0) throw this.#error('too many elements');
    this.#at = end;
    return new DerNode(bytes, this.#base + start, start, contentStart, end);
  }

  /** The next element, which must have this tag. @throws DerError */
  expect(tag: number, what: string): DerNode {
    if (this.peekTag() !== tag) throw this.#error(`${what}: expected tag 0x${tag.toString(16)}, found ${this.#found()}`);
    return this.next();
  }

  /** The next element if it has this tag, else undefined. @throws DerError */
  optional(tag: number): DerNode | undefined {
    return this.peekTag() === tag ? this.next() : undefined;
  }

  /** Cursor over the children of a constructed node of this input. @throws DerError */
  descend(node: DerNode): DerCursor {
    if (!(node.tag & 0x20)) throw new DerError('expected a constructed element', node.offset);
    return this.inside(node);
  }

  /** The next element must be a SEQUENCE; a cursor over its children. @throws DerError */
  sequence(what: string): DerCursor {
    return this.descend(this.expect(TAG.SEQUENCE, what));
  }

  /** Cursor over DER wrapped in a primitive node (an OCTET STRING's content). @throws DerError */
  inside(node: DerNode): DerCursor {
    if (this.#depth + 1 > this.#budget.depth) throw new DerError('nested too deeply', node.offset);
    const child = new DerCursor(node.bytes, node.offset - node.start, this.#budget, this.#depth + 1);
    child.#at = node.contentStart;
    child.#end = node.end;
    return child;
  }

  /** Fails unless this level is used up. @throws DerError */
  end(what: string): void {
    if (!this.done) throw this.#error(`${what}: unexpected further octets`);
  }

  /** Length in the long form, minimal and of at most four octets (X.690 §8.1.3.5, §10.1). */
  #longLength(first: number): number {
    if (first === 0x80) throw this.#error('indefinite length');
    const count = first & 0x7f;
    if (count > 4) throw this.#error('length of more than four octets');
    const from = this.#at + 2;
    if (from + count > this.#end) throw this.#error('truncated length');
    let length = 0;
    for (let i = from; i < from + count; i++) length = length * 256 + (this.#bytes[i] ?? 0);
    if (length < 0x80 || this.#bytes[from] === 0) throw this.#error('length is not minimal');
    return length;
  }

  #found(): string {
    const tag = this.peekTag();
    return tag === undefined ? 'the end' : `0x${tag.toString(16)}`;
  }

  #error(message: string): DerError {
    return new DerError(message, this.#base + this.#at);
  }
}

/** Cursor over `input`, which must be exactly one element: call `next()`/`sequence()` once, then `end()`. @throws DerError */
export function open(input: Uint8Array, limits: DerLimits = DEFAULT_LIMITS): DerCursor {
  if (input.length > limits.maxBytes) throw new DerError(`more than ${limits.maxBytes} octets`, 0);
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  return new DerCursor(bytes, 0, { depth: limits.maxDepth, elements: limits.maxElements }, 0);
}

/** Content of a non-negative, minimal INTEGER without its sign octet. @throws DerError */
export function unsignedIntegerBytes(node: DerNode): Buffer {
  const body = integerContent(node);
  if ((body[0] ?? 0) & 0x80) throw new DerError('negative integer', node.offset);
  return body[0] === 0 && body.length > 1 ? body.subarray(1) : body;
}

/** A small non-negative INTEGER (below 2^31). @throws DerError */
export function smallInteger(node: DerNode): number {
  const body = unsignedIntegerBytes(node);
  if (body.length > 4 || (body.length === 4 && (body[0] ?? 0) & 0x80)) throw new DerError('integer out of range', node.offset);
  return body.readUIntBE(0, body.length);
}

/** INTEGER content, checked minimal (X.690 §8.3.2). May be negative. @throws DerError */
export function integerContent(node: DerNode): Buffer {
  const { content, offset } = node;
  const [a, b] = content;
  if (a === undefined) throw new DerError('empty integer', offset);
  if (b !== undefined && ((a === 0 && b < 0x80) || (a === 0xff && b >= 0x80))) throw new DerError('integer is not minimal', offset);
  return content;
}

/** BOOLEAN, 00 or FF only. @throws DerError */
export function booleanValue(node: DerNode): boolean {
  if (node.content.length !== 1 || (node.content[0] !== 0 && node.content[0] !== 0xff)) throw new DerError('boolean is not 00 or FF', node.offset);
  return node.content[0] === 0xff;
}

/** BIT STRING octets; with `unusedBits` required zero unless `named`. Padding bits must be zero. @throws DerError */
export function bitStringBytes(node: DerNode, named = false): Buffer {
  const unused = node.content[0];
  if (unused === undefined || unused > 7) throw new DerError('bad bit string', node.offset);
  const body = node.content.subarray(1);
  if (unused !== 0) {
    const last = body.at(-1);
    if (!named || last === undefined || last & ((1 << unused) - 1)) throw new DerError('bad bit string padding', node.offset);
  }
  if (named && body.length > 0) {
    const last = body.at(-1) ?? 0;
    if (((last >> unused) & 1) === 0) throw new DerError('named bits with trailing zeros', node.offset);
  }
  return body;
}

/** Octets of an OBJECT IDENTIFIER and arcs in it that are read: far more than any that is in use. */
const OID_MAX_BYTES = 128;
const OID_MAX_ARCS = 32;

/** Dotted decimal of an OBJECT IDENTIFIER: minimal arcs, each below 2^53, at most 32 arcs. @throws DerError */
export function oidValue(node: DerNode): string {
  const { bytes, offset, end, length } = node;
  if (length === 0 || length > OID_MAX_BYTES || (bytes[end - 1] ?? 0) & 0x80) throw new DerError('bad object identifier', offset);
  let text = '';
  let arcs = 1;
  let arc = 0;
  let fresh = true;
  for (let at = node.contentStart; at < end; at++) {
    const octet = bytes[at] ?? 0;
    if (fresh && octet === 0x80) throw new DerError('object identifier is not minimal', offset);
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) throw new DerError('object identifier arc too large', offset);
    fresh = octet < 0x80;
    if (!fresh) continue;
    text += text === '' ? firstArcs(arc) : `.${arc}`;
    arc = 0;
    if (++arcs > OID_MAX_ARCS) throw new DerError('object identifier too long', offset);
  }
  return text;
}

/** The first two arcs share one number (X.690 §8.19.4). */
function firstArcs(arc: number): string {
  const first = arc < 80 ? Math.floor(arc / 40) : 2;
  return `${first}.${arc - first * 40}`;
}

/**
 * UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 restricts them: seconds, Z, no fraction; GeneralizedTime only from 2050 when `x509`.
 * @throws DerError
 */
export function timeValue(node: DerNode, x509 = true): Date {
  const { tag, content, offset } = node;
  const yearDigits = tag === TAG.UTC_TIME ? 2 : tag === TAG.GENERALIZED_TIME ? 4 : 0;
  if (yearDigits === 0 || content.length !== yearDigits + 11 || content[yearDigits + 10] !== 0x5a) throw new DerError('bad time', offset);
  for (let i = 0; i < yearDigits + 10; i++) if ((content[i] ?? 0) < 0x30 || (content[i] ?? 0) > 0x39) throw new DerError('bad time', offset);
  const pair = (at: number) => ((content[at] ?? 0) - 0x30) * 10 + ((content[at + 1] ?? 0) - 0x30);
  const lastPair = pair(yearDigits - 2);
  const year = yearDigits === 4 ? pair(0) * 100 + lastPair : lastPair < 50 ? 2000 + lastPair : 1900 + lastPair;
  if (x509 && yearDigits === 4 && year >= 1950 && year < 2050) throw new DerError('GeneralizedTime before 2050', offset);
  const [month, day, hour, minute, second] = [pair(yearDigits), pair(yearDigits + 2), pair(yearDigits + 4), pair(yearDigits + 6), pair(yearDigits + 8)];
  const inRange = month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month) && hour < 24 && minute < 60 && second < 60;
  if (!inRange) throw new DerError('no such time', offset);
  const at = new Date(Date.UTC(2000, month - 1, day, hour, minute, second));
  // Date.UTC takes years below 100 for those of the twentieth century.
  at.setUTCFullYear(year, month - 1, day);
  return at;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Octets of PrintableString (X.680 §41.4). */
const PRINTABLE: readonly boolean[] = Array.from({ length: 128 }, (_, octet) => /[A-Za-z0-9 '()+,\-./:=?]/.test(String.fromCharCode(octet)));

/** Text of a string type, checked for its alphabet; also the IA5Strings of GeneralName. @throws DerError */
export function stringValue(node: DerNode): string {
  const { tag, content, offset } = node;
  switch (tag) {
    case TAG.UTF8_STRING:
      return isAscii(content) ? content.toString('latin1') : utf8Text(content, offset);
    case TAG.PRINTABLE_STRING:
      if (!content.every((octet) => PRINTABLE[octet])) throw new DerError('bad PrintableString', offset);
      return content.toString('latin1');
    case TAG.IA5_STRING:
    case 0x86: // [6] IMPLICIT IA5String: uniformResourceIdentifier
    case 0x82: // [2] IMPLICIT IA5String: dNSName
    case 0x81: // [1] IMPLICIT IA5String: rfc822Name
      if (!isAscii(content)) throw new DerError('bad IA5String', offset);
      return content.toString('latin1');
    default:
      throw new DerError(`unsupported string type 0x${tag.toString(16)}`, offset);
  }
}

function isAscii(octets: Buffer): boolean {
  for (let i = 0; i < octets.length; i++) if ((octets[i] ?? 0) > 0x7f) return false;
  return true;
}

function utf8Text(octets: Buffer, offset: number): string {
  try {
    return UTF8.decode(octets);
  } catch {
    throw new DerError('bad UTF-8', offset);
  }
}
