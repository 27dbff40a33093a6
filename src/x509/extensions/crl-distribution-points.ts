import { DerError, open, type DerCursor } from '../der/reader.ts';
import { context, sequence, TAG } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';
import { encodeUri, parseGeneralNames } from './general-names.ts';

/** DistributionPointName by full name: [0] fullName { [6] URI … } (RFC 5280 §4.2.1.13). */
export const encodeFullName = (uris: readonly string[]): Buffer => context(0, context(0, ...uris.map(encodeUri)));

/** URIs of a DistributionPointName; none when it is relative to the issuer. @throws DerError */
export function parseDistributionPointName(name: DerCursor): string[] {
  const node = name.next();
  name.end('DistributionPointName');
  if (node.tag === 0xa0) return parseGeneralNames(name.descend(node)).uris;
  if (node.tag === 0xa1) return [];
  throw new DerError('bad DistributionPointName', node.offset);
}

/** One distribution point with these URIs; never critical (RFC 5280 §4.2.1.13). */
export const encodeCrlDistributionPoints = (uris: readonly string[]): Extension => ({
  oid: OID.crlDistributionPoints,
  critical: false,
  value: sequence(sequence(encodeFullName(uris))),
});

/** URIs of all distribution points; reasons and cRLIssuer are read over. @throws DerError */
export function parseCrlDistributionPoints(value: Uint8Array): string[] {
  const top = open(value);
  const node = top.expect(TAG.SEQUENCE, 'CRLDistributionPoints');
  top.end('CRLDistributionPoints');
  const points = top.descend(node);
  const uris: string[] = [];
  while (!points.done) {
    const point = points.sequence('DistributionPoint');
    const name = point.optional(0xa0);
    point.optional(0x81);
    point.optional(0xa2);
    point.end('DistributionPoint');
    if (name) uris.push(...parseDistributionPointName(point.descend(name)));
  }
  if (node.length === 0) throw new DerError('empty CRLDistributionPoints', node.offset);
  return uris;
}
