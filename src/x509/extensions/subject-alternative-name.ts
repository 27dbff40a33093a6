import { DerError, open } from '../der/reader.ts';
import { sequence, TAG } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';
import { encodeDnsName, encodeIpAddress, encodeUri, parseGeneralNames, type GeneralNames } from './general-names.ts';

/** Names to write, in this order of kinds. */
export interface AlternativeNames {
  uris: readonly string[];
  dnsNames: readonly string[];
  ipAddresses?: readonly string[] | undefined;
}

/** RFC 5280 §4.2.1.6: critical exactly when the subject is empty. @throws RangeError for names outside ASCII */
export const encodeSubjectAlternativeName = ({ uris, dnsNames, ipAddresses = [] }: AlternativeNames, critical: boolean): Extension => ({
  oid: OID.subjectAlternativeName,
  critical,
  value: sequence(...uris.map(encodeUri), ...dnsNames.map(encodeDnsName), ...ipAddresses.map(encodeIpAddress)),
});

/** At least one name. @throws DerError */
export function parseSubjectAlternativeName(value: Uint8Array): GeneralNames {
  const top = open(value);
  const node = top.expect(TAG.SEQUENCE, 'SubjectAltName');
  top.end('SubjectAltName');
  if (node.length === 0) throw new DerError('empty SubjectAltName', node.offset);
  return parseGeneralNames(top.descend(node));
}
