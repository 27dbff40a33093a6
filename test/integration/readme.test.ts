import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { configSchema } from '../../src/config/schema.ts';
import { pageText, runShell, shellOf } from '../support/documents.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

const LONG = 120_000;
const readme = pageText('README.md');

let signet: SignetProcess;
let folder: string;
beforeAll(async () => {
  signet = await startSignet();
  folder = temporaryFolder('signet-readme-');
}, LONG);
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

test('the quick start of the README runs line by line with nothing but curl and openssl', () => {
  const env = { PATH: process.env.PATH ?? '', API: signet.urls.api, MTLS: signet.urls.mtls, STATUS: signet.urls.status, TOKEN_FILE: path.join(signet.dataDir, 'bootstrap-admin-token') };
  const ran = runShell(shellOf('README.md', 'quick-start'), { cwd: folder, env });
  expect(`${ran.status}\n${ran.stderr}`).toMatch(/^0\n/);
  expect(ran.stdout).toContain('agent.pem: OK');
  expect(ran.stdout).toContain('next.pem: good');
  expect(ran.stdout).toContain('next.pem: revoked');
  expect(fs.statSync(path.join(folder, 'agent.key')).mode & 0o077).toBe(0);
}, LONG);

test('the doors the README names are the defaults', () => {
  for (const key of ['apiListen', 'mtlsListen', 'statusListen', 'operationsListen'] as const) {
    const { host, port } = configSchema.parse({ dataDir: folder })[key];
    expect(readme).toContain(`${host}:${port}`);
  }
});
