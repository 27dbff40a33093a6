import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSerialSet } from '../../../src/client/serial-set.ts';

const serialOf = (i: number): Buffer => createHash('sha1').update(String(i)).digest();

test('does what a map does, whatever comes and goes', () => {
  const step = fc.tuple(fc.constantFrom('set', 'delete', 'purge'), fc.uint8Array({ minLength: 0, maxLength: 3 }), fc.integer({ min: 1, max: 255 }));
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
    const set = createSerialSet();
    const model = new Map<string, number>();
    const keyOf = (serial: Uint8Array) => Buffer.from(serial).toString('hex').replace(/^(00)+/, '');
    for (const [what, serial, value] of steps) {
      if (what === 'set') {
        set.set(serial, value);
        model.set(keyOf(serial), value);
      } else if (what === 'delete') {
        set.delete(serial);
        model.delete(keyOf(serial));
      } else {
        const isOdd = (one: Uint8Array) => (one.at(-1) ?? 0) % 2 === 1;
        set.deleteWhere(isOdd);
        for (const key of model.keys()) if (isOdd(Buffer.from(key, 'hex'))) model.delete(key);
      }
      expect(set.size).toBe(model.size);
      expect(set.get(serial)).toBe(model.get(keyOf(serial)) ?? 0);
    }
  }), { numRuns: 60 });
});

test('forty thousand, exact: what was put is there, what was not is not, places are used again', () => {
  const set = createSerialSet();
  const COUNT = 40_000;
  for (let i = 0; i < COUNT; i++) set.set(serialOf(i), (i % 2) + 1);
  expect(set.size).toBe(COUNT);
  let wrong = 0;
  for (let i = 0; i < COUNT; i++) if (set.get(serialOf(i)) !== (i % 2) + 1) wrong++;
  for (let i = COUNT; i < 2 * COUNT; i++) if (set.get(serialOf(i)) !== 0) wrong++;
  for (let i = 0; i < COUNT; i += 2) set.delete(serialOf(i));
  for (let i = COUNT; i < COUNT * 1.5; i++) set.set(serialOf(i), 3);
  for (let i = 0; i < COUNT * 1.5; i++) if (set.get(serialOf(i)) !== (i >= COUNT ? 3 : i % 2 === 0 ? 0 : 2)) wrong++;
  expect({ wrong, size: set.size }).toEqual({ wrong: 0, size: COUNT });
});

test('a serial is a number of at most 20 octets: leading zeros say nothing, one octet more is none', () => {
  const set = createSerialSet();
  set.set(Buffer.from([0, 0, 7]), 1);
  expect([set.get(Buffer.from([7])), set.get(Buffer.alloc(21).fill(7, 20)), set.get(Buffer.alloc(20, 7))]).toEqual([1, 1, 0]);
  set.set(Buffer.alloc(20, 7), 2);
  const long = Buffer.concat([Buffer.from([1]), Buffer.alloc(20, 7)]);
  expect([set.get(long), set.size]).toEqual([0, 2]);
  set.delete(long);
  expect(() => set.set(long, 1)).toThrow(RangeError);
  expect(set.size).toBe(2);
});
