import { expect, test } from '@jest/globals';
import { COMPLETE } from '../../../../src/db/crls.ts';
import { listIntervalMs } from '../../../../src/revocation/crl/list-interval.ts';

test.each([
  ['a shard', 7, 128, { entries: 7_800, buildMs: 20 }, 1_000],
  ['the only list of an issuer', COMPLETE, 1, { entries: 100_000, buildMs: 300 }, 1_000],
  ['the complete list beside shards', COMPLETE, 128, { entries: 10, buildMs: 5 }, 5_000],
  ['a large list that is quickly made', COMPLETE, 1, { entries: 100_001, buildMs: 300 }, 5_000],
  ['a large list: ten times what it took', COMPLETE, 128, { entries: 1_000_000, buildMs: 2_100 }, 21_000],
])('listIntervalMs: %s', (_, shard, shardCount, last, expected) => {
  expect(listIntervalMs({ shard, shardCount }, last)).toBe(expected);
});
