import { expect, test } from '@jest/globals';
import { createFreshness, type Freshness } from '../../../../src/client/feed/freshness.ts';

const START = Date.parse('2026-11-21T00:00:00Z');
const beat = (ms: number) => ({ cluster: 'c', epoch: 1, n: 1, time: new Date(START + ms).toISOString() });
const fresh = (): Freshness => createFreshness({ stalenessMs: 5_000, clockToleranceMs: 60_000 });
/** Heard at a monotonic time; the wall clock goes with it. */
const hear = (freshness: Freshness, ms: number, at: number, wall = START + at) => freshness.heard(beat(ms), at, wall);

test('what is known gets older from the moment it speaks of, not from when it came', () => {
  const freshness = fresh();
  expect(freshness.ageMs(0, START)).toBe(Infinity);
  hear(freshness, 0, 10);
  expect(freshness.ageMs(10, START + 10)).toBe(0);
  // Held up by two seconds on the way.
  hear(freshness, 1_000, 3_010);
  expect(freshness.ageMs(3_010, START + 3_010)).toBe(2_000);
  expect(freshness.ageMs(6_011, START + 6_011)).toBe(5_001);
});

test('a heartbeat that was heard before, or is not later, is refused: a replay', () => {
  const freshness = fresh();
  hear(freshness, 1_000, 1_000);
  expect(() => hear(freshness, 1_000, 1_500)).toThrow('replay');
  expect(() => hear(freshness, 900, 1_500)).toThrow('replay');
  hear(freshness, 2_000, 2_000);
});

test('on another connection heartbeats may be a little older, never from long ago', () => {
  const freshness = fresh();
  hear(freshness, 10_000, 10_000);
  freshness.reconnected();
  hear(freshness, 9_500, 10_100);
  expect(freshness.ageMs(10_100, START + 10_100)).toBe(100);
  freshness.reconnected();
  expect(() => hear(freshness, 4_000, 10_200)).toThrow('older');
  // Recorded, and played at its own pace an hour later.
  freshness.reconnected();
  expect(() => hear(freshness, 11_000, 3_610_000)).toThrow(/clock|late/);
});

test('a recording that begins within the tolerance of the clock is as old as it is', () => {
  const freshness = fresh();
  hear(freshness, 0, 0);
  freshness.reconnected();
  expect(() => hear(freshness, 1_000, 20_000)).toThrow('too late');
  expect(freshness.ageMs(20_000, START + 20_000)).toBe(20_000);
});

test('a first heartbeat far from this clock is refused', () => {
  expect(() => hear(fresh(), 0, 0, START + 61_000)).toThrow('clock');
  expect(() => hear(fresh(), 0, 0, START - 61_000)).toThrow('clock');
  const freshness = fresh();
  hear(freshness, 0, 0, START + 59_000);
  freshness.reset();
  expect(freshness.ageMs(0, START)).toBe(Infinity);
});

test('a machine that slept has heard nothing for so long, though its monotonic clock stood', () => {
  const freshness = fresh();
  hear(freshness, 0, 10);
  expect(freshness.ageMs(20, START + 30_010)).toBe(30_000);
  // What lay in its buffers meanwhile is as old.
  expect(() => hear(freshness, 1_000, 30, START + 30_020)).toThrow('too late');
  hear(freshness, 30_010, 30, START + 30_020);
  expect(freshness.ageMs(40, START + 30_030)).toBe(10);
  // A wall clock that was put back makes nothing younger.
  expect(freshness.ageMs(6_030, START - 3_600_000)).toBe(6_000);
});
