/**
 * Distinguished names as other CAs write them (RFC 5280 §4.1.2.4): any string type, relative names of several attributes. Compared by §7.1: case
 * and white space make no difference, nor does the string type.
 */
import { DerError, oidValue, open, type DerCursor, type DerNode } from '../der/reader.ts';
import { TAG } from '../der/writer.ts';
import { nameToString, SHORT_NAMES, type NameAttribute } from '../names.ts';

/** A Name as read. */
export interface ForeignName {
  /** DER. */
  der: Buffer;
  /** One key a relative name, first to last: equal keys are equal relative names (§7.1). */
  keys: readonly string[];
  /** All keys in one: equal for equal names. Empty of the empty name. */
  key: string;
  /** Attributes in order, for people and for what looks into names. */
  attributes: readonly NameAttribute[];
}

const [T61_STRING, VIDEOTEX_STRING, GENERAL_STRING, UNIVERSAL_STRING, BMP_STRING, NUMERIC_STRING, VISIBLE_STRING] = [0x14, 0x15, 0x1b, 0x1c, 0x1e, 0x12, 0x1a];

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The names a certificate holds are the same few in most paths: keys of the shorter ones are kept. */
const known = new Map<string, ForeignName>();
const MAX_KNOWN = 4_096;
const MAX_KNOWN_BYTES = 512;

/** Reads a Name, DER. @throws DerError */
export function parseForeignName(der: Buffer): ForeignName {
  if (der.length > MAX_KNOWN_BYTES) return readName(der);
  const text = der.toString('latin1');
  const seen = known.get(text);
  if (seen) return seen;
  // A copy: a view would keep the whole certificate.
  const name = readName(Buffer.from(der));
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(text, name);
  return name;
}

function readName(der: Buffer): ForeignName {
  const top = open(der);
  const level = top.sequence('Name');
  top.end('Name');
  return nameOf(der, level);
}

/** Reads the relative names of a level. @throws DerError */
function nameOf(der: Buffer, level: DerCursor): ForeignName {
  const keys: string[] = [];
  const attributes: NameAttribute[] = [];
  while (!level.done) keys.push(readRelativeName(level, attributes));
  return { der, keys, key: keys.map((key) => `${key.length}:${key}`).join(''), attributes };
}

/** The key of the next RelativeDistinguishedName; its attributes are added. */
function readRelativeName(level: DerCursor, attributes: NameAttribute[]): string {
  const set = level.descend(level.expect(TAG.SET, 'RelativeDistinguishedName'));
  const keys: string[] = [];
  while (!set.done) {
    const fields = set.sequence('AttributeTypeAndValue');
    const id = oidValue(fields.expect(TAG.OID, 'attribute type'));
    const node = fields.next();
    fields.end('AttributeTypeAndValue');
    const value = stringOf(node);
    // What is no text is compared octet by octet, and never equals text.
    keys.push(value === undefined ? `${id}#${node.raw.toString('hex')}` : `${id}=${prepared(value)}`);
    attributes.push({ type: SHORT_NAMES.get(id) ?? id, value: value ?? `#${node.raw.toString('hex')}` });
  }
  if (keys.length === 0) throw new DerError('empty RelativeDistinguishedName', 0);
  return keys.length === 1 ? (keys[0] ?? '') : keys.toSorted().map((key) => `${key.length}+${key}`).join('');
}

/** The text of a string type, or undefined for what has no text we are sure of. @throws DerError for octets that are not of their type */
function stringOf(node: DerNode): string | undefined {
  const { tag, content, offset } = node;
  switch (tag) {
    case TAG.UTF8_STRING:
      try {
        return UTF8.decode(content);
      } catch {
        throw new DerError('bad UTF-8', offset);
      }
    case TAG.PRINTABLE_STRING: // with what many CAs put in it: @, *, _ and &
    case TAG.IA5_STRING:
    case NUMERIC_STRING:
    case VISIBLE_STRING:
      if (content.some((octet) => octet > 0x7f)) throw new DerError('string beyond ASCII', offset);
      return content.toString('latin1');
    case T61_STRING: // in use as Latin-1, which nothing promises
      return content.some((octet) => octet > 0x7f) ? undefined : content.toString('latin1');
    case BMP_STRING:
      if (content.length % 2 !== 0) throw new DerError('bad BMPString', offset);
      return Buffer.from(content).swap16().toString('utf16le');
    case UNIVERSAL_STRING:
    case VIDEOTEX_STRING:
    case GENERAL_STRING:
    default:
      return undefined;
  }
}

/** String preparation (§7.1 by RFC 4518, as far as it makes a difference in names): compatibility composition, case folding, white space. */
function prepared(value: string): string {
  const composed = /^[\x20-\x7e]*$/.test(value) ? value : value.normalize('NFKC');
  return composed.toLowerCase().trim().replaceAll(/\s+/g, ' ');
}

/** Whether `name` is `base` or below it in the tree of names (§4.2.1.10, directoryName). */
export const isWithinName = (name: ForeignName, base: ForeignName): boolean => base.keys.every((key, i) => name.keys[i] === key);

/** RFC 4514 text, for people. */
export const foreignNameText = (name: ForeignName): string => (name.attributes.length === 0 ? '(empty name)' : nameToString(name.attributes));
