import { DerError, open, unsignedIntegerBytes } from '../der/reader.ts';
import { integer, TAG } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';

/** RFC 5280 §5.2.3: "CRL issuers MUST NOT use CRLNumber values longer than 20 octets". */
const MAX_BYTES = 20;

/** Monotonic number of a list (RFC 5280 §5.2.3); never critical. */
export const encodeCrlNumber = (number: bigint): Extension => ({ oid: OID.crlNumber, critical: false, value: integer(number) });

/** @throws DerError */
export function parseCrlNumber(value: Uint8Array): bigint {
  const cursor = open(value);
  const node = cursor.expect(TAG.INTEGER, 'CRLNumber');
  cursor.end('CRLNumber');
  const octets = unsignedIntegerBytes(node);
  if (octets.length > MAX_BYTES) throw new DerError('CRLNumber of more than 20 octets', node.offset);
  return BigInt(`0x${octets.toString('hex')}`);
}
