import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SignetError } from '../../../src/core/errors.ts';
import { parseJson } from '../../../src/http/body.ts';

const parse = (text: string, maxDepth = 4) => parseJson(Buffer.from(text), maxDepth);
const codeOf = (work: () => unknown) => {
  try {
    work();
    return 'none';
  } catch (error) {
    return error instanceof SignetError ? error.code : error;
  }
};

test('an empty body is an empty object', () => {
  expect(parse('')).toEqual({});
});

test('depth is counted outside strings only', () => {
  expect(parse('[[[["]]]]{{{{[[[[\\"[["]]]]')).toEqual([[[[']]]]{{{{[[[["[[']]]]);
  expect(codeOf(() => parse('[[[[[]]]]]'))).toBe('json-too-deep');
  expect(codeOf(() => parse('{"a":{"a":{"a":{"a":{}}}}}'))).toBe('json-too-deep');
});

test('a million brackets are refused, not walked', () => {
  expect(codeOf(() => parse('['.repeat(1_000_000)))).toBe('json-too-deep');
});

test.each(['{', '[1,]', '{"a":1}x', "{'a':1}", 'undefined', '\u0000'])('%j is malformed', (text) => {
  expect(codeOf(() => parse(text))).toBe('malformed-json');
});

test.each([
  ['{"__proto__":1}', '/__proto__'],
  ['{"a":{"b/c":[{"\\u005f_proto__":{}}]}}', '/a/b~1c/0/__proto__'],
])('%s names a member that schemas would pass over: refused, not dropped', (text, path) => {
  expect(() => parse(text, 8)).toThrow(expect.objectContaining({ code: 'invalid-request', fields: [{ path, message: 'is not known here' }] }));
  expect(parse('{"a":"__proto__"}')).toEqual({ a: '__proto__' });
});

test('octets that are not UTF-8 are malformed', () => {
  expect(codeOf(() => parseJson(Buffer.from([0x22, 0xff, 0xfe, 0x22]), 4))).toBe('malformed-json');
});

test('any JSON within the depth is read as it is; any octets give a value or a typed error', () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
    // A member of that name is refused: see above.
    fc.pre(!JSON.stringify(value).includes('__proto__'));
    expect(parse(JSON.stringify(value), 64)).toEqual(JSON.parse(JSON.stringify(value)));
  }));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => {
      expect(['none', 'malformed-json', 'json-too-deep']).toContain(codeOf(() => parseJson(Buffer.from(octets), 4)));
    }),
  );
});
