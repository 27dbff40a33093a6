import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { SignetError } from '../../../src/core/errors.ts';
import { mediaType, parseIdempotencyKey, parseIfMatch, parsePart, parseQuery } from '../../../src/http/parse.ts';

const errorOf = (work: () => unknown): SignetError => {
  try {
    work();
  } catch (error) {
    if (error instanceof SignetError) return error;
  }
  throw new Error('no SignetError');
};

test('faults name the member by JSON pointer, escaped and within a bound', () => {
  const schema = z.strictObject({ 'a/b': z.object({ 'c~d': z.number() }), list: z.array(z.string()) });
  const error = errorOf(() => parsePart(schema, { 'a/b': { 'c~d': 'x' }, list: ['ok', 3], extra: 1, [`${'y'.repeat(100)}`]: 1 }, ''));
  expect(error.code).toBe('invalid-request');
  expect(error.fields?.map((field) => field.path)).toEqual(['/a~1b/c~0d', '/list/1', '/extra', `/${'y'.repeat(64)}`]);
});

test('no more than 20 faults are shown', () => {
  const error = errorOf(() => parsePart(z.array(z.string()), Array(1000).fill(1), '/query'));
  expect(error.fields).toHaveLength(20);
  expect(error.fields?.[0]?.path).toBe('/query/0');
});

test('a query: repeated names, empty values, __proto__', () => {
  expect({ ...parseQuery('/a?x=1&x=2&x=3&y=&z') }).toEqual({ x: ['1', '2', '3'], y: '', z: '' });
  expect(Object.keys(parseQuery('/a?__proto__=1'))).toEqual(['__proto__']);
  expect(Object.keys(parseQuery('/a'))).toEqual([]);
});

test('media types lose parameters and case', () => {
  expect(mediaType('Application/JSON; charset=utf-8')).toBe('application/json');
  expect(mediaType(undefined)).toBeUndefined();
});

test('an Idempotency-Key is 1 to 255 visible ASCII characters', () => {
  const [key, other] = [parseIdempotencyKey('x'.repeat(255)), parseIdempotencyKey('x'.repeat(254))];
  expect([key?.length, key === other, key?.includes('x'.repeat(10)), parseIdempotencyKey('x'.repeat(255)) === key]).toEqual([43, false, false, true]);
  expect(parseIdempotencyKey(undefined)).toBeUndefined();
  for (const wrong of ['', 'x'.repeat(256), 'a b', 'ä', 'a\tb']) expect(errorOf(() => parseIdempotencyKey(wrong)).code).toBe('idempotency-key-invalid');
});

test('If-Match is one strong entity tag with a version', () => {
  expect(parseIfMatch('"12"')).toBe(12);
  for (const wrong of ['12', 'W/"12"', '"a"', '"1", "2"', '*']) expect(errorOf(() => parseIfMatch(wrong)).code).toBe('invalid-request');
});

test('any header text gives a value or a typed error', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const parse of [parseIdempotencyKey, parseIfMatch]) {
        try {
          parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(SignetError);
        }
      }
    }),
  );
});
