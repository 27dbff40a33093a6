import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const SOURCE = path.resolve(import.meta.dirname, '../../../scripts/run.mjs');
let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'signet-run-'));
  fs.mkdirSync(path.join(folder, 'scripts'));
  fs.copyFileSync(SOURCE, path.join(folder, 'scripts/run.mjs'));
  fs.writeFileSync(path.join(folder, 'scripts/say.ts'), 'const [code, word]: string[] = process.argv.slice(2);\nconsole.log(word, process.argv0);\nprocess.exit(Number(code));\n');
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const run = (...args: string[]) => spawnSync(process.execPath, [path.join(folder, 'scripts/run.mjs'), ...args], { encoding: 'utf8' });
const inModules = (name: string) => path.join(folder, 'node_modules', name);

test('without the packages to build with: says which command installs them', () => {
  expect(run('say.ts')).toMatchObject({ status: 69, stdout: '', stderr: 'signet: the packages to build with are not installed: run npm ci --include=dev\n' });
});

test('runs the script on the installed Node and puts that into .bin, where npm left it out', () => {
  const installed = `node-${process.platform}-${process.arch}/bin/node`;
  for (const name of ['@types/express', '.bin', path.dirname(installed)]) fs.mkdirSync(inModules(name), { recursive: true });
  fs.symlinkSync(process.execPath, inModules(installed));
  for (let i = 0; i < 2; i++) expect(run('say.ts', '7', 'hello')).toMatchObject({ status: 7, stdout: `hello ${inModules(installed)}\n` });
  expect(fs.readlinkSync(inModules('.bin/node'))).toBe(`../${installed}`);
});
