/**
 * The whole life of an agent's identity, with real processes: Signet, a relying service, the `signet` command line, openssl and curl.
 * Ends with exit 0 only if every step was seen to happen.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';

const project = path.resolve(import.meta.dirname, '..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'signet-demo-'));
const SERVICE_NAME = 'reports.demo.internal';
const children: ChildProcess[] = [];
let step = 0;

class DemoFailure extends Error {}

const say = (text: string) => process.stdout.write(`${text}\n`);
const heading = (text: string) => say(`\n${++step}. ${text}`);
const seen = (text: string) => say(`   ✔ ${text}`);
const file = (name: string) => path.join(folder, name);

function check(condition: boolean, what: string, evidence = ''): void {
  if (!condition) throw new DemoFailure(`not seen: ${what}${evidence ? `\n${evidence}` : ''}`);
  seen(what);
}

interface Ran {
  code: number;
  out: string;
}

/** Runs a program and shows it as a person would type it. */
function run(program: string, args: string[], env: Record<string, string> = {}): Ran {
  const shown = [program === process.execPath ? 'signet' : program, ...args.filter((arg) => !arg.endsWith('signet.js'))];
  say(`   $ ${shown.map((arg) => arg.replace(`${folder}/`, '')).map((arg) => (/[\s"]/.test(arg) ? `'${arg}'` : arg)).join(' ')}`);
  const result = spawnSync(program, args, { cwd: folder, encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '', ...env } });
  if (result.error) throw new DemoFailure(`${program} could not be run: ${result.error.message}`);
  return { code: result.status ?? 1, out: `${result.stdout}${result.stderr}` };
}

function ok(ran: Ran, what: string): string {
  if (ran.code !== 0) throw new DemoFailure(`not seen: ${what}\n${ran.out}`);
  return ran.out;
}

async function until(what: string, probe: () => Promise<boolean> | boolean, seconds = 60): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    try {
      if (await probe()) return;
    } catch {
      // not yet
    }
    await sleep(100);
  }
  throw new DemoFailure(`not seen within ${seconds} s: ${what}`);
}

