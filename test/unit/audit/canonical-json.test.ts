import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, type JsonValue } from '../../../src/audit/canonical-json.ts';

/** Only safe integers are canonical here; -0 is not one of JSON's. */
function isCanonical(value: unknown): boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0);
  return value === null || typeof value !== 'object' || Object.values(value).every(isCanonical);
}

test('canonicalJson reads back as what was written, with sorted members', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4, noUnicodeString: false }), (value) => {
      fc.pre(isCanonical(value));
      expect(JSON.parse(canonicalJson(value as JsonValue))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  expect(canonicalJson({ b: 1, a: [true, null, 'x', -0], c: undefined })).toBe('{"a":[true,null,"x",0],"b":1}');
  expect(canonicalJson({ c: undefined })).toBe('{}');
});

test('strings and their order are those of RFC 8785 §3.2.2.2 and §3.2.3', () => {
  expect(canonicalJson('€$\u000f\nA\'B"\\\\"/')).toBe('"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"');
  expect(canonicalJson('\b\t\f\r\u0000\u007f')).toBe('"\\b\\t\\f\\r\\u0000\u007f"');
  const unsorted = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 };
  expect(canonicalJson(unsorted)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"\u{1f600}":5,"\ufb33":3}');
});

test.each([1.5, NaN, Infinity, 2 ** 53, 'half \ud83d', '\udc00', { '\ud800': 1 }, ['\udfff x']])('%j has no canonical bytes', (value) => {
  expect(() => canonicalJson(value as JsonValue)).toThrow(TypeError);
});
