import { DerError, oidValue, stringValue, type DerCursor } from './der/reader.ts';
import { oid, printableString, sequence, setOf, TAG, utf8String } from './der/writer.ts';
import { OID } from './oids.ts';

/** One attribute of a distinguished name: a short name of RFC 4514 §3, or a dotted OID. */
export interface NameAttribute {
  type: string;
  value: string;
}

const TYPES: Readonly<Record<string, string>> = {
  CN: OID.commonName, C: OID.countryName, L: OID.localityName, ST: OID.stateOrProvinceName, O: OID.organizationName, OU: OID.organizationalUnitName, serialNumber: OID.serialNumber,
};
const SHORT = new Map(Object.entries(TYPES).map(([short, dotted]) => [dotted, short]));
/** RFC 5280 appendix A: these two are PrintableString. */
const PRINTABLE = new Set(['C', 'serialNumber']);
const MAX_ATTRIBUTES = 32;
const MAX_VALUE_CHARACTERS = 1024;

/** Name as an RDNSequence of single-valued RDNs; values as UTF8String (RFC 5280 §4.1.2.4), in the order given. */
export function encodeName(attributes: readonly NameAttribute[]): Buffer {
  return sequence(
    ...attributes.map(({ type, value }) => setOf(sequence(oid(TYPES[type] ?? type), PRINTABLE.has(type) ? printableString(value) : utf8String(value)))),
  );
}

/** Reads a Name with single-valued RDNs. @throws DerError for multi-valued RDNs and string types X.509 has left behind */
export function parseName(cursor: DerCursor): { raw: Buffer; attributes: NameAttribute[] } {
  const node = cursor.expect(TAG.SEQUENCE, 'Name');
  const rdns = cursor.descend(node);
  const attributes: NameAttribute[] = [];
  while (!rdns.done) {
    const rdn = rdns.descend(rdns.expect(TAG.SET, 'RelativeDistinguishedName'));
    const attribute = rdn.sequence('AttributeTypeAndValue');
    rdn.end('RelativeDistinguishedName');
    const type = oidValue(attribute.expect(TAG.OID, 'attribute type'));
    const value = attribute.next();
    attribute.end('AttributeTypeAndValue');
    const text = stringValue(value);
    if (attributes.length === MAX_ATTRIBUTES || text.length > MAX_VALUE_CHARACTERS) throw new DerError('name is too long', value.offset);
    attributes.push({ type: SHORT.get(type) ?? type, value: text });
  }
  return { raw: node.raw, attributes };
}

/** String form of RFC 4514: most specific first, special characters escaped. */
export function nameToString(attributes: readonly NameAttribute[]): string {
  return attributes
    .toReversed()
    .map(({ type, value }) => `${type}=${value.replace(/["+,;<>\\]/g, '\\$&').replace(/^[# ]/, '\\$&').replace(/ $/, '\\ ')}`)
    .join(',');
}
