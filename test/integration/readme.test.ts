import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { configSchema } from '../../src/config/schema.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LONG = 120_000;
const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');

let signet: SignetProcess;
let folder: string;
beforeAll(async () => {
  signet = await startSignet();
  folder = temporaryFolder('signet-readme-');
}, LONG);
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

test('the quick start of the README runs line by line with nothing but curl and openssl', () => {
  const script = /<!-- quick-start -->\n```sh\n(.*?)```/s.exec(readme)?.[1] ?? '';
  expect(script).toContain('openssl ocsp');
  fs.writeFileSync(path.join(folder, 'quick-start.sh'), script);
  const env = { PATH: process.env.PATH ?? '', API: signet.urls.api, MTLS: signet.urls.mtls, STATUS: signet.urls.status, TOKEN_FILE: path.join(signet.dataDir, 'bootstrap-admin-token') };
  const ran = spawnSync('bash', ['-eu', '-o', 'pipefail', 'quick-start.sh'], { cwd: folder, env, encoding: 'utf8' });
  expect(`${ran.status}\n${ran.stderr}`).toMatch(/^0\n/);
  expect(ran.stdout).toContain('agent.pem: OK');
  expect(ran.stdout).toContain('next.pem: good');
  expect(ran.stdout).toContain('next.pem: revoked');
  expect(fs.statSync(path.join(folder, 'agent.key')).mode & 0o077).toBe(0);
}, LONG);

test('the links of the README lead somewhere, and the doors it names are the defaults', () => {
  for (const [, target = ''] of readme.matchAll(/\]\(([^)#:]+)\)/g)) expect([target, fs.existsSync(path.join(ROOT, target))]).toEqual([target, true]);
  for (const key of ['apiListen', 'mtlsListen', 'statusListen', 'operationsListen'] as const) {
    const { host, port } = configSchema.parse({ dataDir: folder })[key];
    expect(readme).toContain(`${host}:${port}`);
  }
});
