import { booleanValue, DerError, oidValue, type DerCursor } from '../der/reader.ts';
import { boolean, octetString, oid, sequence, TAG } from '../der/writer.ts';

/** One extension of a certificate, CRL, CRL entry, CSR or OCSP message (RFC 5280 §4.2). */
export interface Extension {
  /** Dotted decimal. */
  oid: string;
  critical: boolean;
  /** DER inside the OCTET STRING. */
  value: Buffer;
}

/** The same extension twice (RFC 5280 §4.2 forbids it). */
export class DuplicateExtensionError extends DerError {}

const CRITICAL = boolean(true);

/** Extensions ::= SEQUENCE OF Extension, in the given order; `critical` is left out where false (X.690 §11.5). */
export const encodeExtensions = (extensions: readonly Extension[]): Buffer =>
  sequence(
    ...extensions.map(({ oid: id, critical, value }) => (critical ? sequence(oid(id), CRITICAL, octetString(value)) : sequence(oid(id), octetString(value)))),
  );

/** Reads Extensions as the last element of a level: at least one, none twice. @throws DerError, DuplicateExtensionError */
export function parseExtensions(level: DerCursor): Extension[] {
  const node = level.expect(TAG.SEQUENCE, 'Extensions');
  level.end('Extensions');
  if (node.length === 0) throw new DerError('empty Extensions', node.offset);
  return parseExtensionList(level.descend(node));
}

/** Reads every remaining element of a level as an Extension, none twice. @throws DerError, DuplicateExtensionError */
export function parseExtensionList(list: DerCursor): Extension[] {
  const extensions: Extension[] = [];
  while (!list.done) {
    const { extension, offset } = parseExtension(list);
    if (extensions.some((other) => other.oid === extension.oid)) throw new DuplicateExtensionError(`extension ${extension.oid} appears twice`, offset);
    extensions.push(extension);
  }
  return extensions;
}

function parseExtension(list: DerCursor): { extension: Extension; offset: number } {
  const fields = list.sequence('Extension');
  const type = fields.expect(TAG.OID, 'extnID');
  const flag = fields.optional(TAG.BOOLEAN);
  const critical = flag !== undefined && booleanValue(flag);
  if (flag && !critical) throw new DerError('critical FALSE is written out', flag.offset);
  const value = fields.expect(TAG.OCTET_STRING, 'extnValue').content;
  fields.end('Extension');
  return { extension: { oid: oidValue(type), critical, value }, offset: type.offset };
}
