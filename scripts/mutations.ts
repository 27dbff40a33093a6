/**
 * Shows that the race tests can fail: runs each once more with its lock taken out (test/support/fault/mutations.ts) and prints the failure.
 * Ends with exit 1 when a test passes without its lock, or fails for another reason than what it expects. `node scripts/mutations.ts [name…]`; docs/races.md quotes it.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { MUTATIONS, type Mutation } from '../test/support/fault/mutations.ts';

const root = path.resolve(import.meta.dirname, '..');
const JEST = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', path.join(root, 'node_modules/jest/bin/jest.js')];

interface Report {
  testResults: { message: string; assertionResults: { title: string; status: string; failureMessages: string[] }[] }[];
}

/** What the test said when its lock was out; undefined when it passed, or did not run. */
function failureWithout({ name, test }: Mutation): string | undefined {
  const report = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'signet-mutations-')), 'report.json');
  const pattern = test.name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const args = [...JEST, `test/(fault|slow)/${test.file}`, '--selectProjects', 'service', 'slow', '--testNamePattern', pattern, '--json', '--outputFile', report];
  spawnSync(process.execPath, args, { cwd: root, env: { ...process.env, SIGNET_TEST_MUTATION: name }, stdio: 'ignore' });
  try {
    const { testResults } = JSON.parse(fs.readFileSync(report, 'utf8')) as Report;
    const failed = testResults.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => status === 'failed');
    return failed[0] && stripVTControlCharacters(`${failed[0].title}\n${failed[0].failureMessages[0] ?? ''}`);
  } finally {
    fs.rmSync(path.dirname(report), { recursive: true, force: true });
  }
}

/** Without the frames. */
const said = (failure: string): string => failure.split('\n').filter((line) => !/^\s+at /.test(line) && line.trim() !== '').map((line) => `    ${line}`).join('\n');

const wanted = process.argv.slice(2);
for (const mutation of MUTATIONS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  const failure = failureWithout(mutation);
  const seen = failure !== undefined && mutation.failure.test(failure);
  if (!seen) process.exitCode = 1;
  process.stdout.write(`${seen ? 'failed, as it must' : 'NOT SEEN TO FAIL'} · ${mutation.name}: ${mutation.race}, without ${mutation.lock}\n${said(failure ?? 'it passed')}\n\n`);
}
