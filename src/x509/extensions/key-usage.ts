import { bitStringBytes, DerError, open } from '../der/reader.ts';
import { namedBits, TAG } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';

/** KeyUsage bits in their order (RFC 5280 §4.2.1.3). */
const BITS = [
  'digitalSignature', 'nonRepudiation', 'keyEncipherment', 'dataEncipherment', 'keyAgreement', 'keyCertSign', 'cRLSign', 'encipherOnly', 'decipherOnly',
] as const;

/** What a key may be used for. */
export type KeyUsage = (typeof BITS)[number];

/** Always critical. */
export const encodeKeyUsage = (usages: readonly KeyUsage[]): Extension => ({
  oid: OID.keyUsage,
  critical: true,
  value: namedBits(usages.map((usage) => BITS.indexOf(usage))),
});

/** In the order of the bits; at least one (§4.2.1.3). @throws DerError */
export function parseKeyUsage(value: Uint8Array): KeyUsage[] {
  const cursor = open(value);
  const node = cursor.expect(TAG.BIT_STRING, 'KeyUsage');
  cursor.end('KeyUsage');
  return usagesIn(bitStringBytes(node, true), node.offset);
}

/** The same of other CAs, some of which (roots in every browser among them) write zero bits behind the last that is set, against X.690 §11.2.2. @throws DerError */
export function parseForeignKeyUsage(value: Uint8Array): KeyUsage[] {
  const cursor = open(value);
  const { content, offset } = cursor.expect(TAG.BIT_STRING, 'KeyUsage');
  cursor.end('KeyUsage');
  const unused = content[0] ?? 8;
  const octets = content.subarray(1);
  if (unused > 7 || octets.length === 0 || (octets.at(-1) ?? 0) & ((1 << unused) - 1)) throw new DerError('bad KeyUsage', offset);
  return usagesIn(octets, offset);
}

function usagesIn(octets: Buffer, offset: number): KeyUsage[] {
  if (octets.length === 0 || octets.length > 2 || (octets[1] ?? 0) & 0x7f) throw new DerError('bad KeyUsage', offset);
  return BITS.filter((_, bit) => (octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7)));
}
