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

/** One parsed TLV. `content` and `raw` are views into the input, never copies. */
export interface DerNode {
  readonly tag: number;
  /** Content octets. */
  readonly content: Buffer;
  /** Header and content octets. */
  readonly raw: Buffer;
  /** Offset of the header in the outermost input. */
  readonly offset: number;
}

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

  constructor(bytes: Buffer, base: number, budget: Budget, depth: number) {
    this.#bytes = bytes;
    this.#base = base;
    this.#budget = budget;
    this.#depth = depth;
  }

  /** True when this level has no further element. */
  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Tag of the next element, or undefined at the end of the level. */
  peekTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next element, whatever it is. @throws DerError */
  next(): DerNode {
    const { tag, headerLength, length } = this.#header();
    if (--this.#budget.elements < 0) throw this.#error('too many elements');
    const start = this.#at;
    const end = start + headerLength + length;
    this.#at = end;
    return {
      tag,
      content: this.#bytes.subarray(start + headerLength, end),
      raw: this.#bytes.subarray(start, end),
      offset: this.#base + start,
    };
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

  /** Cursor over the children of a constructed node of this level. @throws DerError */
  descend(node: DerNode): DerCursor {
    if (!(node.tag & 0x20)) throw new DerError('expected a constructed element', node.offset);
    return this.#child(node.content, node.offset + node.raw.length - node.content.length);
  }

  /** The next element must be a SEQUENCE; a cursor over its children. @throws DerError */
  sequence(what: string): DerCursor {
    return this.descend(this.expect(TAG.SEQUENCE, what));
  }

  /** Cursor over DER wrapped in a primitive node (an OCTET STRING's content). @throws DerError */
  inside(node: DerNode): DerCursor {
    return this.#child(node.content, node.offset + node.raw.length - node.content.length);
  }

  /** Fails unless this level is used up. @throws DerError */
  end(what: string): void {
    if (!this.done) throw this.#error(`${what}: unexpected further octets`);
  }

  #child(content: Buffer, base: number): DerCursor {
    if (this.#depth + 1 > this.#budget.depth) throw new DerError('nested too deeply', base);
    return new DerCursor(content, base, this.#budget, this.#depth + 1);
  }

  #header(): { tag: number; headerLength: number; length: number } {
    const bytes = this.#bytes;
    const at = this.#at;
    const tag = bytes[at];
    const first = bytes[at + 1];
    if (tag === undefined || first === undefined) throw this.#error('truncated header');
    if ((tag & 0x1f) === 0x1f) throw this.#error('multi-octet tag');
    if (first === 0x80) throw this.#error('indefinite length');
    let length = first;
    let headerLength = 2;
    if (first > 0x80) {
      const count = first & 0x7f;
      if (count > 4) throw this.#error('length of more than four octets');
      length = 0;
      for (let i = 0; i < count; i++) {
        const octet = bytes[at + 2 + i];
        if (octet === undefined) throw this.#error('truncated length');
        length = length * 256 + octet;
      }
      if (bytes[at + 2] === 0 || length < 0x80) throw this.#error('length is not minimal');
      headerLength = 2 + count;
    }
    if (length > bytes.length - at - headerLength) throw this.#error('content is truncated');
    return { tag, headerLength, length };
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

/** Dotted decimal of an OBJECT IDENTIFIER: minimal arcs, each below 2^53, at most 32 arcs. @throws DerError */
export function oidValue(node: DerNode): string {
  const { content, offset } = node;
  if (content.length === 0 || content.length > 128 || (content.at(-1) ?? 0) & 0x80) throw new DerError('bad object identifier', offset);
  const arcs: number[] = [];
  let arc = 0;
  let fresh = true;
  for (const octet of content) {
    if (fresh && octet === 0x80) throw new DerError('object identifier is not minimal', offset);
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) throw new DerError('object identifier arc too large', offset);
    fresh = !(octet & 0x80);
    if (fresh) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const [head = 0, ...rest] = arcs;
  if (rest.length > 31) throw new DerError('object identifier too long', offset);
  const first = Math.min(2, Math.floor(head / 40));
  return [first, head - first * 40, ...rest].join('.');
}

const TIME = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;

/** UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 restricts them (seconds, Z, no fraction; GeneralizedTime only from 2050 when `x509`). @throws DerError */
export function timeValue(node: DerNode, x509 = true): Date {
  const text = node.content.toString('latin1');
  const match = TIME.exec(text);
  const yearDigits = node.tag === TAG.UTC_TIME ? 2 : node.tag === TAG.GENERALIZED_TIME ? 4 : 0;
  if (!match || match[1]?.length !== yearDigits) throw new DerError('bad time', node.offset);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const fullYear = yearDigits === 4 ? year : year < 50 ? 2000 + year : 1900 + year;
  if (x509 && yearDigits === 4 && fullYear < 2050) throw new DerError('GeneralizedTime before 2050', node.offset);
  const at = new Date(Date.UTC(2000, month - 1, day, hour, minute, second));
  at.setUTCFullYear(fullYear, month - 1, day);
  const same = at.getUTCMonth() === month - 1 && at.getUTCDate() === day && at.getUTCHours() === hour && at.getUTCMinutes() === minute && at.getUTCSeconds() === second;
  if (!same) throw new DerError('no such time', node.offset);
  return at;
}

/** Text of a string type, checked for its alphabet. @throws DerError */
export function stringValue(node: DerNode): string {
  const { tag, content, offset } = node;
  switch (tag) {
    case TAG.UTF8_STRING:
      try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
      } catch {
        throw new DerError('bad UTF-8', offset);
      }
    case TAG.PRINTABLE_STRING:
      if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(content.toString('latin1'))) throw new DerError('bad PrintableString', offset);
      return content.toString('latin1');
    case TAG.IA5_STRING:
    case 0x86: // [6] IMPLICIT IA5String: uniformResourceIdentifier
    case 0x82: // [2] IMPLICIT IA5String: dNSName
    case 0x81: // [1] IMPLICIT IA5String: rfc822Name
      for (const octet of content) if (octet > 0x7f) throw new DerError('bad IA5String', offset);
      return content.toString('latin1');
    default:
      throw new DerError(`unsupported string type 0x${tag.toString(16)}`, offset);
  }
}
