import { parse } from 'node-cron';

const MS_PER_DAY = 86_400_000;

/** A cron expression whose days are all alike: the times of the day it fires at, as milliseconds since 00:00 UTC. */
export interface DailyTimes {
  readonly offsets: readonly number[];
}

/** @throws RangeError for an expression that leaves out days: time buckets would need a calendar */
export function dailyTimes(expression: string): DailyTimes {
  const { second, minute, hour, dayOfMonth, month, dayOfWeek } = parse(expression);
  if (dayOfMonth.length < 31 || month.length < 12 || new Set(dayOfWeek).size < 7) throw new RangeError(`${expression}: jobs run every day`);
  const offsets = hour.flatMap((h) => minute.flatMap((m) => second.map((s) => ((h * 60 + m) * 60 + s) * 1000)));
  return { offsets: offsets.toSorted((a, b) => a - b) };
}

/** The newest `count` times up to and including `at`, oldest first. */
export function timesUpTo({ offsets }: DailyTimes, at: Date, count: number): Date[] {
  const times: Date[] = [];
  for (let midnight = Math.floor(at.getTime() / MS_PER_DAY) * MS_PER_DAY; times.length < count; midnight -= MS_PER_DAY) {
    for (let i = offsets.length - 1; i >= 0 && times.length < count; i--) {
      const time = midnight + (offsets[i] ?? 0);
      if (time <= at.getTime()) times.push(new Date(time));
    }
  }
  return times.reverse();
}

/** The longest time between two times in a row. */
export function longestGapMs({ offsets }: DailyTimes): number {
  return Math.max(...offsets.map((offset, i) => (offsets[i + 1] ?? (offsets[0] ?? 0) + MS_PER_DAY) - offset));
}

/** The first time after `at`. */
export function timeAfter({ offsets }: DailyTimes, at: Date): Date {
  const midnight = Math.floor(at.getTime() / MS_PER_DAY) * MS_PER_DAY;
  const today = offsets.find((offset) => midnight + offset > at.getTime());
  return new Date(today === undefined ? midnight + MS_PER_DAY + (offsets[0] ?? 0) : midnight + today);
}
