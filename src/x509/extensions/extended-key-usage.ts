import { DerError, oidValue, open } from '../der/reader.ts';
import { oid, sequence, TAG } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';

/** Purposes by the names RFC 5280 §4.2.1.12 gives them (id-kp-…). */
const PURPOSES = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
  jwt: '1.3.6.1.5.5.7.3.37', // RFC 9509 §3: signs JWTs, as JWS
  anyExtendedKeyUsage: '2.5.29.37.0',
} as const;

export type ExtendedKeyUsage = keyof typeof PURPOSES;

const NAMES: ReadonlyMap<string, string> = new Map(Object.entries(PURPOSES).map(([name, id]) => [id, name]));

/** Dotted OID of a purpose. */
export const extendedKeyUsageOid = (usage: ExtendedKeyUsage): string => PURPOSES[usage];

/** Never critical, in the given order. */
export const encodeExtendedKeyUsage = (usages: readonly ExtendedKeyUsage[]): Extension => ({
  oid: OID.extendedKeyUsage,
  critical: false,
  value: sequence(...usages.map((usage) => oid(PURPOSES[usage]))),
});

/** Names of known purposes, dotted OIDs of others; at least one. @throws DerError */
export function parseExtendedKeyUsage(value: Uint8Array): string[] {
  const top = open(value);
  const node = top.expect(TAG.SEQUENCE, 'ExtendedKeyUsage');
  top.end('ExtendedKeyUsage');
  const list = top.descend(node);
  const usages: string[] = [];
  while (!list.done) {
    const id = oidValue(list.expect(TAG.OID, 'KeyPurposeId'));
    usages.push(NAMES.get(id) ?? id);
  }
  if (usages.length === 0) throw new DerError('empty ExtendedKeyUsage', node.offset);
  return usages;
}
