/** GeneralName (RFC 5280 §4.2.1.6), every kind of it: what other CAs put in alternative names, constraints and distribution points. */
import { DerError, oidValue, stringValue, type DerCursor, type DerNode } from '../der/reader.ts';
import { TAG } from '../der/writer.ts';
import { parseForeignName, type ForeignName } from './name.ts';

/** One name. Kinds that nothing is done with keep their octets. */
export type ForeignGeneralName =
  | { kind: 'dns' | 'email' | 'uri'; text: string }
  /** 4 or 16 octets; of a constraint 8 or 32, with the mask. */
  | { kind: 'ip'; octets: Buffer }
  | { kind: 'directory'; name: ForeignName }
  | { kind: 'other'; type: string; der: Buffer }
  | { kind: 'x400' | 'ediParty' | 'registeredId'; der: Buffer };

export type GeneralNameKind = ForeignGeneralName['kind'];

/** @throws DerError */
export function parseForeignGeneralName(level: DerCursor): ForeignGeneralName {
  const node = level.next();
  switch (node.tag) {
    case 0x81:
      return { kind: 'email', text: stringValue(node) };
    case 0x82:
      return { kind: 'dns', text: stringValue(node) };
    case 0x86:
      return { kind: 'uri', text: stringValue(node) };
    case 0x87:
      return { kind: 'ip', octets: node.content };
    case 0xa4:
      return { kind: 'directory', name: directoryName(level, node) };
    case 0xa0:
      return { kind: 'other', type: oidValue(level.descend(node).expect(TAG.OID, 'type-id')), der: node.raw };
    case 0xa3:
      return { kind: 'x400', der: node.raw };
    case 0xa5:
      return { kind: 'ediParty', der: node.raw };
    case 0x88:
      return { kind: 'registeredId', der: node.raw };
    default:
      throw new DerError(`unknown GeneralName 0x${node.tag.toString(16)}`, node.offset);
  }
}

/** [4] is explicit: Name is a CHOICE. */
function directoryName(level: DerCursor, node: DerNode): ForeignName {
  const inner = level.descend(node);
  const name = inner.expect(TAG.SEQUENCE, 'directoryName');
  inner.end('directoryName');
  return parseForeignName(name.raw);
}

/** Every remaining element of a level; at least one. @throws DerError */
export function parseForeignGeneralNames(level: DerCursor): ForeignGeneralName[] {
  const names: ForeignGeneralName[] = [];
  while (!level.done) names.push(parseForeignGeneralName(level));
  if (names.length === 0) throw new DerError('empty GeneralNames', 0);
  return names;
}

/** A key that is equal for equal names: of distribution points. */
export function generalNameKey(name: ForeignGeneralName): string {
  switch (name.kind) {
    case 'dns':
    case 'email':
    case 'uri':
      return `${name.kind}:${name.text}`;
    case 'ip':
      return `ip:${name.octets.toString('hex')}`;
    case 'directory':
      return `directory:${name.name.key}`;
    default:
      return `${name.kind}:${name.der.toString('hex')}`;
  }
}
