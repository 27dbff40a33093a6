/** The commands of docs/access.md, run as they stand. */
import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LONG = 120_000;
const page = fs.readFileSync(path.join(ROOT, 'docs/access.md'), 'utf8');

let service: Service;
let folder: string;
beforeAll(async () => {
  service = await startService();
  folder = temporaryFolder('signet-access-');
  fs.writeFileSync(path.join(folder, 'root.pem'), service.signet.rootPem);
}, LONG);
afterAll(async () => {
  fs.rmSync(folder, { recursive: true, force: true });
  await service.close();
}, LONG);

async function runBlock(name: string): Promise<string> {
  const script = new RegExp(`<!-- access:${name} -->\n\`\`\`sh\n(.*?)\`\`\``, 's').exec(page)?.[1] ?? '';
  expect(script).toContain('signet ');
  const { serial } = await service.enrolled();
  const { urls, rootPem, dataDir } = service.signet;
  const env = {
    PATH: process.env.PATH ?? '',
    SIGNET_API_URL: urls.api, SIGNET_MTLS_URL: urls.mtls, SIGNET_PUBLIC_URL: urls.status, SIGNET_TOKEN_FILE: path.join(dataDir, 'bootstrap-admin-token'),
    SIGNET_FINGERPRINT: createHash('sha256').update(new X509Certificate(rootPem).raw).digest('hex'), SERIAL: serial,
  };
  const signet = `signet() { ${process.execPath} ${path.join(ROOT, 'dist/signet.js')} "$@"; }\n`;
  const ran = spawnSync('bash', ['-eu', '-o', 'pipefail', '-c', signet + script], { cwd: folder, env, encoding: 'utf8' });
  expect(`${ran.status}\n${ran.stderr}`).toMatch(/^0\n/);
  return ran.stdout;
}

test('API tokens', async () => {
  const before = service.signet.adminToken;
  const said = await runBlock('tokens');
  expect(said).toContain('own-token:read');
  expect(service.signet.adminToken).not.toBe(before);
}, LONG);

test('relying parties', async () => {
  const said = await runBlock('relying-parties');
  expect(said.match(/good/g)).toHaveLength(2);
}, LONG);
