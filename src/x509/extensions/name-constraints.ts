import { DerError, open, stringValue, type DerCursor } from '../der/reader.ts';
import { context, sequence } from '../der/writer.ts';
import { OID } from '../oids.ts';
import type { Extension } from './extension.ts';
import { encodeDnsName, encodeUri } from './general-names.ts';

/** Subtrees of one list, by kind. URIs are constrained by host: a name means that host, a leading dot every host below (RFC 5280 §4.2.1.10). */
export interface Subtrees {
  uris: string[];
  dnsNames: string[];
  /** Subtrees of other kinds. */
  others: number;
}

export interface NameConstraints {
  permitted: Subtrees;
  excluded: Subtrees;
}

/** Permitted subtrees only. RFC 5280 §4.2.1.10 wants it critical; DESIGN §6 says who then refuses what. */
export const encodeNameConstraints = (permitted: { permittedUris?: readonly string[]; permittedDnsNames?: readonly string[] }, critical: boolean): Extension => {
  const bases = [...(permitted.permittedUris ?? []).map(encodeUri), ...(permitted.permittedDnsNames ?? []).map(encodeDnsName)];
  return { oid: OID.nameConstraints, critical, value: sequence(context(0, ...bases.map((base) => sequence(base)))) };
};

/** @throws DerError */
export function parseNameConstraints(value: Uint8Array): NameConstraints {
  const top = open(value);
  const node = top.next();
  top.end('NameConstraints');
  const lists = top.descend(node);
  const permitted = lists.optional(0xa0);
  const excluded = lists.optional(0xa1);
  lists.end('NameConstraints');
  if (node.tag !== 0x30 || (!permitted && !excluded)) throw new DerError('bad NameConstraints', node.offset);
  return {
    permitted: parseSubtrees(permitted && lists.descend(permitted)),
    excluded: parseSubtrees(excluded && lists.descend(excluded)),
  };
}

function parseSubtrees(list: DerCursor | undefined): Subtrees {
  const subtrees: Subtrees = { uris: [], dnsNames: [], others: 0 };
  while (list && !list.done) {
    const subtree = list.sequence('GeneralSubtree');
    const base = subtree.next();
    // minimum is 0, which DER leaves out, and maximum is absent (§4.2.1.10).
    subtree.end('GeneralSubtree');
    if (base.tag === 0x86) subtrees.uris.push(stringValue(base));
    else if (base.tag === 0x82) subtrees.dnsNames.push(stringValue(base));
    else subtrees.others++;
  }
  return subtrees;
}
