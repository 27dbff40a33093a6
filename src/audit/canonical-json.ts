/** A value that has canonical bytes. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonMembers;

/** An object. Members that are undefined are left out of the bytes. */
export interface JsonMembers {
  readonly [name: string]: JsonValue | undefined;
}

/**
 * The JSON Canonicalization Scheme (RFC 8785) of what an event holds: members sorted by UTF-16 code units, no white space, strings escaped as §3.2.2.2 says. Numbers are safe integers only, which every language writes alike.
 * @throws TypeError for another number, or for text with half of a surrogate pair, which has no UTF-8 (§3.2.2.2, RFC 7493 §2.1)
 */
export function canonicalJson(value: JsonValue): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      if (!Number.isSafeInteger(value)) throw new TypeError('only integers are canonical here');
      return String(value);
    default:
      if (value === null) return 'null';
      return isList(value) ? `[${value.map(canonicalJson).join(',')}]` : members(value);
  }
}

function members(value: JsonMembers): string {
  let text = '';
  for (const name of Object.keys(value).toSorted()) {
    const member = value[name];
    if (member !== undefined) text += `${text === '' ? '{' : ','}${quoted(name)}:${canonicalJson(member)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/** What most texts of an event are made of: nothing in it needs an escape. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function quoted(value: string): string {
  if (PLAIN.test(value)) return `"${value}"`;
  if (!value.isWellFormed()) throw new TypeError('half of a surrogate pair is no text');
  return JSON.stringify(value);
}

/** `Array.isArray` forgets what a read-only array holds. */
const isList = (value: object): value is readonly JsonValue[] => Array.isArray(value);