async function main(): Promise<void> {
  const [api, mtls, status, operations, service] = [await freePort(), await freePort(), await freePort(), await freePort(), await freePort()];
  const url = { api: `https://127.0.0.1:${api}`, mtls: `https://127.0.0.1:${mtls}`, status: `http://127.0.0.1:${status}` };
  const dataDir = file('data');

  heading('Start Signet: PostgreSQL, root and issuing CA, four doors');
  const signet = spawn(process.execPath, [path.join(project, 'dist/main.js')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'] ?? '', SIGNET_DATA_DIR: dataDir, SIGNET_LOG_LEVEL: 'error', SIGNET_PUBLIC_URL: url.status, SIGNET_API_URL: url.api, SIGNET_MTLS_URL: url.mtls,
      SIGNET_API_LISTEN: `127.0.0.1:${api}`, SIGNET_MTLS_LISTEN: `127.0.0.1:${mtls}`, SIGNET_STATUS_LISTEN: `127.0.0.1:${status}`, SIGNET_OPERATIONS_LISTEN: `127.0.0.1:${operations}`,
    },
  });
  children.push(signet);
  await until('Signet is ready', async () => signet.exitCode !== null || (await fetch(`http://127.0.0.1:${operations}/readyz`)).ok);
  if (signet.exitCode !== null) throw new DemoFailure(`not seen: Signet ended with ${signet.exitCode}`);
  const root = await (await fetch(`${url.status}/trust-bundle.pem`)).text();
  writeFileSync(file('root.pem'), root);
  const fingerprint = ok(run('openssl', ['x509', '-in', 'root.pem', '-noout', '-fingerprint', '-sha256']), 'the root’s fingerprint').split('=')[1]?.trim() ?? '';
  seen(`ready; root ${fingerprint.slice(0, 23)}…`);

  const cliEnv = {
    SIGNET_API_URL: url.api, SIGNET_MTLS_URL: url.mtls, SIGNET_PUBLIC_URL: url.status, SIGNET_FINGERPRINT: fingerprint, SIGNET_TOKEN_FILE: path.join(dataDir, 'bootstrap-admin-token'),
  };
  const cli = (...args: string[]): Record<string, string> => {
    const out = ok(run(process.execPath, [path.join(project, 'dist/signet.js'), ...args, '--json'], cliEnv), `signet ${args.slice(0, 2).join(' ')}`);
    return JSON.parse(out) as Record<string, string>;
  };

  heading('Register two agents: a relying service, and one that will call it');
  const reports = cli('agent', 'register', '--name', 'reports', '--owner', 'bob@example.org', '--purpose', 'serves reports', '--profile', 'service', '--dns-name', SERVICE_NAME);
  const reader = cli('agent', 'register', '--name', 'invoice-reader', '--owner', 'alice@example.org', '--purpose', 'reads invoices');
  check(reader['state'] === 'active', `agent ${reader['id']} is active`);

  heading('Enroll both: single-use join token, key made by the agent, CSR, certificate');
  for (const [name, agent] of [['reports', reports], ['reader', reader]] as const) {
    cli('join-token', 'create', agent['id'] ?? '', '--ttl', '300', '--out', file(`${name}.token`));
    cli('enroll', '--token-file', file(`${name}.token`), '--dir', file(name));
  }
  const san = ok(run('openssl', ['x509', '-in', 'reader/certificate.pem', '-noout', '-ext', 'subjectAltName']), 'the SAN');
  check(san.includes(`URI:spiffe://signet.internal/agent/${reader['id']}`), 'the SPIFFE ID of the agent is in its certificate', san);
  const verified = run('openssl', ['verify', '-x509_strict', '-CAfile', 'root.pem', '-untrusted', 'reader/chain.pem', 'reader/certificate.pem']);
  check(verified.code === 0 && verified.out.includes('OK'), 'openssl verifies the chain', verified.out);

  heading('Call the relying service over mutual TLS; it asks Signet about every caller');
  const relying = spawn(process.execPath, [path.join(project, 'scripts/demo-relying-service.ts'), file('reports'), String(service), url.mtls], { stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(relying);
  await until('the relying service listens', () => new Promise<boolean>((resolve) => {
    const socket = net.connect(service, '127.0.0.1', () => { socket.destroy(); resolve(true); });
    socket.on('error', () => resolve(false));
  }));
  const call = () => run('curl', ['-sS', '--cacert', 'root.pem', '--cert', 'reader/chain.pem', '--key', 'reader/key.pem', '--resolve', `${SERVICE_NAME}:${service}:127.0.0.1`, `https://${SERVICE_NAME}:${service}/`]);
  const first = call();
  check(first.code === 0 && first.out.includes(`hello agent/${reader['id']}`), 'the service knows who calls, and serves', first.out);

  heading('Renew over mutual TLS with a fresh key');
  const before = readFileSync(file('reader/certificate.pem'), 'utf8');
  const renewed = cli('renew', '--dir', file('reader'));
  check(String(renewed['generation']) === '2' && readFileSync(file('reader/certificate.pem'), 'utf8') !== before, 'a new certificate of the same instance, generation 2');
  check(call().out.includes(`hello agent/${reader['id']}`), 'the service accepts the new certificate');

  heading('OCSP and CRL before: good');
  writeFileSync(file('issuer.pem'), readFileSync(file('reader/chain.pem'), 'utf8').split(/(?=-----BEGIN)/)[1] ?? '');
  const ocsp = () => run('openssl', ['ocsp', '-issuer', 'issuer.pem', '-cert', 'reader/certificate.pem', '-url', `${url.status}/ocsp`, '-CAfile', 'root.pem', '-verify_other', 'issuer.pem']);
  const good = ocsp();
  check(good.out.includes('Response verify OK') && good.out.includes('certificate.pem: good'), 'openssl ocsp: good', good.out);

  heading('Revoke it');
  const serial = renewed['serial'] ?? '';
  const revoked = cli('certificate', 'revoke', serial, '--reason', 'keyCompromise');
  check(revoked['status'] === 'revoked', 'acknowledged: durable, and this replica says so from now on');

  heading('OCSP, JSON status and CRL after: revoked');
  const bad = ocsp();
  check(bad.out.includes('certificate.pem: revoked') && bad.out.includes('keyCompromise'), 'openssl ocsp: revoked, keyCompromise', bad.out);
  check(cli('status', serial)['status'] === 'revoked', 'JSON status: revoked');
  const crlUrl = /URI:(\S+)/.exec(ok(run('openssl', ['x509', '-in', 'reader/certificate.pem', '-noout', '-ext', 'crlDistributionPoints']), 'the CRL’s address'))?.[1] ?? '';
  await until('the revocation is on the list', async () => {
    writeFileSync(file('issuer.crl'), Buffer.from(await (await fetch(crlUrl)).arrayBuffer()));
    return spawnSync('openssl', ['crl', '-inform', 'DER', '-in', file('issuer.crl'), '-noout', '-text'], { encoding: 'utf8' }).stdout.toLowerCase().includes(serial.toLowerCase());
  }, 5);
  seen('the CRL names the serial');
  ok(run('openssl', ['crl', '-inform', 'DER', '-in', 'issuer.crl', '-out', 'issuer.crl.pem']), 'the list as PEM');
  const refused = run('openssl', ['verify', '-crl_check', '-CRLfile', 'issuer.crl.pem', '-CAfile', 'root.pem', '-untrusted', 'issuer.pem', 'reader/certificate.pem']);
  check(refused.code !== 0 && refused.out.includes('certificate revoked'), 'openssl verify -crl_check refuses it', refused.out);

  heading('Call the relying service again');
  const last = call();
  check(last.out.includes('refused: revoked'), 'the service refuses the agent', last.out);

  heading('Stop');
  signet.kill('SIGTERM');
  const code = await new Promise<number | null>((resolve) => signet.once('exit', resolve));
  check(code === 0, 'Signet drained and stopped its database');
  check(!existsSync(path.join(dataDir, 'postgres/data/postmaster.pid')), 'no process was left behind');
}

// PostgreSQL runs as another user when this is root: it must be able to enter.
chmodSync(folder, 0o711);
try {
  await main();
  say('\nEvery step was seen to happen.');
} catch (error) {
  say(`\n${error instanceof DemoFailure ? error.message : String(error)}\n\nThe demo failed; its files are in ${folder}.`);
  process.exitCode = 1;
} finally {
  for (const child of children) if (child.exitCode === null) child.kill('SIGTERM');
  const left = children.filter((child) => child.exitCode === null && child.signalCode === null);
  await Promise.all(left.map((child) => new Promise((resolve) => child.once('exit', resolve))));
  if (process.exitCode !== 1) rmSync(folder, { recursive: true, force: true });
}
