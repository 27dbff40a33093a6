import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SignetError } from '../../../../src/core/errors.ts';
import { pageOf, readCursor, ULID_KEY, writeCursor } from '../../../../src/db/views/cursor.ts';

const ID = '01KAMV3W5QZ3C1D6X2G7R8S9TB';
const at = new Date('2026-11-21T00:00:00Z');
const query = { list: 'agents', filters: { state: 'active', createdAfter: at, label: { a: '1', b: '2' } }, key: [ULID_KEY] };
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof SignetError) return error.code;
    throw error;
  }
  return 'none';
};

test('a cursor leads back to its key, whatever the order of the filters and with undefined ones left out', () => {
  const cursor = writeCursor(query, [ID]);
  expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
  const same = { ...query, filters: { label: { b: '2', a: '1' }, name: undefined, createdAfter: new Date(at), state: 'active' } };
  expect(readCursor(same, cursor)).toEqual([ID]);
  expect(readCursor(query, undefined)).toBeUndefined();
});

test.each([
  ['another value', { ...query, filters: { ...query.filters, state: 'retired' } }],
  ['another time', { ...query, filters: { ...query.filters, createdAfter: new Date(at.getTime() + 1) } }],
  ['another label', { ...query, filters: { ...query.filters, label: { a: '1' } } }],
  ['no filter', { ...query, filters: {} }],
  ['another list', { ...query, list: 'instances' }],
])('a cursor of another query is a mismatch: %s', (_, other) => {
  expect(code(() => readCursor(other, writeCursor(query, [ID])))).toBe('cursor-mismatch');
});

test.each([
  ['no base64url', '%%%'],
  ['empty', ''],
  ['too long', 'A'.repeat(1025)],
  ['no JSON', Buffer.from('nothing').toString('base64url')],
  ['no array', Buffer.from('{"a":1}').toString('base64url')],
  ['no texts', Buffer.from('[1,2]').toString('base64url')],
  ['a key of another form', writeCursor(query, ['x; DROP TABLE agents'])],
  ['a key too short', writeCursor(query, [])],
  ['a key too long', writeCursor(query, [ID, ID])],
])('a broken cursor is invalid: %s', (_, cursor) => {
  expect(code(() => readCursor(query, cursor))).toBe('cursor-invalid');
});

test('any text as a cursor gives a typed error, never another', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), fc.json().map((text) => Buffer.from(text).toString('base64url'))), (text) => {
      expect(['cursor-invalid', 'cursor-mismatch']).toContain(code(() => readCursor(query, text)));
    }),
  );
});

test('a page names what follows only when something does', () => {
  const rows = [1, 2, 3].map((n) => ID.slice(0, -1) + String(n));
  const more = pageOf(query, rows, 2, (id) => [id]);
  expect(more.items).toEqual(rows.slice(0, 2));
  expect(readCursor(query, more.nextCursor ?? undefined)).toEqual([rows[1]]);
  expect(pageOf(query, rows, 3, (id) => [id])).toEqual({ items: rows, nextCursor: null });
  expect(pageOf(query, [], 3, (id: string) => [id])).toEqual({ items: [], nextCursor: null });
});
