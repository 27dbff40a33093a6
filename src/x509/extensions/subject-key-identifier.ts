import { open } from '../der/reader.ts';
import { octetString, TAG } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';

/** RFC 5280 §4.2.1.2; never critical. Which identifier: public-key.ts. */
export const encodeSubjectKeyIdentifier = (keyIdentifier: Uint8Array): Extension => ({
  oid: OID.subjectKeyIdentifier,
  critical: false,
  value: octetString(keyIdentifier),
});

/** @throws DerError */
export function parseSubjectKeyIdentifier(value: Uint8Array): Buffer {
  const cursor = open(value);
  const { content } = cursor.expect(TAG.OCTET_STRING, 'SubjectKeyIdentifier');
  cursor.end('SubjectKeyIdentifier');
  return content;
}
