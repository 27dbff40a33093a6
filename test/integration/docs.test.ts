import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runShell, shellOf } from '../support/documents.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

const LONG = 120_000;

let signet: SignetProcess;
let folder: string;
beforeAll(async () => {
  signet = await startSignet();
  folder = temporaryFolder('signet-docs-');
}, LONG);
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

test('the examples of docs/api.md run line by line with nothing but curl', () => {
  const env = { PATH: process.env.PATH ?? '', API: signet.urls.api, STATUS: signet.urls.status, OPERATIONS: signet.urls.operations, TOKEN_FILE: path.join(signet.dataDir, 'bootstrap-admin-token') };
  const ran = runShell(shellOf('docs/api.md'), { cwd: folder, env });
  expect(`${ran.status}\n${ran.stderr}`).toBe('0\n');
  expect(ran.stdout).toContain('"status":"ready"');
}, LONG);
