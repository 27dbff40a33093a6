import { DerError, open, smallInteger } from '../der/reader.ts';
import { TAG } from '../der/writer.ts';

/** CRLReason of a CRL entry (RFC 5280 §5.3.1): 0..10 without 7. crl.ts writes it in place. @throws DerError */
export function parseReasonCode(value: Uint8Array): number {
  const cursor = open(value);
  const node = cursor.expect(TAG.ENUMERATED, 'CRLReason');
  cursor.end('CRLReason');
  const reason = smallInteger(node);
  if (reason > 10 || reason === 7) throw new DerError('no such CRLReason', node.offset);
  return reason;
}
