import { open } from '../der/reader.ts';

const FIELDS = ['version', 'serialNumber', 'signature', 'issuer', 'validity', 'subject', 'subjectPublicKeyInfo'] as const;

/** The octets of one leading field of a version 3 TBSCertificate (RFC 5280 §4.1). @throws DerError where there are not so many fields */
export function tbsField(tbs: Uint8Array, field: (typeof FIELDS)[number]): Buffer {
  const fields = open(tbs).sequence('TBSCertificate');
  for (let before = FIELDS.indexOf(field); before > 0; before--) fields.next();
  return fields.next().raw;
}
