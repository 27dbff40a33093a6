/** Pages of lists by key, never by offset: what comes in or goes out between two pages neither repeats nor hides the rest. */
import { createHash } from 'node:crypto';
import { SignetError } from '../../core/errors.ts';

/** Which page is asked for: what follows `cursor`, at most `limit` items. */
export interface PageRequest {
  cursor: string | undefined;
  limit: number;
}

/** One page. `nextCursor` is null when nothing followed. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** A list with the filters it was asked with: a cursor is good for this one only. */
export interface ListQuery {
  /** Name of the list. */
  list: string;
  filters: object;
  /** Form of each part of the key that orders the list. */
  key: readonly RegExp[];
}

export const ULID_KEY = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
export const NUMBER_KEY = /^(0|[1-9][0-9]{0,17})$/;
/** Day since 1970; three octets at most. */
export const BUCKET_KEY = /^(0|[1-9][0-9]{0,6})$/;
export const SERIAL_KEY = /^[0-9a-f]{40}$/;
/** Milliseconds since 1970. */
export const TIME_KEY = /^(0|[1-9][0-9]{0,13})$/;

const CURSOR_MAX_CHARACTERS = 1024;
const FINGERPRINT_OCTETS = 12;

/** An opaque cursor: the key of the last item seen and a fingerprint of the query. It holds nothing secret and grants nothing. */
export function writeCursor(query: ListQuery, key: readonly string[]): string {
  return Buffer.from(JSON.stringify([fingerprint(query), ...key]), 'utf8').toString('base64url');
}

/**
 * The key a cursor stands at; undefined without a cursor.
 * @throws SignetError `cursor-invalid` for what is no cursor, `cursor-mismatch` for one of another list or other filters
 */
export function readCursor(query: ListQuery, cursor: string | undefined): string[] | undefined {
  if (cursor === undefined) return undefined;
  const [print, ...key] = parts(cursor);
  if (print !== fingerprint(query)) {
    throw new SignetError('cursor-mismatch', 'the cursor belongs to another list or other filters: send the filters it came with, or start without a cursor');
  }
  if (key.length !== query.key.length || !query.key.every((form, i) => form.test(key[i] ?? ''))) throw invalid();
  return key;
}

/** A page from `limit + 1` rows: the one too many only tells that more follows. */
export function pageOf<T>(query: ListQuery, rows: readonly T[], limit: number, keyOf: (item: T) => string[]): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? writeCursor(query, keyOf(last)) : null };
}

const invalid = () => new SignetError('cursor-invalid', 'this is no cursor of ours: send nextCursor of the page before, or start without a cursor');

function parts(cursor: string): string[] {
  if (cursor.length > CURSOR_MAX_CHARACTERS || !/^[A-Za-z0-9_-]+$/.test(cursor)) throw invalid();
  let decoded: unknown;
  try {
    decoded = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    throw invalid();
  }
  if (!Array.isArray(decoded) || !decoded.every((part): part is string => typeof part === 'string')) throw invalid();
  return decoded;
}

function fingerprint({ list, filters }: ListQuery): string {
  return createHash('sha256').update(`${list}\n${JSON.stringify(ordered(filters))}`).digest().subarray(0, FINGERPRINT_OCTETS).toString('base64url');
}

/** The same filters in another order, or with members left undefined, are the same query. */
function ordered(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map(ordered);
  return Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => [key, ordered(member)]);
}
