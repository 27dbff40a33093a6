import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createRateLimiter, type RateLimiter } from '../../../src/limits/rate-limiter.ts';

const passes = (limiter: RateLimiter, key: string, nowMs: number): boolean => limiter.take(key, nowMs).waitMs === 0;
const passed = (limiter: RateLimiter, count: number, key: string, nowMs: number): number => Array.from({ length: count }).filter(() => passes(limiter, key, nowMs)).length;

describe('one key', () => {
  test('the burst at once, and then as it is refilled', () => {
    const limiter = createRateLimiter({ ratePerSecond: 10, burst: 5 }, 100);
    expect(passed(limiter, 20, 'a', 0)).toBe(5);
    expect(passed(limiter, 20, 'a', 99)).toBe(0);
    expect(passed(limiter, 20, 'a', 100)).toBe(1);
    expect(passed(limiter, 20, 'a', 400)).toBe(3);
    expect(passed(limiter, 20, 'a', 60_000)).toBe(5);
  });

  test('what remains and how long to wait are told as they are', () => {
    const limiter = createRateLimiter({ ratePerSecond: 4, burst: 3 }, 100);
    expect([0, 1, 2].map(() => limiter.take('a', 1_000))).toEqual([2, 1, 0].map((remaining) => ({ remaining, waitMs: 0 })));
    expect(limiter.take('a', 1_000)).toEqual({ remaining: 0, waitMs: 250 });
    expect(limiter.take('a', 1_100)).toEqual({ remaining: 0, waitMs: 150 });
    expect(limiter.take('a', 1_250)).toEqual({ remaining: 0, waitMs: 0 });
  });

  test('who is refused is not made to wait longer for asking', () => {
    const limiter = createRateLimiter({ ratePerSecond: 1, burst: 1 }, 100);
    limiter.take('a', 0);
    expect(passed(limiter, 1_000, 'a', 500)).toBe(0);
    expect(passes(limiter, 'a', 1_000)).toBe(true);
  });

  test('keys do not know each other', () => {
    const limiter = createRateLimiter({ ratePerSecond: 1, burst: 2 }, 100);
    expect([passed(limiter, 5, 'a', 0), passed(limiter, 5, 'b', 0)]).toEqual([2, 2]);
  });

  test('whatever the rate: in no time more than burst + rate × time pass, and who waits as told passes', () => {
    const gaps = fc.array(fc.double({ min: 0, max: 2_000, noNaN: true }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 50 }), gaps, (ratePerSecond, burst, pauses) => {
        const limiter = createRateLimiter({ ratePerSecond, burst }, 10);
        let nowMs = 0;
        let through = 0;
        for (const pause of pauses) {
          nowMs += pause;
          const { waitMs } = limiter.take('a', nowMs);
          if (waitMs > 0) expect(passes(limiter, 'a', nowMs + waitMs)).toBe(true);
          if (waitMs > 0) nowMs += waitMs;
          through++;
        }
        expect(through).toBeLessThanOrEqual(burst + (nowMs / 1000) * ratePerSecond + 1e-6);
      }),
    );
  });
});

describe('what a sibling let through', () => {
  test('counts as if it had been let through here', () => {
    const limiter = createRateLimiter({ ratePerSecond: 10, burst: 5 }, 100);
    limiter.add('a', 3, 0);
    expect(passed(limiter, 9, 'a', 0)).toBe(2);
  });
  test('over the limit it is paid back before anything else passes', () => {
    const limiter = createRateLimiter({ ratePerSecond: 10, burst: 5 }, 100);
    passed(limiter, 5, 'a', 0);
    limiter.add('a', 5, 0);
    expect([passes(limiter, 'a', 599), passes(limiter, 'a', 600)]).toEqual([false, true]);
  });
});

describe('memory', () => {
  test('keys that are full again go by themselves', () => {
    const limiter = createRateLimiter({ ratePerSecond: 100, burst: 1 }, 1_000_000);
    for (let i = 0; i < 100_000; i++) limiter.take(`key ${i}`, i);
    expect(limiter.size()).toBeLessThan(1_000);
  });

  test('never more than it may hold, however many keys come at once', () => {
    const limiter = createRateLimiter({ ratePerSecond: 1, burst: 1 }, 1_000);
    let most = 0;
    for (let i = 0; i < 50_000; i++) {
      limiter.take(`key ${i}`, 0);
      limiter.add(`other ${i}`, 1, 0);
      most = Math.max(most, limiter.size());
    }
    expect(most).toBe(1_000);
  });

  test('a flood of other keys does not free who has used up most', () => {
    const limiter = createRateLimiter({ ratePerSecond: 1, burst: 1_000 }, 1_000);
    expect(passed(limiter, 2_000, 'glutton', 0)).toBe(1_000);
    for (let i = 0; i < 20_000; i++) limiter.take(`stranger ${i}`, 0);
    expect(passes(limiter, 'glutton', 0)).toBe(false);
  });
});
