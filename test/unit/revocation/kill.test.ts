import { describe, expect, test } from '@jest/globals';
import type { KillEffect, SelectorKind } from '../../../src/db/kills.ts';
import { canResume, reasonOf } from '../../../src/revocation/kill.ts';

test.each<[SelectorKind, KillEffect, boolean]>([
  ['serial', 'suspend', true], ['instance', 'suspend', true], ['everything', 'suspend', true],
  ['serial', 'revoke', false], ['instance', 'revoke', false],
  ['agent', 'revoke', true], ['owner', 'revoke', true], ['labels', 'revoke', true], ['issuer', 'revoke', true], ['profile', 'revoke', true], ['everything', 'revoke', true],
  ['agent', 'retire', false], ['labels', 'retire', false], ['owner', 'retire', true],
])('%s, %s: something can be taken back: %s', (selector, effect, can) => {
  expect(canResume({ selector, effect })).toBe(can);
});

describe('the reason of revocation (RFC 5280 §5.3.1)', () => {
  test.each([
    [{ effect: 'suspend' }, null],
    [{ effect: 'revoke' }, 0],
    [{ effect: 'retire' }, 5],
    [{ effect: 'revoke', revocationReason: 'keyCompromise' }, 1],
  ] as const)('%p: %s', (asked, code) => {
    expect(reasonOf(asked)).toBe(code);
  });

  test.each([{ effect: 'suspend', revocationReason: 'keyCompromise' }, { effect: 'revoke', revocationReason: 'cACompromise' }] as const)('%p is refused', (asked) => {
    expect(() => reasonOf(asked)).toThrow(expect.objectContaining({ code: 'reason-not-allowed' }));
  });
});
