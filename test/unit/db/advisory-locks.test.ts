import { globSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { ADVISORY_LOCK, LOCK_CLASS } from '../../../src/db/advisory-locks.ts';

/** Every call of an advisory lock in the sources, with the statement's arguments. */
const calls = globSync('src/**/*.ts', { exclude: ['src/db/generated/**'] }).flatMap((file) =>
  readFileSync(file, 'utf8').split('\n').filter((line) => /pg_(try_)?advisory_(xact_)?lock(_shared)?\(/.test(line)).map((line) => [file, line.trim()] as const),
);

test('no two advisory locks are the same', () => {
  expect(new Set(Object.values(ADVISORY_LOCK)).size).toBe(Object.keys(ADVISORY_LOCK).length);
});

test('every advisory lock is taken by its name in the list; only those by a hash of an idempotency key are beside it', () => {
  expect(calls.length).toBeGreaterThanOrEqual(Object.keys(ADVISORY_LOCK).length - 1);
  const unnamed = calls.filter(([file, line]) => !/ADVISORY_LOCK\.\w+/.test(line) && file !== 'src/db/idempotency.ts');
  expect(unnamed).toEqual([]);
});

test('the commit of certificates takes the gate that the list names', () => {
  const sql = readFileSync('prisma/migrations/0002_commit/migration.sql', 'utf8');
  expect(sql).toContain(`pg_advisory_xact_lock_shared(${LOCK_CLASS}, ${ADVISORY_LOCK.issuanceGate})`);
});
