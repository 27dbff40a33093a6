/** `scripts/mutations.ts` shows that each race test fails without its lock; here only that what it takes out is still there. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { testDatabase } from '../support/db.ts';
import { copyProgram, mutateDatabase, MUTATIONS } from '../support/fault/mutations.ts';

test.each(MUTATIONS)('$name finds the lock it takes out, and its test', async (mutation) => {
  const [file] = ['../fault', '.'].map((folder) => path.join(import.meta.dirname, folder, mutation.test.file)).filter((candidate) => fs.existsSync(candidate));
  const source = fs.readFileSync(file ?? '', 'utf8');
  expect(source).toContain(mutation.test.name.replace(/at [a-z]+:[a-z-]+$/, 'at %s'));
  if (mutation.program) fs.rmSync(copyProgram(mutation.program), { recursive: true });
  const database = await testDatabase();
  try {
    await mutateDatabase(database, mutation);
  } finally {
    await database.drop();
  }
});
