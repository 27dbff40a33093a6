import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { documentGrowth, inUnits } from '../../../scripts/growth.ts';

const page = readFileSync('docs/retention.md', 'utf8');

test('docs/retention.md has the growth that scripts/growth.ts computes (write it anew from its output)', () => {
  expect(/<!-- growth -->\n([\s\S]*)\n<!-- \/growth -->/.exec(page)?.[1]).toBe(documentGrowth());
});

test('docs/retention.md says of every table what bounds it, and names no other', () => {
  const tables = [...readFileSync('prisma/schema.prisma', 'utf8').matchAll(/@@map\("(\w+)"\)/g)].map(([, name]) => name);
  const chapter = /## Every table\n([\s\S]*?)\n## /.exec(page)?.[1] ?? '';
  const told = [...chapter.matchAll(/^\| `(\w+)` \| .+ \| .+ \|$/gm)].map(([, name]) => name);
  expect(told.toSorted()).toEqual(tables.toSorted());
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_234_567, '1.23 MB'],
  [9.876e16, '98.8 PB'],
])('inUnits of %d is %s', (octets, text) => {
  expect(inUnits(octets)).toBe(text);
});
