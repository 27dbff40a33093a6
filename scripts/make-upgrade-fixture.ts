/**
 * Makes test/fixtures/upgrade/<name>.sql: the database of an older Signet with a life in it, as plain SQL for any empty database, and <name>.json, what a test must
 * know besides. The older program itself makes it, over a PostgreSQL of the operating system's, whose pg_dump writes it down:
 *
 *   git worktree add /tmp/older <commit>          # the last commit with that schema; npm ci and npm run build in it
 *   node scripts/make-upgrade-fixture.ts /tmp/older 0002_commit
 *
 * The keys in it are sealed under the key-encryption key of the tests (test/support/signet-process.ts) and protect nothing.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installedPostgresql, startPostgresql } from '../test/support/debian-postgresql.ts';
import { makeKeyAndCsr } from '../test/support/fault/keys.ts';
import { createClient, jsonOf, type Client, type Reply } from '../test/support/https-client.ts';
import { temporaryFolder } from '../test/support/postgres.ts';
import { freePort } from './free-port.ts';

const [older, name] = process.argv.slice(2);
if (older === undefined || name === undefined) throw new Error('usage: node scripts/make-upgrade-fixture.ts <folder of the older program, built> <name>');
const binaries = installedPostgresql();
if (binaries === undefined) throw new Error('no PostgreSQL of the operating system’s: apt install postgresql');

const KEK = createHash('sha256').update('key-encryption key of tests').digest('base64');
const SHORT_LIFE_SECONDS = 5;

interface Held {
  chain: string;
  key: string;
  serial: string;
  agentId: string;
  instanceId: string;
}

function done(reply: Reply): Reply {
  if (reply.status < 200 || reply.status > 299) throw new Error(`answered ${reply.status}: ${reply.body.toString('utf8')}`);
  return reply;
}

const server = await startPostgresql(binaries);
const dataDir = temporaryFolder('signet-fixture-');
try {
  await server.sql(['CREATE ROLE fixture_owner LOGIN', 'CREATE ROLE fixture_service LOGIN', 'CREATE DATABASE fixture OWNER fixture_owner']);
  const [api, mtls, status, operations] = [await freePort(), await freePort(), await freePort(), await freePort()];
  fs.writeFileSync(path.join(dataDir, 'kek'), KEK, { mode: 0o600 });
  const signet = spawn(process.execPath, [path.join(older, 'dist/main.js')], {
    env: {
      PATH: process.env.PATH, HOME: dataDir, SIGNET_DATA_DIR: dataDir, SIGNET_KEK_FILE: path.join(dataDir, 'kek'), SIGNET_LOG_LEVEL: 'error',
      DATABASE_URL: server.url('fixture_service', 'fixture'), SIGNET_OWNER_DATABASE_URL: server.url('fixture_owner', 'fixture'),
      SIGNET_API_LISTEN: `127.0.0.1:${api}`, SIGNET_MTLS_LISTEN: `127.0.0.1:${mtls}`, SIGNET_STATUS_LISTEN: `127.0.0.1:${status}`, SIGNET_OPERATIONS_LISTEN: `127.0.0.1:${operations}`,
      SIGNET_API_URL: `https://127.0.0.1:${api}`, SIGNET_MTLS_URL: `https://127.0.0.1:${mtls}`,
      // The authority must outlive the tests that use it; a list needs few partitions.
      SIGNET_ROOT_VALIDITY_DAYS: '10950', SIGNET_ISSUER_VALIDITY_DAYS: '3650', SIGNET_PARTITION_DAYS_AHEAD: '2',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => signet.once('close', () => resolve()));
  const open = createClient({ url: `http://127.0.0.1:${status}` });
  signet.stdout.resume();
  while ((await createClient({ url: `http://127.0.0.1:${operations}` }).send('GET', '/readyz').catch(() => undefined))?.status !== 200) await sleep(100);
  const ca = done(await open.send('GET', '/trust-bundle.pem')).body.toString('utf8');
  const adminToken = fs.readFileSync(path.join(dataDir, 'bootstrap-admin-token'), 'utf8').trim();
  const known = await live(createClient({ url: `https://127.0.0.1:${api}`, ca, token: adminToken, connections: 2 }), ca, { api, mtls });
  signet.kill('SIGTERM');
  await ended;

  const dump = spawnSync(path.join(binaries, 'pg_dump'), ['--dbname', server.url('postgres', 'fixture'), '--inserts', '--rows-per-insert=100', '--no-owner', '--no-privileges', '--no-comments'], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (dump.status !== 0) throw new Error(dump.stderr);
  // Without what only psql understands, and without remarks.
  const sql = dump.stdout.split('\n').filter((line) => !/^(\\|--|$)/.test(line)).join('\n');
  const folder = path.resolve(import.meta.dirname, '../test/fixtures/upgrade');
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, `${name}.sql`), `${sql}\n`);
  fs.writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify({ adminToken, ...known }, null, 2)}\n`);
  process.stdout.write(`${folder}/${name}.sql: ${sql.length} characters\n`);
} finally {
  fs.rmSync(dataDir, { recursive: true, force: true });
  await server.stop();
}

/** A life with everything in it that a database can hold, and what a test cannot read from the database itself. */
async function live(admin: Client, ca: string, ports: { api: number; mtls: number }): Promise<Record<string, unknown>> {
  let sequence = 0;
  const order = async (where: string, json: object = {}) => jsonOf<Record<string, string>>(done(await admin.send('POST', where, { json })));
  const register = async (more: object = {}) => String((await order('/v1/agents', { name: `fixture-${++sequence}`, purpose: 'an upgrade', ownerEmail: 'owner@example.com', ...more }))['id']);
  const enroll = async (agentId: string, more: object = {}): Promise<Held> => {
    const { token = '' } = await order(`/v1/agents/${agentId}/join-tokens`);
    const pair = makeKeyAndCsr();
    return held(await createClient({ url: `https://127.0.0.1:${ports.api}`, ca, token }).send('POST', '/v1/certificates', { json: { csr: pair.csr, ...more } }), pair.key);
  };
  const renew = (from: Held, key: { key: string; csr: string }) => createClient({ url: `https://127.0.0.1:${ports.mtls}`, ca, identity: from }).send('POST', '/v1/certificates/renew', { json: { csr: key.csr } });
  const renewed = async (from: Held) => {
    const pair = makeKeyAndCsr();
    return held(await renew(from, pair), pair.key);
  };
  const held = (reply: Reply, key: string): Held => {
    const { certificate, chain, ...said } = jsonOf<Held & { certificate: string }>(done(reply));
    return { ...said, chain: certificate + chain, key };
  };

  // Agents in every state.
  const worker = await register({ labels: { team: 'payments', tier: '1' }, riskClass: 'high' });
  await order('/v1/agents', { name: 'fixture-proposed', purpose: 'an upgrade' });
  const [suspended, retired] = [await register(), await register({ deputyEmail: 'deputy@example.com' })];
  await register({ profile: 'service', dnsNames: ['reports.example.com'] });

  // Certificates in every state, of instances in every state.
  await enroll(worker, { ttlSeconds: SHORT_LIFE_SECONDS });
  await renewed(await renewed(await enroll(worker)));
  const [revoked, onHold] = [await enroll(worker), await enroll(worker)];
  await order(`/v1/certificates/${revoked.serial}/revoke`, { reason: 'keyCompromise' });
  await order(`/v1/certificates/${onHold.serial}/hold`);
  await enroll(suspended);
  await order(`/v1/agents/${suspended}/suspend`, { reason: 'for an upgrade' });
  await enroll(retired);
  await order(`/v1/agents/${retired}/retire`, { reason: 'cessationOfOperation' });
  await order(`/v1/instances/${(await enroll(worker)).instanceId}/revoke`);
  await order(`/v1/instances/${(await enroll(worker)).instanceId}/quarantine`);

  // A copied key: the superseded certificate is used after its successor was. And a lost answer: the successor was never used.
  const first = await enroll(worker);
  await renewed(await renewed(first));
  if ((await renew(first, makeKeyAndCsr())).status !== 403) throw new Error('a copied key was not refused');
  const lost = await enroll(worker);
  await renewed(lost);
  await renewed(lost);

  // Tokens, spent and unspent, usable and revoked; an idempotency record; another issuer.
  await order(`/v1/agents/${worker}/join-tokens`, { ttlSeconds: 600_000 });
  const auditor = await order('/v1/admin-tokens', { name: 'auditor', role: 'auditor' });
  const second = await order('/v1/admin-tokens', { name: 'second', role: 'admin' });
  await order(`/v1/admin-tokens/${second['id']}/revoke`);
  done(await admin.send('POST', '/v1/agents', { json: { name: 'fixture-once', purpose: 'an upgrade' }, headers: { 'idempotency-key': 'fixture-0001' } }));
  await order('/v1/authorities/rotate', { step: 'prepare' });
  while ((await admin.send('POST', '/v1/authorities/rotate', { json: { step: 'activate' } })).status !== 200) await sleep(500);
  await enroll(worker);
  const { serial: revokedSerial } = await enroll(worker);
  await order(`/v1/certificates/${revokedSerial}/revoke`, { reason: 'superseded' });
  await sleep(SHORT_LIFE_SECONDS * 1_000);
  return { agentId: worker, revokedSerial, auditorToken: auditor['token'], revokedToken: second['token'] };
}
