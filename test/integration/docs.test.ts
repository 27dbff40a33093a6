import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { temporaryFolder } from '../support/postgres.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LONG = 120_000;

let signet: SignetProcess;
let folder: string;
beforeAll(async () => {
  signet = await startSignet();
  folder = temporaryFolder('signet-docs-');
}, LONG);
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** The shell lines of a page between two marks, one after the other. */
function linesOf(page: string, mark: string): string {
  const [, part = ''] = new RegExp(`<!-- ${mark} -->\n(.*?)<!-- /${mark} -->`, 's').exec(fs.readFileSync(path.join(ROOT, 'docs', page), 'utf8')) ?? [];
  return [...part.matchAll(/```sh\n(.*?)```/gs)].map(([, lines]) => lines).join('');
}

test('the examples of docs/api.md run line by line with nothing but curl', () => {
  const script = linesOf('api.md', 'api-examples');
  expect(script).toContain('Idempotency-Key');
  fs.writeFileSync(path.join(folder, 'api.sh'), script);
  const env = { PATH: process.env.PATH ?? '', API: signet.urls.api, STATUS: signet.urls.status, OPERATIONS: signet.urls.operations, TOKEN_FILE: path.join(signet.dataDir, 'bootstrap-admin-token') };
  const ran = spawnSync('bash', ['--norc', '-eu', '-o', 'pipefail', 'api.sh'], { cwd: folder, env, encoding: 'utf8' });
  expect(`${ran.status}\n${ran.stderr}`).toBe('0\n');
  expect(ran.stdout).toContain('"status":"ready"');
}, LONG);

test('the links between the pages lead somewhere', () => {
  for (const page of ['api.md', 'cli.md']) {
    const text = fs.readFileSync(path.join(ROOT, 'docs', page), 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\(([^)#:]+)\)/g)) expect([page, target, fs.existsSync(path.join(ROOT, 'docs', target))]).toEqual([page, target, true]);
  }
});
