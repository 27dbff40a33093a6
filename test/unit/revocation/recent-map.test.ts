import { expect, test } from '@jest/globals';
import { createRecentMap } from '../../../src/revocation/recent-map.ts';

test('createRecentMap: never holds more than its capacity, and forgets the oldest first', () => {
  const map = createRecentMap<number>(4);
  for (let i = 0; i < 100; i++) map.set(`k${i}`, i);
  const kept = Array.from({ length: 100 }, (_, i) => i).filter((i) => map.get(`k${i}`) !== undefined);
  expect(kept.length).toBeGreaterThanOrEqual(2);
  expect(kept.length).toBeLessThanOrEqual(4);
  expect(kept.at(-1)).toBe(99);
});

test('createRecentMap: an entry in use outlives entries that are not', () => {
  const map = createRecentMap<number>(8);
  map.set('used', 1);
  for (let i = 0; i < 100; i++) {
    map.set(`k${i}`, i);
    expect(map.get('used')).toBe(1);
  }
});

test('createRecentMap: a deleted entry is gone from both generations, also after it was replaced', () => {
  const map = createRecentMap<number>(4);
  map.set('a', 1);
  map.set('b', 1);
  map.set('c', 1); // a and b are the older generation now
  map.set('a', 2);
  map.delete('a');
  expect(map.get('a')).toBeUndefined();
});

test('createRecentMap: a capacity of 0 holds nothing', () => {
  const map = createRecentMap<number>(0);
  map.set('a', 1);
  expect(map.get('a')).toBeUndefined();
});
