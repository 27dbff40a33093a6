import { DerError, oidValue, open, stringValue } from '../der/reader.ts';
import { oid, sequence, TAG } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';
import { encodeUri } from './general-names.ts';

/** Where the issuer answers OCSP and where its certificate is (RFC 5280 §4.2.2.1). URIs. */
export interface AuthorityInformationAccess {
  ocsp: string[];
  caIssuers: string[];
}

const describe = (method: string) => (uri: string): Buffer => sequence(oid(method), encodeUri(uri));

/** OCSP first; never critical. */
export const encodeAuthorityInformationAccess = ({ ocsp = [], caIssuers = [] }: { ocsp?: readonly string[]; caIssuers?: readonly string[] }): Extension => ({
  oid: OID.authorityInformationAccess,
  critical: false,
  value: sequence(...ocsp.map(describe(OID.accessOcsp)), ...caIssuers.map(describe(OID.accessCaIssuers))),
});

/** Other access methods, and locations that are not URIs, are read over. @throws DerError */
export function parseAuthorityInformationAccess(value: Uint8Array): AuthorityInformationAccess {
  const top = open(value);
  const node = top.expect(TAG.SEQUENCE, 'AuthorityInfoAccess');
  top.end('AuthorityInfoAccess');
  if (node.length === 0) throw new DerError('empty AuthorityInfoAccess', node.offset);
  const list = top.descend(node);
  const access: AuthorityInformationAccess = { ocsp: [], caIssuers: [] };
  while (!list.done) {
    const description = list.sequence('AccessDescription');
    const method = oidValue(description.expect(TAG.OID, 'accessMethod'));
    const location = description.next();
    description.end('AccessDescription');
    if (location.tag !== 0x86) continue;
    if (method === OID.accessOcsp) access.ocsp.push(stringValue(location));
    if (method === OID.accessCaIssuers) access.caIssuers.push(stringValue(location));
  }
  return access;
}
