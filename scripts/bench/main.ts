/**
 * What the service costs (docs/performance.md).
 *   npm run bench [-- --workers 2,1] [--only renewal,ocsp,status,kill,feed,audit,crl,flat,verify,relying-party] [--scale 0.5] [--json file] [--profile folder]
 *   npm run bench -- --only audit --events 1000000
 *   npm run bench:full [-- --certificates 10000000] [--events 10000000] [--revoked 1000000] [--data folder] [and the others]
 * Ends with exit code 1 when the figures do not count: an answer that is not stored, a key used twice, a database that is not durable, a worker that did nothing.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { auditLog, type AuditLogFigures } from './audit-log.ts';
import { createFloor, makeCsrs } from './csrs.ts';
import { describeAuditLog, describeRelyingParty, describeRun, describeVerify } from './report.ts';
import { relyingParty, type RelyingPartyFigures } from './relying-party.ts';
import { faultsOf, measureRun, SCENARIOS, type Run, type Scenario } from './run.ts';
import { RAISED_KEYS, REMEMBERED } from './service.ts';
import type { Sizes } from './stage.ts';
import { verify } from './verify.ts';

/** What a core does is asked of one worker, and kill and feed of replicas of one process; of several workers mainly what they do together: issue and renew. */
const SIZES: Sizes = {
  agents: 1_000, issuanceWarmUp: 2_000, issuance: 5_000, issuanceHalf: 1_500, renewalWarmUp: 300, renewal: 1_200, trivial: 1_000,
  certificates: 0, revoked: 0, revokedSome: 10_000, revokedMany: 100_000, revocations: 600, ocspCold: 5_000, ocspKnown: 100_000, ocspHalf: 12_000, status: 3_000, statusBatches: 50, statusWarmUp: 1_500,
  points: 100, kills: 12, killIssuances: 2_400, auditAppends: 1_000, auditIssuances: 1_000, subscribers: 1_000, feedRevocations: 50,
};
const SIZES_OF_SEVERAL: Partial<Sizes> = { issuance: 6_000, trivial: 500, ocspCold: 1_000, ocspKnown: 4_000, status: 1_000, statusWarmUp: 1_000, kills: 0, killIssuances: 0, auditAppends: 0, auditIssuances: 0, subscribers: 0 };

/** Serials that a relying party knows to be revoked, and requests to it. */
const REVOKED_KNOWN = 1_000_000;
const REQUESTS_OF_CALLER = 8_000;

const { values: given } = parseArgs({
  options: {
    workers: { type: 'string', default: '2,1' },
    only: { type: 'string', default: 'renewal,ocsp,status,crl,kill,feed,audit,verify,relying-party' },
    scale: { type: 'string', default: '1' },
    certificates: { type: 'string', default: '0' },
    revoked: { type: 'string', default: '0' },
    events: { type: 'string', default: '50000' },
    data: { type: 'string', default: os.tmpdir() },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
});

function sizesOf(workers: number, scale: number): Sizes {
  const scaled = Object.fromEntries(Object.entries({ ...SIZES, ...(workers > 1 ? SIZES_OF_SEVERAL : {}) }).map(([name, count]) => [name, Math.ceil(count * scale)])) as unknown as Sizes;
  return { ...scaled, certificates: Number(given.certificates), revoked: Number(given.revoked) };
}

/** What needs no service. */
const ALONE = 'verify';

function scenariosOf(names: readonly string[]): Scenario[] {
  const unknown = names.find((name) => !SCENARIOS.some((scenario) => scenario === name));
  if (unknown !== undefined) throw new Error(`--only knows ${[...SCENARIOS, ALONE].join(', ')}, not ${unknown}`);
  return names as Scenario[];
}

const say = (text: string) => void process.stdout.write(`${text}\n\n`);

async function bench(): Promise<void> {
  const names = given.only.split(',');
  const scenarios = scenariosOf(names.filter((name) => name !== ALONE));
  const starts = given.workers.split(',').map(Number).map((workers) => ({ workers, sizes: sizesOf(workers, Number(given.scale)) }));
  const began = new Date();
  const machine = `${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GB, ${os.release()}`;
  say(`${machine}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${began.toISOString()}; load on the same cores; ${RAISED_KEYS} rate limits raised, none switched off; ${REMEMBERED} OCSP answers remembered`);
  if (names.includes(ALONE)) say(describeVerify(verify()));
  if (scenarios.length === 0) return;
  const keys = starts.map(({ sizes }) => 1 + sizes.issuanceWarmUp + sizes.issuance + sizes.issuanceHalf + sizes.renewalWarmUp + sizes.renewal + (scenarios.includes('kill') ? sizes.killIssuances : 0) + (scenarios.includes('audit') ? 2 * sizes.auditIssuances : 0));
  const csrs = makeCsrs(keys.reduce((sum, count) => sum + count, 0));
  const floor = createFloor();
  const answered = new Set<string>();
  const dataDir = mkdtempSync(path.join(given.data, 'signet-bench-'));
  // The database's own user goes through it.
  chmodSync(dataDir, 0o711);
  const runs: Run[] = [];
  const faults: string[] = [];
  let party: RelyingPartyFigures | undefined;
  let log: AuditLogFigures | undefined;
  try {
    for (const [n, start] of starts.entries()) {
      // Lists once: how they are made does not depend on how many workers wait for them.
      const measured = n === starts.length - 1 ? scenarios : scenarios.filter((scenario) => scenario !== 'crl');
      const run = await measureRun({ ...start, dataDir, scenarios: measured, profileDir: given.profile, csrs, floor, answered });
      runs.push(run);
      faults.push(...faultsOf(run, csrs.taken.size));
      say(describeRun(run));
    }
    // The SDK in a process of its own, beside no service.
    if (scenarios.includes('relying-party')) party = await relyingParty({ revoked: Math.ceil(REVOKED_KNOWN * Number(given.scale)), requests: Math.ceil(REQUESTS_OF_CALLER * Number(given.scale)) });
    if (party) say(describeRelyingParty(party));
    if (scenarios.includes('audit')) log = await auditLog(path.join(dataDir, 'log'), Number(given.events));
    if (log) say(describeAuditLog(log));
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
  const seconds = (Date.now() - began.getTime()) / 1000;
  const durability = Object.entries(runs[0]?.stored.durability ?? {}).map(([setting, value]) => `${setting} ${value}`);
  say(`${answered.size} certificates answered, stored and audited; ${csrs.taken.size} keys, each used once; ${durability.join(', ')}; took ${seconds.toFixed(0)} s`);
  if (given.json !== undefined) writeFileSync(given.json, `${JSON.stringify({ at: began, machine, node: process.versions.node, seconds, starts, runs, relyingParty: party, auditLog: log, faults }, null, 2)}\n`);
  for (const fault of faults) process.stderr.write(`bench: ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
}

await bench();
