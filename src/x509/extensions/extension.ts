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
  const list = level.descend(node);
  const extensions: Extension[] = [];
  while (!list.done) {
    const extension = parseExtension(list);
    if (extensions.some((other) => other.oid === extension.oid)) throw new DuplicateExtensionError(`extension ${extension.oid} appears twice`, node.offset);
    extensions.push(extension);
  }
  if (extensions.length === 0) throw new DerError('empty Extensions', node.offset);
  return extensions;
}

function parseExtension(list: DerCursor): Extension {
  const fields = list.sequence('Extension');
  const id = oidValue(fields.expect(TAG.OID, 'extnID'));
  const flag = fields.optional(TAG.BOOLEAN);
  const critical = flag !== undefined && booleanValue(flag);
  if (flag && !critical) throw new DerError('critical FALSE is written out', flag.offset);
  const value = fields.expect(TAG.OCTET_STRING, 'extnValue').content;
  fields.end('Extension');
  return { oid: id, critical, value };
}
