/** The bench at a hundredth of its size: what it prints is not judged here, that it counts is. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { temporaryFolder } from '../support/postgres.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

test('two workers, then one: every answer is stored, durably, and every scenario has figures', () => {
  const folder = temporaryFolder('signet-bench-test-');
  const json = path.join(folder, 'figures.json');
  const ran = spawnSync(process.execPath, ['scripts/bench/main.ts', '--scale', '0.01', '--only', 'renewal,ocsp,status,crl', '--json', json], { cwd: ROOT, encoding: 'utf8' });
  if (!fs.existsSync(json)) throw new Error(`no figures: ${ran.stderr}`);
  const { runs, faults } = JSON.parse(fs.readFileSync(json, 'utf8')) as { runs: { workers: number; crl: { complete: { entries: number } } }[]; faults: string[] };
  fs.rmSync(folder, { recursive: true });
  expect(`${ran.status} ${ran.stderr}`).toBe('0 ');
  expect(faults).toEqual([]);
  expect(runs.map(({ workers }) => workers)).toEqual([2, 1]);
  expect(runs[0]).toMatchObject({ ocsp: { 'cold post': { operations: 10, ofSource: 1 } } });
  expect(runs[1]?.crl.complete.entries).toBeGreaterThan(1_000);
  for (const heading of ['issuance, full rate', 'renewal, new connection each', 'OCSP warm get', 'status batch cold of 100', 'complete CRL: ']) expect(ran.stdout).toContain(heading);
}, 300_000);
