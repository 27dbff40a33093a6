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
  const octets = bitStringBytes(node, true);
  if (octets.length === 0 || octets.length > 2 || (octets[1] ?? 0) & 0x7f) throw new DerError('bad KeyUsage', node.offset);
  return BITS.filter((_, bit) => (octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7)));
}
