/**
 * What an issuance costs: starts the built Signet, enrolls pre-made CSRs (all keys different) over keep-alive HTTPS with a join token each, and prints
 * CPU per issuance of the service, of PostgreSQL and of the load, beside the crypto floor of the same run (verify one fresh-key CSR + sign once).
 * Exits non-zero unless distinct serials = audit rows = 2xx answers, and PostgreSQL is durable.
 */
import { spawn } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { bitString, context, integer, oid, sequence } from '../../src/x509/der/writer.ts';
import { freePort } from '../free-port.ts';

const COUNT = Number(process.argv[2] ?? 4000);
const CONCURRENCY = 64;
const project = path.resolve(import.meta.dirname, '../..');
const dataDir = mkdtempSync(path.join(os.tmpdir(), 'signet-bench-'));
chmodSync(dataDir, 0o711);

interface Csr {
  der: Buffer;
  tbs: Buffer;
  spki: Buffer;
  signature: Buffer;
}

function makeCsr(): Csr {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const tbs = sequence(integer(0), sequence(), spki, context(0));
  const signature = sign('sha256', tbs, privateKey);
  return { tbs, spki, signature, der: sequence(tbs, sequence(oid('1.2.840.10045.4.3.2')), bitString(signature)) };
}

/** CPU µs of one verification with a key never seen before plus one signature: what no CA in this runtime can do without. */
function floorMicros(csrs: readonly Csr[]): number {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }));
  createPublicKey(key);
  const sample = csrs.slice(0, 1000);
  const before = process.cpuUsage();
  for (const { tbs, spki, signature } of sample) {
    if (!verify('sha256', tbs, { key: spki, format: 'der', type: 'spki' }, signature)) throw new Error('a CSR does not verify');
    sign('sha256', tbs, key);
  }
  const used = process.cpuUsage(before);
  return (used.user + used.system) / sample.length;
}

