/** Distinguished names (RFC 5280 §4.1.2.4): a list of attributes, each in a relative name of its own. */
import { DerError, oidValue, open, stringValue, type DerCursor } from './der/reader.ts';
import { ia5String, oid, printableString, sequence, setOf, TAG, utf8String } from './der/writer.ts';

/** One attribute of a name. */
export interface NameAttribute {
  /** CN, O, … where there is a short name (NAME_TYPES), else a dotted OID. */
  type: string;
  value: string;
}

/** Short names (RFC 4514 §3 and what the field uses beside it). */
const NAME_TYPES: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  SN: '2.5.4.4',
  serialNumber: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  STREET: '2.5.4.9',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  title: '2.5.4.12',
  GN: '2.5.4.42',
  UID: '0.9.2342.19200300.100.1.1',
  DC: '0.9.2342.19200300.100.1.25',
  emailAddress: '1.2.840.113549.1.9.1',
};
export const SHORT_NAMES: ReadonlyMap<string, string> = new Map(Object.entries(NAME_TYPES).map(([name, id]) => [id, name]));

/** RFC 5280 appendix A.1: countryName and serialNumber are PrintableString, domainComponent and emailAddress IA5String; the rest is UTF8String. */
const encodeValue = (type: string, value: string): Buffer => {
  if (type === 'C' || type === 'serialNumber') return printableString(value);
  if (type === 'DC' || type === 'emailAddress') return ia5String(value);
  return utf8String(value);
};

/** Name, DER. Types are ours: what callers send is never encoded unchecked. */
export const encodeName = (attributes: readonly NameAttribute[]): Buffer =>
  sequence(...attributes.map(({ type, value }) => setOf(sequence(oid(NAME_TYPES[type] ?? type), encodeValue(type, value)))));

/** Reads the relative names of a level (the children of a Name). Relative names of several attributes are refused. @throws DerError */
export function parseRelativeNames(level: DerCursor): NameAttribute[] {
  const attributes: NameAttribute[] = [];
  while (!level.done) {
    const set = level.descend(level.expect(TAG.SET, 'RelativeDistinguishedName'));
    const fields = set.sequence('AttributeTypeAndValue');
    set.end('RelativeDistinguishedName');
    const id = oidValue(fields.expect(TAG.OID, 'attribute type'));
    const node = fields.next();
    const value = stringValue(node);
    if (value === '') throw new DerError('empty attribute value', node.offset);
    fields.end('AttributeTypeAndValue');
    attributes.push({ type: SHORT_NAMES.get(id) ?? id, value });
  }
  return attributes;
}

/** Reads a Name, DER. @throws DerError */
export function parseName(der: Uint8Array): NameAttribute[] {
  const top = open(der);
  const names = top.sequence('Name');
  top.end('Name');
  return parseRelativeNames(names);
}

/** RFC 4514 text: last attribute first, joined by commas. For people to read, never to compare. */
export const nameToString = (attributes: readonly NameAttribute[]): string =>
  attributes
    .toReversed()
    .map(({ type, value }) => `${type}=${escapeValue(value)}`)
    .join(',');

/** RFC 4514 §2.4; control characters too are written as hex pairs, so that a name cannot forge a line of a log. */
const escapeValue = (value: string): string =>
  value
    .replaceAll(/[\\"+,;<>]/g, '\\$&')
    .replaceAll(/^[ #]| $/g, '\\$&')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => Buffer.from(character, 'utf8').toString('hex').replaceAll(/../g, '\\$&'));
