import { expect, test } from '@jest/globals';
import { rateLimitFields } from '../../../src/http/rate-limit-fields.ts';

const standing = (name: string, quota: number, windowSeconds: number, remaining: number, resetSeconds: number) => ({ policy: { name, quota, windowSeconds }, remaining, resetSeconds });

/** A List of Items that are Strings with parameters of Integers (RFC 9651 §3.1, 3.1.2, 3.3.1, 3.3.3), read by its grammar. */
function readList(field: string): Record<string, Record<string, number>> {
  const items = field.split(/, */).map((item) => {
    const [, name = '', parameters = ''] = /^"([\x20-\x21\x23-\x5b\x5d-\x7e]*)"((?:;[a-z*][a-z0-9_.*-]*=-?\d{1,15})*)$/.exec(item) ?? [];
    if (name === '') throw new Error(`no item: ${item}`);
    return [name, Object.fromEntries(parameters.split(';').slice(1).map((parameter) => [parameter.split('=')[0], Number(parameter.split('=')[1])]))] as const;
  });
  return Object.fromEntries(items);
}

test('the draft’s parameters, an item a limit, in the order of the limits', () => {
  const fields = rateLimitFields([standing('source-read', 500, 5, 499, 1), standing('caller-read', 100, 10, 0, 3)]);
  expect(fields).toEqual({
    'ratelimit-policy': '"source-read";q=500;w=5, "caller-read";q=100;w=10',
    ratelimit: '"source-read";r=499;t=1, "caller-read";r=0;t=3',
  });
  expect(readList(fields['ratelimit-policy'] ?? '')).toEqual({ 'source-read': { q: 500, w: 5 }, 'caller-read': { q: 100, w: 10 } });
  expect(readList(fields.ratelimit ?? '')).toEqual({ 'source-read': { r: 499, t: 1 }, 'caller-read': { r: 0, t: 3 } });
});

test('no limit, no field', () => expect(rateLimitFields([])).toEqual({}));
