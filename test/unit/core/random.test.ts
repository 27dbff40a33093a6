import { expect, test } from '@jest/globals';
import { createSystemRandom, ulid, ULID_PATTERN } from '../../../src/core/random.ts';

test('ulid is 26 characters: time first, in order, then the random bits', () => {
  const random = { bytes: (n: number) => new Uint8Array(n).fill(0xff) };
  expect(ulid(new Date(0), random)).toBe(`${'0'.repeat(10)}${'Z'.repeat(16)}`);
  expect(ulid(new Date(2 ** 48 - 1), { bytes: (n) => new Uint8Array(n) })).toBe(`7${'Z'.repeat(9)}${'0'.repeat(16)}`);
  expect(ulid(new Date(1_000), random) < ulid(new Date(1_001), random)).toBe(true);
  expect(ulid(new Date('2026-11-21T00:00:00Z'), createSystemRandom())).toMatch(ULID_PATTERN);
});

test('system random never hands out an octet twice and gives what was asked for', () => {
  const random = createSystemRandom();
  const seen = new Set<string>();
  for (let i = 0; i < 2_000; i++) {
    const bytes = random.bytes(16);
    expect(bytes).toHaveLength(16);
    seen.add(Buffer.from(bytes).toString('hex'));
  }
  expect(seen.size).toBe(2_000);
  expect(random.bytes(5_000)).toHaveLength(5_000);
});
