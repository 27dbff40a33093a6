import { booleanValue, DerError, open, type DerCursor } from '../der/reader.ts';
import { sequence } from '../der/writer.ts';
import { OID } from '../oids.ts';
import { encodeFullName, parseDistributionPointName } from './crl-distribution-points.ts';
import type { Extension } from './extension.ts';

/** Which part of an issuer's certificates a CRL covers (RFC 5280 §5.2.5). */
export interface IssuingDistributionPoint {
  /** Of the shard, as the certificates' CRL distribution points name it. Empty: all. */
  uris: string[];
  onlyContainsUserCerts: boolean;
  onlyContainsCaCerts: boolean;
  /** Some reasons only, CRL entries of other issuers, or attribute certificates only: lists we do not make and a verifier must not use. */
  restricted: boolean;
}

/** Of a shard: always critical. */
export const encodeIssuingDistributionPoint = ({ uris }: { uris: readonly string[] }): Extension => ({
  oid: OID.issuingDistributionPoint,
  critical: true,
  value: sequence(encodeFullName(uris)),
});

/** @throws DerError */
export function parseIssuingDistributionPoint(value: Uint8Array): IssuingDistributionPoint {
  const top = open(value);
  const fields = top.sequence('IssuingDistributionPoint');
  top.end('IssuingDistributionPoint');
  const name = fields.optional(0xa0);
  const onlyContainsUserCerts = flag(fields, 0x81);
  const onlyContainsCaCerts = flag(fields, 0x82);
  const onlySomeReasons = fields.optional(0x83) !== undefined;
  const indirectCrl = flag(fields, 0x84);
  const onlyContainsAttributeCerts = flag(fields, 0x85);
  fields.end('IssuingDistributionPoint');
  return {
    uris: name ? parseDistributionPointName(fields.descend(name)) : [],
    onlyContainsUserCerts,
    onlyContainsCaCerts,
    restricted: onlySomeReasons || indirectCrl || onlyContainsAttributeCerts,
  };
}

function flag(fields: DerCursor, tag: number): boolean {
  const node = fields.optional(tag);
  if (node && !booleanValue(node)) throw new DerError('a default FALSE is written out', node.offset);
  return node !== undefined;
}
