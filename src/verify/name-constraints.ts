/** Name constraints (RFC 5280 §4.2.1.10) for the names our certificates carry: URIs and DNS names. */
import type { Certificate } from '../x509/certificate.ts';
import { DerError, open, stringValue, type DerCursor } from '../x509/der/reader.ts';
import { OID } from '../x509/oids.ts';

interface Subtrees {
  uris: string[];
  dnsNames: string[];
}

interface NameConstraints {
  permitted: Subtrees;
  excluded: Subtrees;
}

const DNS = 0x82;
const URI = 0x86;

/** Whether the names of every certificate of a path fit the constraints of all CAs above it. A constraint we cannot judge permits nothing. */
export function namesPermitted(path: readonly Certificate[]): boolean {
  return path.every((certificate, i) => {
    const extension = certificate.extensions.find(({ oid }) => oid === OID.nameConstraints);
    if (!extension) return true;
    const constraints = parseNameConstraints(extension.value);
    return constraints !== undefined && path.slice(0, i).every((below) => fits(below, constraints));
  });
}

function fits({ subjectAlternativeName: names }: Certificate, { permitted, excluded }: NameConstraints): boolean {
  if (!names) return true;
  return (
    allowed(names.uris.map(hostOf), permitted.uris, excluded.uris, hostWithin) && allowed(names.dnsNames, permitted.dnsNames, excluded.dnsNames, domainWithin)
  );
}

/** A kind of name without permitted subtrees is free but for the excluded ones. */
function allowed(names: readonly string[], permitted: readonly string[], excluded: readonly string[], within: (name: string, base: string) => boolean): boolean {
  return names.every((name) => (permitted.length === 0 || permitted.some((base) => within(name, base))) && !excluded.some((base) => within(name, base)));
}

const hostOf = (uri: string): string => /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:]+)/i.exec(uri)?.[1] ?? '';

/** A host alone stands for itself; with a leading period, for what is below it. */
function hostWithin(host: string, base: string): boolean {
  const [name, limit] = [host.toLowerCase(), base.toLowerCase()];
  return limit.startsWith('.') ? name.endsWith(limit) : name === limit;
}

/** A domain stands for itself and for what is below it. */
function domainWithin(name: string, base: string): boolean {
  const limit = base.toLowerCase();
  return limit === '' || name.toLowerCase() === limit || name.toLowerCase().endsWith(`.${limit}`);
}

/** Undefined for constraints on other kinds of names, and for what is not DER. */
function parseNameConstraints(value: Buffer): NameConstraints | undefined {
  try {
    const outer = open(value);
    const fields = outer.sequence('NameConstraints');
    outer.end('NameConstraints');
    const permitted = fields.optional(0xa0);
    const excluded = fields.optional(0xa1);
    fields.end('NameConstraints');
    if (!permitted && !excluded) return undefined;
    return { permitted: parseSubtrees(permitted && fields.descend(permitted)), excluded: parseSubtrees(excluded && fields.descend(excluded)) };
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/** @throws DerError for what cannot be judged, too: minimum and maximum (never used, §4.2.1.10) and other kinds of names */
function parseSubtrees(list: DerCursor | undefined): Subtrees {
  const subtrees: Subtrees = { uris: [], dnsNames: [] };
  while (list && !list.done) {
    const subtree = list.sequence('GeneralSubtree');
    const base = subtree.next();
    subtree.end('GeneralSubtree');
    if (base.tag === URI) subtrees.uris.push(stringValue(base));
    else if (base.tag === DNS) subtrees.dnsNames.push(stringValue(base));
    else throw new DerError('constraint on another kind of name', base.offset);
  }
  return subtrees;
}
