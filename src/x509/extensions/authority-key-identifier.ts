import { open } from '../der/reader.ts';
import { contextPrimitive, sequence } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';

/** RFC 5280 §4.2.1.1, by key identifier alone; never critical. */
export const encodeAuthorityKeyIdentifier = (keyIdentifier: Uint8Array): Extension => ({
  oid: OID.authorityKeyIdentifier,
  critical: false,
  value: sequence(contextPrimitive(0, keyIdentifier)),
});

/** The key identifier, if there is one; issuer name and serial are read over. @throws DerError */
export function parseAuthorityKeyIdentifier(value: Uint8Array): Buffer | undefined {
  const top = open(value);
  const fields = top.sequence('AuthorityKeyIdentifier');
  top.end('AuthorityKeyIdentifier');
  const keyIdentifier = fields.optional(0x80)?.content;
  fields.optional(0xa1); // authorityCertIssuer
  fields.optional(0x82); // authorityCertSerialNumber
  fields.end('AuthorityKeyIdentifier');
  return keyIdentifier;
}
