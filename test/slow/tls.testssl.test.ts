/** The https doors graded by testssl.sh: protocols, classes of ciphers, forward secrecy, what the server shows, and every vulnerability it knows of. */
import fs from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll } from '@jest/globals';
import { outsideProgram, run, versionOf, type Verdict } from '../support/interop.ts';
import { installedProgram } from '../support/outside-proxies.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startService } from '../support/service.ts';
import type { SignetOptions } from '../support/signet-process.ts';
import { startWeakServer } from '../support/weak-tls-server.ts';

const TESTSSL_MS = 160_000;
const binary = installedProgram('testssl') ?? installedProgram('testssl.sh');
const program = await outsideProgram({ name: 'testssl.sh', debianPackage: 'testssl.sh', must: false, version: async () => (binary === undefined ? undefined : versionOf(binary, ['-v'], /testssl(?:\.sh)?\s+(\d\S+)/)) });

const folder = temporaryFolder('signet-testssl-');
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Severities from the least that is a fault. */
const FAULTS = ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'];
/** Short lives are what it is all about here; and nobody staples: who asks, asks OCSP. */
const MEANT = ['cert_expirationStatus', 'cert_notAfter', 'OCSP_stapling'];

let sequence = 0;

/** Accepted: it went to its end and has nothing to complain of. */
async function graded(port: number, checks: readonly string[]): Promise<Verdict> {
  const report = path.join(folder, `report-${++sequence}.json`);
  const args = ['--quiet', '--warnings', 'off', '--color', '0', '--nodns', 'none', '--ip', '127.0.0.1', '--add-ca', path.join(folder, 'root.pem'), '--jsonfile', report];
  const { stdout } = await run(binary ?? '', [...args, ...checks, `localhost:${port}`], { cwd: folder, timeoutMs: TESTSSL_MS });
  const findings = JSON.parse(fs.readFileSync(report, 'utf8')) as { id: string; severity: string; finding: string }[];
  const faults = findings.filter(({ id, severity }) => FAULTS.includes(severity) && !MEANT.includes(id));
  const isWhole = stdout.includes(' Done ') && findings.length > 10;
  return { accepted: isWhole && faults.length === 0, said: isWhole ? faults.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`).join('\n') : stdout };
}

async function gradedService(env: NonNullable<SignetOptions['env']>): Promise<Verdict> {
  const service = await startService({ env });
  fs.writeFileSync(path.join(folder, 'root.pem'), service.signet.rootPem);
  const verdict = await graded(service.signet.ports.mtls, ['--protocols', '--std', '--pfs', '--server-defaults', '--vulnerable']);
  await service.close();
  return verdict;
}

program.test('the mutual TLS door as it is by default', async () => program.expects('good', await gradedService({})));

program.test('with TLS 1.2 and a P-384 authority', async () => program.expects('good', await gradedService({ SIGNET_TLS_MIN_VERSION: 'TLSv1.2', SIGNET_AUTHORITY_KEY_ALGORITHM: 'ecdsa-p384' })));

program.test('a server that is weak in every way', async () => {
  const server = await startWeakServer(folder);
  program.expects('known-bad', await graded((server.address() as AddressInfo).port, ['--protocols', '--std']), /LOW TLS1: offered[^]*cipherlist_NULL: offered/);
  server.close();
});
