import { DerError, open } from '../der/reader.ts';
import { octetString, TAG } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';

/** RFC 9654 §2.1: a nonce has 1 to 128 octets; others are refused with malformedRequest. */
const MAX_NONCE_BYTES = 128;

/** Nonce ::= OCTET STRING (SIZE(1..128)) of an OCSP request or response (RFC 9654 §2.1). */
export const encodeNonce = (nonce: Uint8Array): Extension => ({ oid: OID.ocspNonce, critical: false, value: octetString(nonce) });

/** @throws DerError when it is not an OCTET STRING of 1 to 128 octets */
export function parseNonce(value: Buffer): Buffer {
  const cursor = open(value);
  const { content } = cursor.expect(TAG.OCTET_STRING, 'nonce');
  cursor.end('nonce');
  if (content.length < 1 || content.length > MAX_NONCE_BYTES) throw new DerError('nonce is not 1 to 128 octets', 0);
  return content;
}
