import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { documentConfig } from '../../../src/config/document.ts';
import { CONFIG_KEYS, environmentName } from '../../../src/config/schema.ts';

test('docs/config.md is what the schema says (write it anew from documentConfig())', () => {
  expect(readFileSync('docs/config.md', 'utf8')).toBe(documentConfig());
});

test('documentConfig has one complete row for each key, and no row for anything else', () => {
  const rows = documentConfig().split('\n').filter((line) => line.startsWith('| `')).map((line) => line.split(' | '));
  expect(rows.map(([key, name]) => [key?.slice(3, -1), name?.slice(1, -1)])).toEqual(CONFIG_KEYS.map((key) => [key, environmentName(key)]));
  for (const row of rows) expect([row[0], row.length, row.every((cell) => cell.length > 2)]).toEqual([row[0], 5, true]);
});
