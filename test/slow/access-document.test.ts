/** The commands of docs/access.md, run as they stand. */
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { installSignet, runShell, shellOf } from '../support/documents.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';

const LONG = 120_000;

let service: Service;
let folder: string;
let bin: string;
beforeAll(async () => {
  service = await startService();
  folder = temporaryFolder('signet-access-');
  bin = installSignet(folder);
  fs.writeFileSync(path.join(folder, 'root.pem'), service.signet.rootPem);
}, LONG);
afterAll(async () => {
  fs.rmSync(folder, { recursive: true, force: true });
  await service.close();
}, LONG);

async function runBlock(name: string): Promise<string> {
  const { serial } = await service.enrolled();
  const { urls, rootPem, dataDir } = service.signet;
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    SIGNET_API_URL: urls.api, SIGNET_MTLS_URL: urls.mtls, SIGNET_PUBLIC_URL: urls.status, SIGNET_TOKEN_FILE: path.join(dataDir, 'bootstrap-admin-token'),
    SIGNET_FINGERPRINT: createHash('sha256').update(new X509Certificate(rootPem).raw).digest('hex'), SERIAL: serial,
  };
  const ran = runShell(shellOf('docs/access.md', `access:${name}`), { cwd: folder, env });
  expect(`${ran.status}\n${ran.stderr}`).toMatch(/^0\n/);
  return ran.stdout;
}

test('API tokens', async () => {
  const before = service.signet.adminToken;
  const said = await runBlock('tokens');
  expect(said).toContain('own-token:read');
  expect(service.signet.adminToken).not.toBe(before);
}, LONG);

test('a stolen token', async () => {
  expect(await runBlock('stolen')).toContain('revoked');
}, LONG);

test('relying parties', async () => {
  const said = await runBlock('relying-parties');
  expect(said.match(/good/g)).toHaveLength(2);
}, LONG);
