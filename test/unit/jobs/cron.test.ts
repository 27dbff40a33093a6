import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { dailyTimes, longestGapMs, timeAfter, timesUpTo } from '../../../src/jobs/cron.ts';
import { JOBS } from '../../../src/jobs/schedule.ts';

const at = (text: string) => new Date(text);
const iso = (dates: Date[]) => dates.map((date) => date.toISOString());

describe('cron', () => {
  test('timesUpTo: a time itself counts, older ones follow back over midnight', () => {
    expect(iso(timesUpTo(dailyTimes('17 */12 * * *'), at('2026-11-21T00:17:00Z'), 3))).toEqual([
      '2026-11-20T00:17:00.000Z', '2026-11-20T12:17:00.000Z', '2026-11-21T00:17:00.000Z',
    ]);
    expect(iso(timesUpTo(dailyTimes('17 */12 * * *'), at('2026-11-21T00:16:59.999Z'), 1))).toEqual(['2026-11-20T12:17:00.000Z']);
  });

  test('timesUpTo: six fields start with seconds', () => {
    expect(iso(timesUpTo(dailyTimes('*/10 * * * * *'), at('2026-11-21T00:00:05Z'), 2))).toEqual(['2026-11-20T23:59:50.000Z', '2026-11-21T00:00:00.000Z']);
  });

  test('timeAfter: strictly later, over midnight too', () => {
    expect(timeAfter(dailyTimes('43 2 * * *'), at('2026-11-21T02:43:00Z')).toISOString()).toBe('2026-11-22T02:43:00.000Z');
    expect(timeAfter(dailyTimes('43 2 * * *'), at('2026-11-21T02:42:59Z')).toISOString()).toBe('2026-11-21T02:43:00.000Z');
  });

  test('dailyTimes: expressions that leave out days are refused', () => {
    for (const expression of ['0 0 1 * *', '0 0 * 6 *', '0 0 * * 1']) expect(() => dailyTimes(expression)).toThrow(RangeError);
  });

  test('schedule: every expression can be evaluated, names are unique, next runs are within a day', () => {
    expect(new Set(JOBS.map((job) => job.name)).size).toBe(JOBS.length);
    const now = at('2026-11-21T00:00:00Z');
    for (const job of JOBS) {
      const next = timeAfter(dailyTimes(job.cron), now).getTime() - now.getTime();
      expect(next).toBeGreaterThan(0);
      expect(next).toBeLessThanOrEqual(86_400_000);
    }
  });

  test('timesUpTo and timeAfter: no fire time lies between them', () => {
    const expressions = fc.constantFrom(...JOBS.map((job) => job.cron));
    const dates = fc.date({ min: at('2026-01-01T00:00:00Z'), max: at('2030-01-01T00:00:00Z'), noInvalidDate: true });
    fc.assert(
      fc.property(expressions, dates, (expression, date) => {
        const times = dailyTimes(expression);
        const next = timeAfter(times, date);
        const [last] = timesUpTo(times, date, 1);
        expect(last?.getTime()).toBeLessThanOrEqual(date.getTime());
        expect(next.getTime()).toBeGreaterThan(date.getTime());
        expect(timesUpTo(times, new Date(next.getTime() - 1), 1)).toEqual([last]);
      }),
    );
  });
});

test.each([
  ['*/10 * * * *', 600_000],
  ['3 * * * *', 3_600_000],
  ['43 2 * * *', 86_400_000],
  ['0 0,6 * * *', 64_800_000],
])('longestGapMs of %s is %d', (cron, gap) => {
  expect(longestGapMs(dailyTimes(cron))).toBe(gap);
});
