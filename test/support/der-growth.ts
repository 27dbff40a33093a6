import { open, type DerCursor, type DerNode } from '../../src/x509/der/reader.ts';
import { nullValue, tlv } from '../../src/x509/der/writer.ts';

/**
 * Every way to add one NULL at the end of a constructed element of `der`, the outermost included, all lengths made right again. `path` says where,
 * by child positions from the outermost element. A strict reader refuses all but those inside what it keeps as octets.
 */
export function grownAtEachLevel(der: Uint8Array): { path: string; der: Buffer }[] {
  const top = open(der);
  return grow(top, top.next(), '0');
}

function grow(level: DerCursor, node: DerNode, path: string): { path: string; der: Buffer }[] {
  if (!(node.tag & 0x20)) return [];
  const cursor = level.descend(node);
  const children: DerNode[] = [];
  while (!cursor.done) children.push(cursor.next());
  const raws = children.map((child) => child.raw);
  const inside = children.flatMap((child, i) =>
    grow(cursor, child, `${path}.${i}`).map((grown) => ({ path: grown.path, der: tlv(node.tag, ...raws.with(i, grown.der)) })),
  );
  return [{ path, der: tlv(node.tag, ...raws, nullValue()) }, ...inside];
}
