import { DerError, open, smallInteger, type DerCursor } from '../der/reader.ts';
import { TAG } from '../der/writer.ts';
import { parseForeignGeneralName, type ForeignGeneralName } from './general-name.ts';

/** NameConstraints (RFC 5280 §4.2.1.10), every kind of name. */
export interface ForeignNameConstraints {
  permitted: ForeignGeneralName[];
  excluded: ForeignGeneralName[];
}

/** `minimum` must be 0 and `maximum` absent (§4.2.1.10): nothing else is in use, and nothing else is processed. At least one subtree. @throws DerError */
export function parseForeignNameConstraints(value: Uint8Array): ForeignNameConstraints {
  const top = open(value);
  const fields = top.sequence('NameConstraints');
  top.end('NameConstraints');
  const permitted = fields.optional(0xa0);
  const excluded = fields.optional(0xa1);
  fields.end('NameConstraints');
  if (!permitted && !excluded) throw new DerError('empty NameConstraints', 0);
  return { permitted: permitted ? subtrees(fields.descend(permitted)) : [], excluded: excluded ? subtrees(fields.descend(excluded)) : [] };
}

function subtrees(list: DerCursor): ForeignGeneralName[] {
  const bases: ForeignGeneralName[] = [];
  while (!list.done) {
    const subtree = list.sequence('GeneralSubtree');
    bases.push(parseForeignGeneralName(subtree));
    const minimum = subtree.optional(0x80);
    if (minimum && smallInteger(minimum) !== 0) throw new DerError('minimum of a GeneralSubtree is not 0', minimum.offset);
    subtree.end('GeneralSubtree');
  }
  if (bases.length === 0) throw new DerError('empty GeneralSubtrees', 0);
  return bases;
}

/** Key identifier, issuer and serial number of AuthorityKeyIdentifier (§4.2.1.1). */
export interface ForeignAuthorityKeyIdentifier {
  keyIdentifier: Buffer | undefined;
  issuer: ForeignGeneralName[] | undefined;
  /** INTEGER content. */
  serial: Buffer | undefined;
}

/** @throws DerError */
export function parseForeignAuthorityKeyIdentifier(value: Uint8Array): ForeignAuthorityKeyIdentifier {
  const top = open(value);
  const fields = top.sequence('AuthorityKeyIdentifier');
  top.end('AuthorityKeyIdentifier');
  const keyIdentifier = fields.optional(0x80)?.content;
  const names = fields.optional(0xa1);
  const serial = fields.optional(0x82)?.content;
  fields.end('AuthorityKeyIdentifier');
  const issuer: ForeignGeneralName[] = [];
  if (names) for (const level = fields.descend(names); !level.done; ) issuer.push(parseForeignGeneralName(level));
  return { keyIdentifier, issuer: names && issuer, serial };
}

/** SubjectAltName or IssuerAltName: at least one name. @throws DerError */
export function parseForeignAlternativeNames(value: Uint8Array): ForeignGeneralName[] {
  const top = open(value);
  const node = top.expect(TAG.SEQUENCE, 'GeneralNames');
  top.end('GeneralNames');
  const names: ForeignGeneralName[] = [];
  for (const level = top.descend(node); !level.done; ) names.push(parseForeignGeneralName(level));
  if (names.length === 0) throw new DerError('empty GeneralNames', node.offset);
  if (names.some((name) => name.kind === 'ip' && name.octets.length !== 4 && name.octets.length !== 16)) throw new DerError('iPAddress is not 4 or 16 octets', node.offset);
  return names;
}
