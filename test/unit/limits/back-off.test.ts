import { describe, expect, test } from '@jest/globals';
import { createBackOff } from '../../../src/limits/back-off.ts';

const options = { allowed: 3, windowMs: 60_000, maxWaitMs: 10_000, maxKeys: 100 };
/** Fails as soon as it may, `count` times; returns the waits. */
function failing(count: number, backOff = createBackOff(options)): number[] {
  let nowMs = 0;
  return Array.from({ length: count }, () => {
    backOff.fail('a', 1, nowMs);
    const waitMs = backOff.waitMs('a', nowMs);
    nowMs += waitMs;
    return waitMs;
  });
}

describe('waiting', () => {
  test('nothing for the allowed failures; then a second, twice as long each time, never more than the longest', () => {
    expect(failing(10)).toEqual([0, 0, 0, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
  });
  test('it gets shorter as time goes by, and is over', () => {
    const backOff = createBackOff(options);
    backOff.fail('a', 6, 1_000);
    expect([1_000, 2_500, 4_999, 5_000, 9_000].map((nowMs) => backOff.waitMs('a', nowMs))).toEqual([4_000, 2_500, 1, 0, 0]);
  });
  test('others do not wait', () => {
    const backOff = createBackOff(options);
    backOff.fail('a', 50, 0);
    expect([backOff.waitMs('b', 0), createBackOff(options).waitMs('a', 0)]).toEqual([0, 0]);
  });
});

describe('forgiving', () => {
  test('as many failures within the window as allowed cost nothing, for ever', () => {
    const backOff = createBackOff(options);
    for (let i = 0; i < 100; i++) backOff.fail('a', 1, i * 20_000);
    expect(backOff.waitMs('a', 99 * 20_000)).toBe(0);
  });
  test('a quiet window forgives the allowed ones, and waiting is not being quiet', () => {
    const backOff = createBackOff(options);
    backOff.fail('a', 6, 0);
    const overMs = backOff.waitMs('a', 0);
    backOff.fail('a', 1, overMs);
    expect(backOff.waitMs('a', overMs)).toBe(8_000);
    const later = overMs + 8_000 + 60_000;
    backOff.fail('a', 1, later);
    expect(backOff.waitMs('a', later)).toBe(2_000);
  });
  test('however many failures there were, it is forgotten in time', () => {
    const backOff = createBackOff(options);
    backOff.fail('a', 1_000_000, 0);
    const later = 10_000 + 10 * 60_000;
    backOff.fail('a', 1, later);
    expect(backOff.waitMs('a', later)).toBe(0);
  });
});

test('never more keys than it may hold; who failed last stays', () => {
  const backOff = createBackOff(options);
  for (let i = 0; i < 5_000; i++) {
    backOff.fail(`stranger ${i}`, 1, 0);
    backOff.fail('again', 1, 0);
  }
  expect(backOff.size()).toBe(100);
  expect([backOff.waitMs('again', 0), backOff.waitMs('stranger 10', 0)]).toEqual([10_000, 0]);
});
