import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { CliContext } from '../../../src/cli/command.ts';
import { createSecret } from '../../../src/cli/secret-answer.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'signet-secret-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs it with a client that makes a token, or cannot; returns how many were made. */
async function make(out: string, made = 0, fails = false, own?: string): Promise<number> {
  const cli = { json: true, io: { out: { write: () => undefined }, env: { SIGNET_TOKEN_FILE: own } }, connect: () => Promise.resolve({}) } as unknown as CliContext;
  const create = () => (fails ? Promise.reject(new Error('refused')) : Promise.resolve({ text: JSON.stringify({ id: ++made, token: 'the secret' }) } as never));
  await createSecret(cli, { positionals: [], values: { out } }, 'an API token', create).catch(() => undefined);
  return made;
}

test('a token goes to its file, that only its owner reads', async () => {
  const file = path.join(folder, 'new', 'token');
  expect(await make(file)).toBe(1);
  expect(readFileSync(file, 'utf8')).toBe('the secret\n');
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('where the file cannot be written no token is made: nobody would know it', async () => {
  mkdirSync(path.join(folder, 'a-folder'));
  writeFileSync(path.join(folder, 'a-file'), '');
  expect(await make(path.join(folder, 'a-folder'))).toBe(0);
  expect(await make(path.join(folder, 'a-file', 'token'))).toBe(0);
});

test('when no token is made the file stays as it was, and nothing is left beside it', async () => {
  const file = path.join(folder, 'kept');
  writeFileSync(file, 'before');
  expect(await make(file, 0, true)).toBe(0);
  expect(readFileSync(file, 'utf8')).toBe('before');
  expect(readdirSync(folder).filter((name) => name.startsWith('kept.'))).toEqual([]);
});

test("what is there may be another token's only copy: only the caller's own is replaced", async () => {
  const file = path.join(folder, 'kept');
  writeFileSync(file, 'another secret\n');
  expect(await make(file)).toBe(0);
  expect(readFileSync(file, 'utf8')).toBe('another secret\n');
  expect(await make(file, 0, false, file)).toBe(1);
  expect(readFileSync(file, 'utf8')).toBe('the secret\n');
});
