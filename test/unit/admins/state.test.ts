import { expect, test } from '@jest/globals';
import { adminTokenState } from '../../../src/db/admin-tokens.ts';

const NOW = new Date('2026-11-21T00:00:00Z');
const at = (ms: number) => new Date(NOW.getTime() + ms);

test.each([
  ['without an end', null, null, 'active'],
  ['before its end', at(1), null, 'active'],
  ['at its end', NOW, null, 'expired'],
  ['revoked', at(1), at(-1), 'revoked'],
  ['revoked and past its end', at(-1), at(-2), 'revoked'],
])('a token %s', (_, expiresAt, revokedAt, state) => {
  expect(adminTokenState({ expiresAt, revokedAt }, NOW)).toBe(state);
});
