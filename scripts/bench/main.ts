/**
 * What the service costs (docs/performance.md): `npm run bench [-- --workers 2,1] [--only renewal,ocsp,status] [--json file] [--scale 0.5] [--profile folder]`.
 * Ends with exit code 1 when the figures do not count: an answer that is not stored, a key used twice, a database that is not durable, a worker that did nothing.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createFloor, makeCsrs } from './csrs.ts';
import { describeRun } from './report.ts';
import { faultsOf, measureRun, SCENARIOS, type Run, type Scenario } from './run.ts';
import { RAISED_KEYS } from './service.ts';
import type { Sizes } from './stage.ts';

const SIZES: Sizes = {
  agents: 1_000, issuanceWarmUp: 4_000, issuance: 10_000, issuanceHalf: 3_000, renewalWarmUp: 500, renewal: 2_000, trivial: 5_000,
  certificates: 100_000, ocsp: 20_000, status: 8_000, statusBatches: 150,
};

const { values } = parseArgs({
  options: { workers: { type: 'string', default: '2,1' }, only: { type: 'string' }, json: { type: 'string' }, scale: { type: 'string', default: '1' }, profile: { type: 'string' } },
});

const scaled = (scale: number): Sizes => Object.fromEntries(Object.entries(SIZES).map(([name, count]) => [name, Math.ceil(count * scale)])) as unknown as Sizes;
const say = (text: string) => void process.stdout.write(`${text}\n\n`);

async function bench(): Promise<void> {
  const sizes = scaled(Number(values.scale));
  const scenarios = values.only === undefined ? SCENARIOS : (values.only.split(',') as Scenario[]);
  const workerCounts = values.workers.split(',').map(Number);
  const began = new Date();
  say(`${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GB, ${os.release()}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${began.toISOString()}; load on the same cores; ${RAISED_KEYS} rate limits raised, none switched off`);
  const each = sizes.issuanceWarmUp + sizes.issuance + sizes.issuanceHalf + (scenarios.includes('renewal') ? sizes.renewalWarmUp + sizes.renewal : 0);
  const csrs = makeCsrs(each * workerCounts.length);
  const floor = createFloor();
  const answered = new Set<string>();
  const dataDir = mkdtempSync(path.join(os.tmpdir(), 'signet-bench-'));
  // The database's own user goes through it.
  chmodSync(dataDir, 0o711);
  const runs: Run[] = [];
  const faults: string[] = [];
  try {
    for (const workers of workerCounts) {
      const run = await measureRun({ dataDir, workers, sizes, scenarios, profileDir: values.profile, csrs, floor, answered });
      runs.push(run);
      faults.push(...faultsOf(run, csrs.taken.size));
      say(describeRun(run));
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
  const seconds = (Date.now() - began.getTime()) / 1000;
  const durability = Object.entries(runs[0]?.stored.durability ?? {}).map(([setting, value]) => `${setting} ${value}`);
  say(`${answered.size} certificates answered, stored and audited; ${csrs.taken.size} keys, each used once; ${durability.join(', ')}; took ${seconds.toFixed(0)} s`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ at: began, cores: os.cpus().length, node: process.versions.node, seconds, runs, faults }, null, 2)}\n`);
  for (const fault of faults) process.stderr.write(`bench: ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
}

await bench();