/** CPU µs a process has used (user and system), and of all its children where `tree`. */
function cpuMicros(pid: number, tree: boolean): number {
  const ticks = (id: number) => {
    const fields = readFileSync(`/proc/${id}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
    return Number(fields[11]) + Number(fields[12]) + (tree && id === pid ? Number(fields[13]) + Number(fields[14]) : 0);
  };
  const children = tree ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((id) => parentOf(id) === pid) : [];
  return [pid, ...children].reduce((sum, id) => sum + ticks(id), 0) * 10_000;
}

function parentOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')[1]);
  } catch {
    return -1;
  }
}

function post(agent: https.Agent, url: string, token: string, type: string, body: Buffer | string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': type, 'content-length': Buffer.byteLength(body) };
    const request = https.request(url, { method: 'POST', agent, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Inserts the join tokens by SQL: making them is not what is measured. */
async function insertTokens(ownerUrl: string, agentId: string, count: number): Promise<string[]> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  const tokens = Array.from({ length: count }, () => ({ id: `01M${[...randomBytes(23)].map((b) => alphabet[b & 31]).join('')}`, secret: randomBytes(32).toString('base64url') }));
  await client.query(
    `INSERT INTO join_tokens (id, secret_hash, agent_id, created_by, created_at, expires_at)
     SELECT t.id, decode(t.hash, 'hex'), $3, 'bench', now(), now() + interval '1 hour' FROM unnest($1::text[], $2::text[]) AS t (id, hash)`,
    [tokens.map((t) => t.id), tokens.map((t) => createHash('sha256').update(t.secret).digest('hex')), agentId],
  );
  await client.end();
  return tokens.map((t) => `sgj_${t.id}_${t.secret}`);
}

async function main(): Promise<void> {
  const [api, mtls, status, operations] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const started = performance.now();
  const signet = spawn(process.execPath, [path.join(project, 'dist/main.js')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'] ?? '', SIGNET_DATA_DIR: dataDir, SIGNET_LOG_LEVEL: 'error', SIGNET_WORKERS: '1',
      SIGNET_API_LISTEN: `127.0.0.1:${api}`, SIGNET_MTLS_LISTEN: `127.0.0.1:${mtls}`, SIGNET_STATUS_LISTEN: `127.0.0.1:${status}`, SIGNET_OPERATIONS_LISTEN: `127.0.0.1:${operations}`,
    },
  });
  try {
    for (;;) {
      if (signet.exitCode !== null) throw new Error(`Signet ended with ${signet.exitCode}`);
      if (await fetch(`http://127.0.0.1:${operations}/readyz`).then((r) => r.ok, () => false)) break;
      await sleep(10);
    }
    const readyMs = performance.now() - started;
    await measure(signet.pid ?? 0, `https://127.0.0.1:${api}`, `http://127.0.0.1:${status}`, readyMs);
  } finally {
    signet.kill('SIGTERM');
    await new Promise((resolve) => signet.once('exit', resolve));
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function measure(pid: number, api: string, status: string, readyMs: number): Promise<void> {
  const ca = await (await fetch(`${status}/trust-bundle.pem`)).text();
  const agent = new https.Agent({ ca, keepAlive: true, maxSockets: CONCURRENCY });
  const admin = readFileSync(path.join(dataDir, 'bootstrap-admin-token'), 'utf8').trim();
  const postmaster = Number(readFileSync(path.join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]);
  const port = readFileSync(path.join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[3]?.trim();
  const ownerUrl = `postgresql://postgres:${readFileSync(path.join(dataDir, 'postgres/password'), 'utf8').trim()}@127.0.0.1:${port}/signet`;

  const registered = await post(agent, `${api}/v1/agents`, admin, 'application/json', JSON.stringify({ name: 'bench', ownerEmail: 'bench@example.org', purpose: 'bench' }));
  const agentId = (JSON.parse(registered.text) as { id: string }).id;
  const csrs = Array.from({ length: COUNT }, makeCsr);
  const tokens = await insertTokens(ownerUrl, agentId, COUNT);
  await sleep(5_000);
  const idleRssMb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

  const run = async (from: number, to: number) => {
    const latencies: number[] = [];
    const serials = new Set<string>();
    let next = from;
    await Promise.all(
      Array.from({ length: CONCURRENCY }, async () => {
        for (let i = next++; i < to; i = next++) {
          const began = performance.now();
          const answer = await post(agent, `${api}/v1/certificates`, tokens[i] ?? '', 'application/pkcs10', csrs[i]?.der ?? '');
          latencies.push(performance.now() - began);
          if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
          serials.add((JSON.parse(answer.text) as { serial: string }).serial);
        }
      }),
    );
    return { latencies: latencies.toSorted((a, b) => a - b), serials };
  };
  const warm = await run(0, Math.floor(COUNT / 4));
  const before = { service: cpuMicros(pid, false), postgres: cpuMicros(postmaster, true), load: process.cpuUsage(), at: performance.now() };
  const { latencies, serials } = await run(Math.floor(COUNT / 4), COUNT);
  const seconds = (performance.now() - before.at) / 1000;
  const count = latencies.length;
  const service = (cpuMicros(pid, false) - before.service) / count;
  const postgres = (cpuMicros(postmaster, true) - before.postgres) / count;
  const loadUsage = process.cpuUsage(before.load);
  const floor = floorMicros(csrs);

  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  const { rows } = await client.query<{ certificates: number; audits: number; fsync: string; sync: string }>(
    "SELECT (SELECT count(DISTINCT serial)::int FROM certificates) AS certificates, (SELECT count(*)::int FROM audit_events WHERE kind = 'certificate.issued') AS audits, current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS sync",
  );
  await client.end();
  const answered = warm.serials.size + serials.size;
  const round = (n: number) => Math.round(n * 10) / 10;
  process.stdout.write(`${JSON.stringify({
    issuances: count, perSecond: round(count / seconds), p50Ms: round(latencies[Math.floor(count / 2)] ?? 0), p99Ms: round(latencies[Math.floor(count * 0.99)] ?? 0),
    cpuMicros: { service: round(service), postgres: round(postgres), load: round((loadUsage.user + loadUsage.system) / count), floor: round(floor) },
    timesFloor: { service: round(service / floor), serviceAndPostgres: round((service + postgres) / floor) },
    readyMs: Math.round(readyMs), idleRssMb: round(idleRssMb), stored: rows[0],
  }, null, 2)}\n`);
  const sound = rows[0]?.certificates === answered && rows[0].audits === answered && rows[0].fsync === 'on' && rows[0].sync === 'on';
  if (!sound) throw new Error(`answers ${answered}, stored ${JSON.stringify(rows[0])}: not the same, or not durable`);
  agent.destroy();
}

await main();
