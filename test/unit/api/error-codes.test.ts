import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { documentErrors, ERROR_TABLE } from '../../../src/api/error-codes.ts';
import { ERROR_CODES } from '../../../src/core/errors.ts';

const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

test('docs/errors.md is what documentErrors() makes of the table', () => {
  expect(page).toBe(documentErrors());
});

test('every code is documented, and every documented code exists', () => {
  const documented = [...page.matchAll(/^## (\S+)$/gm)].map(([, code]) => code);
  expect(documented.toSorted()).toEqual([...ERROR_CODES].toSorted());
});

test('every code says what it means and what to do next', () => {
  for (const code of ERROR_CODES) {
    const { title, next } = ERROR_TABLE[code];
    expect(title).toMatch(/^[A-Z].*[^.]$/);
    expect(next).toMatch(/^[A-Z].*\.$/s);
  }
});
