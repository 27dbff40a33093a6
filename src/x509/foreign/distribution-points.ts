/** CRL distribution points and the scope of a list (RFC 5280 §4.2.1.13, §5.2.5), whole: names of every kind, reasons, CRL issuers. */
import { bitStringBytes, booleanValue, DerError, open, type DerCursor, type DerNode } from '../der/reader.ts';
import { sequence, TAG, tlv } from '../der/writer.ts';
import { generalNameKey, parseForeignGeneralNames } from './general-name.ts';
import { parseForeignName, type ForeignName } from './name.ts';

/** All reasons (bits 1 to 8 of ReasonFlags): what a list without onlySomeReasons covers. */
export const ALL_REASONS = 0x1fe;

/** One distribution point of a certificate. */
export interface ForeignDistributionPoint {
  /** Keys of its full names (`generalNameKey`), or what its name relative to the issuer makes; undefined without a name. */
  names: string[] | undefined;
  /** ReasonFlags, bit n set for reason n. */
  reasons: number;
  /** Keys of the directory names of cRLIssuer; undefined where the certificate's issuer makes the list. */
  crlIssuers: string[] | undefined;
}

/** IssuingDistributionPoint of a list. */
export interface ForeignIssuingPoint {
  names: string[] | undefined;
  onlyContainsUserCerts: boolean;
  onlyContainsCaCerts: boolean;
  onlyContainsAttributeCerts: boolean;
  reasons: number;
  indirectCrl: boolean;
}

/** `issuer` is that of the certificate: names may be relative to it. @throws DerError */
export function parseForeignDistributionPoints(value: Uint8Array, issuer: ForeignName): ForeignDistributionPoint[] {
  const top = open(value);
  const list = top.sequence('CRLDistributionPoints');
  top.end('CRLDistributionPoints');
  const points: ForeignDistributionPoint[] = [];
  while (!list.done) {
    const fields = list.sequence('DistributionPoint');
    const name = fields.optional(0xa0);
    const reasons = fields.optional(0x81);
    const makers = fields.optional(0xa2);
    fields.end('DistributionPoint');
    const makerNames = makers && parseForeignGeneralNames(fields.descend(makers)).flatMap((maker) => (maker.kind === 'directory' ? [maker.name] : []));
    if (!name && !makerNames) throw new DerError('a distribution point with neither name nor cRLIssuer', 0);
    points.push({
      names: name && pointNames(fields.descend(name), makerNames?.[0] ?? issuer),
      reasons: reasons ? reasonFlags(reasons) : ALL_REASONS,
      crlIssuers: makerNames?.map(({ key }) => key),
    });
  }
  if (points.length === 0) throw new DerError('empty CRLDistributionPoints', 0);
  return points;
}

/** `issuer` is that of the list. @throws DerError */
export function parseForeignIssuingPoint(value: Uint8Array, issuer: ForeignName): ForeignIssuingPoint {
  const top = open(value);
  const fields = top.sequence('IssuingDistributionPoint');
  top.end('IssuingDistributionPoint');
  const name = fields.optional(0xa0);
  const onlyContainsUserCerts = flag(fields, 0x81);
  const onlyContainsCaCerts = flag(fields, 0x82);
  const reasons = fields.optional(0x83);
  const indirectCrl = flag(fields, 0x84);
  const onlyContainsAttributeCerts = flag(fields, 0x85);
  fields.end('IssuingDistributionPoint');
  return {
    names: name && pointNames(fields.descend(name), issuer),
    onlyContainsUserCerts,
    onlyContainsCaCerts,
    onlyContainsAttributeCerts,
    reasons: reasons ? reasonFlags(reasons) : ALL_REASONS,
    indirectCrl,
  };
}

/** A default FALSE may be written out: CAs do, and it says the same. */
const flag = (fields: DerCursor, tag: number): boolean => {
  const node = fields.optional(tag);
  return node !== undefined && booleanValue(node);
};

function pointNames(level: DerCursor, issuer: ForeignName): string[] {
  const node = level.next();
  level.end('DistributionPointName');
  if (node.tag === 0xa0) return parseForeignGeneralNames(level.descend(node)).map(generalNameKey);
  if (node.tag === 0xa1) return [generalNameKey({ kind: 'directory', name: relativeName(node, issuer) })];
  throw new DerError('bad DistributionPointName', node.offset);
}

/** nameRelativeToCRLIssuer: one more relative name below the issuer's (§4.2.1.13). */
function relativeName(node: DerNode, issuer: ForeignName): ForeignName {
  const above = open(issuer.der);
  const level = above.sequence('Name');
  const relative: Buffer[] = [];
  while (!level.done) relative.push(level.next().raw);
  return parseForeignName(sequence(...relative, tlv(TAG.SET, node.content)));
}

function reasonFlags(node: DerNode): number {
  const octets = bitStringBytes(node, true);
  let flags = 0;
  for (let bit = 0; bit < octets.length * 8 && bit < 9; bit++) if ((octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) flags |= 1 << bit;
  return flags & ALL_REASONS;
}
