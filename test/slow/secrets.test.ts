/**
 * A day's traffic with real secrets in right and wrong places, at log level trace with every request logged, on a PostgreSQL that logs every statement with its
 * parameters. Afterwards no secret stands anywhere it can be read: standard output and error, metrics, any row of any table, PostgreSQL's own log.
 */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { OPERATIONS } from '../../src/api/operations.ts';
import { runLocal } from '../../src/admin/run-local.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createLogger } from '../../src/core/log.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { startEmbedded, type EmbeddedDatabase } from '../../src/db/embedded.ts';
import { connect } from '../../src/db/client.ts';
import { ensureServiceRole, scramVerifier } from '../../src/db/roles.ts';
import { ROUTES } from '../../src/http/routes.ts';
import { openKek } from '../../src/keystore/software/kek.ts';
import { unseal } from '../../src/keystore/software/seal.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { identityOf, ok } from '../support/fault/fleet.ts';
import { createClient, jsonOf, type Client } from '../support/https-client.ts';
import { binariesFolder, runSql, temporaryFolder } from '../support/postgres.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

/** A refusal for coming too often would look at nothing. */
const UNLIMITED = Object.fromEntries(
  ['CREDENTIAL_FAILURES', ...['SOURCE_READ', 'SOURCE_CHANGE', 'SOURCE_ISSUE', 'SOURCE_STATUS', 'SOURCE_HEALTH', 'SOURCE_CONNECTION', 'CALLER_READ', 'CALLER_CHANGE', 'CALLER_STATUS'].map((name) => `${name}_RATE`)].map((key) => [`SIGNET_${key}`, '0']),
);
const LONG = 240_000;
const folder = temporaryFolder('signet-secrets-');
const postgresLog: string[] = [];
/** Name of each secret, and the text that must not be found. */
const secrets = new Map<string, string>();
/** Keeps what was read of a secret-bearing answer, whole: a token's public id is cut off. */
const keep = (name: string, secret: string): string => {
  secrets.set(name, secret.replace(/^sg[a-z]_[0-9A-Z]{26}_/, ''));
  return secret;
};
const password = (name: string) => keep(name, `${name}-${randomBytes(12).toString('hex')}`);

let server: EmbeddedDatabase;
let signet: SignetProcess;
let clients: Record<'api' | 'mtls' | 'status' | 'operations', Client>;
const passphrase = password('passphrase');
const servicePassword = password('service-password');
const ownerPassword = password('owner-password');
let urls: { service: string; owner: string };

beforeAll(async () => {
  const say = { warn: (record: { postgres: string }) => void postgresLog.push(record.postgres) };
  server = await startEmbedded({ dataDir: folder, fast: true, binariesDir: binariesFolder(), log: say as never });
  // As verifiers: what an operator types is not this test's matter.
  await runSql(server.ownerUrl, `CREATE ROLE day_owner LOGIN CREATEROLE PASSWORD '${scramVerifier(ownerPassword)}'`);
  await runSql(server.ownerUrl, `CREATE ROLE day_service LOGIN PASSWORD '${scramVerifier(servicePassword)}'`);
  await runSql(server.ownerUrl, 'CREATE DATABASE day OWNER day_owner');
  for (const setting of ["log_min_messages = 'debug1'", "log_min_error_statement = 'debug1'", "log_statement = 'all'", 'log_min_duration_statement = 0', 'log_parameter_max_length = -1', 'log_parameter_max_length_on_error = -1']) {
    await runSql(server.ownerUrl, `ALTER DATABASE day SET ${setting}`);
  }
  const url = (role: string, secret: string) => `postgresql://${role}:${secret}@127.0.0.1:${server.port}/day`;
  urls = { service: url('day_service', servicePassword), owner: url('day_owner', ownerPassword) };
  fs.writeFileSync(path.join(folder, 'passphrase'), passphrase, { mode: 0o600 });
  signet = await startSignet({
    env: {
      DATABASE_URL: urls.service, SIGNET_OWNER_DATABASE_URL: urls.owner, SIGNET_KEK_PASSPHRASE_FILE: path.join(folder, 'passphrase'),
      SIGNET_LOG_LEVEL: 'trace', SIGNET_ACCESS_LOG: 'all', ...UNLIMITED,
    },
  });
  keep('bootstrap token', signet.adminToken);
  const ca = signet.rootPem;
  clients = {
    api: createClient({ url: signet.urls.api, ca, connections: 4 }),
    mtls: createClient({ url: signet.urls.mtls, ca, connections: 4 }),
    status: createClient({ url: signet.urls.status, connections: 4 }),
    operations: createClient({ url: signet.urls.operations, connections: 4 }),
  };
}, LONG);
afterAll(async () => {
  for (const client of Object.values(clients)) client.close();
  await signet.stop();
  await server.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}, LONG);

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const admin = (method: string, at: string, json?: object, headers: Record<string, string> = {}) =>
  clients.api.send(method, at, { ...(json && { json }), headers: { ...bearer(signet.adminToken), ...headers } });

/** The right way through every operation that makes, takes or answers a secret. */
async function honestDay(): Promise<{ agentId: string; joinToken: string; privateKey: string }> {
  const agent = jsonOf<{ id: string }>(ok(await admin('POST', '/v1/agents', { name: 'day', purpose: 'works', ownerEmail: 'owner@example.org' })));
  const sealed = { 'idempotency-key': 'the same answer again' .replaceAll(' ', '-') };
  const made = jsonOf<{ token: string }>(ok(await admin('POST', '/v1/admin-tokens', { name: 'operator', role: 'operator' }, sealed)));
  keep('admin token', made.token);
  // The sealed answer, had again.
  expect(jsonOf<{ token: string }>(ok(await admin('POST', '/v1/admin-tokens', { name: 'operator', role: 'operator' }, sealed))).token).toBe(made.token);
  const join = async () => jsonOf<{ token: string }>(ok(await admin('POST', `/v1/agents/${agent.id}/join-tokens`, {}, { 'idempotency-key': randomBytes(8).toString('hex') }))).token;
  const [spent, unspent, inBody] = [keep('spent join token', await join()), keep('unspent join token', await join()), keep('join token in a body', await join())];
  const pair = makeKeyAndCsr();
  keep('private key of an agent', pairSecret(pair.key));
  const identity = identityOf(await clients.api.send('POST', '/v1/certificates', { json: { csr: pair.csr }, headers: bearer(spent) }), pair);
  const other = makeKeyAndCsr();
  ok(await clients.api.send('POST', '/v1/certificates', { json: { csr: other.csr, joinToken: inBody } }));
  // Again with a spent token, and with another key.
  await clients.api.send('POST', '/v1/certificates', { json: { csr: makeKeyAndCsr().csr }, headers: bearer(spent) });
  const mtls = createClient({ url: signet.urls.mtls, ca: signet.rootPem, identity });
  const fresh = makeKeyAndCsr();
  ok(await mtls.send('POST', '/v1/certificates/renew', { json: { csr: fresh.csr } }));
  mtls.close();
  return { agentId: agent.id, joinToken: unspent, privateKey: identity.key };
}

/** The private part of a PEM, as one line of base64: its middle, which no public key shares. */
const pairSecret = (pem: string): string => pem.replaceAll(/-----[^-]+-----|\s/g, '').slice(40, 80);

/** Every operation on every door it has, with every secret in every place it does not belong. */
async function confusedDay(misplaced: readonly string[], { agentId }: { agentId: string }): Promise<number> {
  let sent = 0;
  const send = async (client: Client, method: string, at: string, request: Parameters<Client['send']>[2]) => {
    // A request that breaks off is an answer, too.
    await client.send(method, at, request).catch(() => undefined);
    sent++;
  };
  for (const operation of Object.values(OPERATIONS)) {
    const method = operation.method.toUpperCase();
    const takesBody = operation.consumes.length > 0;
    for (const door of ROUTES.find((route) => route.operation === operation)?.on ?? []) {
      for (const secret of misplaced) {
        const plain = operation.path.replace('{id}', agentId).replaceAll(/\{\w+\}/g, '01M7YKTGW9RER95PCHKHPXW12C');
        const quoted = encodeURIComponent(secret);
        const client = clients[door];
        await send(client, method, operation.path.replaceAll(/\{\w+\}/g, quoted), { headers: bearer(signet.adminToken) });
        await send(client, method, `${plain}?token=${quoted}&cursor=${quoted}&${quoted}=1`, { headers: bearer(signet.adminToken) });
        await send(client, method, `${plain}/${quoted}`, { headers: bearer(secret.replaceAll(/[\r\n]/g, '')) });
        const header = secret.replaceAll(/[\r\n]/g, ' ');
        await send(client, method, plain, { headers: { 'x-request-id': header, 'user-agent': header, cookie: `session=${header}`, 'if-match': header, 'idempotency-key': header.replaceAll(' ', ''), traceparent: header, referer: header, 'x-api-key': header, accept: header, authorization: `Basic ${Buffer.from(header).toString('base64')}` } });
        if (!takesBody) continue;
        const withToken = bearer(signet.adminToken);
        await send(client, method, plain, { json: { token: secret, password: secret, [secret.slice(0, 64)]: secret, csr: secret, joinToken: secret, reason: `because ${secret}`, name: secret, email: secret, serials: [secret] }, headers: withToken });
        await send(client, method, plain, { json: { purpose: `is ${secret}`, name: 'x', ownerEmail: 'o@example.org', labels: { key: secret } }, headers: withToken });
        await send(client, method, plain, { json: { csr: secret }, headers: { 'idempotency-key': header.replaceAll(' ', '') } });
        await send(client, method, plain, { bytes: Buffer.from(`{"token": "${secret}", oops`), headers: { ...withToken, 'content-type': 'application/json' } });
        await send(client, method, plain, { bytes: Buffer.from(secret), headers: { ...withToken, 'content-type': `text/${quoted.slice(0, 60)}` } });
        await send(client, method, plain, { bytes: Buffer.from(secret), headers: { 'content-type': operation.consumes.at(-1) ?? '' } });
      }
    }
  }
  return sent;
}

/** How a secret may look where it was written: as it is, in a URL, in hexadecimal, in base64 at any offset of a longer text. */
function formsOf(secret: string): string[] {
  const octets = Buffer.from(secret);
  const base64 = [0, 1, 2].flatMap((offset) =>
    (['base64', 'base64url'] as const).map((encoding) => Buffer.concat([Buffer.alloc(offset), octets]).toString(encoding).replace(/=+$/, '').slice(offset === 0 ? 0 : 4, -4)),
  );
  // A secret that is itself hexadecimal or base64 is also sought as the octets it stands for.
  const raw = /^[0-9a-f]{48,}$/.test(secret) ? Buffer.from(secret, 'hex') : /^[A-Za-z0-9+/]{40}$/.test(secret) ? Buffer.from(secret, 'base64') : octets;
  return [...new Set([secret, raw.toString('hex'), raw.toString('base64').slice(0, -4), encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), octets.toString('hex'), octets.toString('hex').toUpperCase(), ...base64])];
}

/** Names of the secrets that stand in a text, and a piece of the text around. */
function foundIn(text: string): string[] {
  return [...secrets].flatMap(([name, secret]) =>
    formsOf(secret).flatMap((form) => {
      const at = text.indexOf(form);
      return at < 0 ? [] : [`${name}: …${text.slice(Math.max(0, at - 120), at)}‹here›${text.slice(at + form.length, at + form.length + 60)}…`];
    }),
  );
}

/** Every row of every table as text; octets in hexadecimal. */
async function everyRow(): Promise<Map<string, string>> {
  const client = new pg.Client({ connectionString: server.ownerUrl.replace(/\/[^/]*$/, '/day') });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>("SELECT c.relname::text AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition");
    const texts = new Map<string, string>();
    for (const { name } of tables) {
      const { rows } = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${client.escapeIdentifier(name)} t`);
      texts.set(name, rows.map(({ row }) => row).join('\n'));
    }
    return texts;
  } finally {
    await client.end();
  }
}

test('no secret of a day is found in any place that people or programs read', async () => {
  const day = await honestDay();
  // Secrets that were never ours, and look like nothing we know: shapes alone must not be what saves us.
  const strange = keep('a stranger’s secret', randomBytes(24).toString('hex'));
  const wrongToken = keep('a wrong token', `sga_01M7YKTGW9RER95PCHKHPXW12C_${randomBytes(32).toString('base64url')}`);
  const url = keep('the password of a URL', `pw${randomBytes(16).toString('hex')}`);
  const misplaced = [signet.adminToken, day.joinToken, wrongToken, strange, `postgresql://signet:${url}@db.example/signet`, day.privateKey, passphrase];
  // Free text is people's own: tokens and keys of ours are refused there, but nobody can tell a stranger's word from any other.
  const sent = await confusedDay(misplaced.filter((secret) => ![strange, passphrase].includes(secret) && !secret.startsWith('postgresql:')), day);
  expect(sent).toBeGreaterThan(1_000);
  for (const secret of [strange, passphrase, `postgresql://signet:${url}@db.example/signet`]) await strangersDay(secret);

  // A job that fails with a URL in its error, as its row and GET /v1/jobs show it; retention and counting have run by themselves.
  const privateKeys = await keysOfTheAuthority();
  for (const [name, secret] of privateKeys) secrets.set(name, secret);

  const metrics = (await clients.operations.send('GET', '/metrics')).body.toString();
  const rows = await everyRow();
  expect(rows.get('audit_events')?.split('\n').length).toBeGreaterThan(10);
  expect(rows.get('idempotency_records')).toContain('createAdminToken');
  expect(signet.stdout()).toContain('"msg":"request"');
  expect(signet.stdout()).toContain('request refused');
  expect(postgresLog.join('')).toMatch(/execute .*INSERT INTO/);
  expect(postgresLog.join('').length).toBeGreaterThan(100_000);

  expect(foundIn(signet.stdout())).toEqual([]);
  expect(foundIn(signet.stderr())).toEqual([]);
  expect(foundIn(metrics)).toEqual([]);
  for (const [table, text] of rows) expect([table, foundIn(text)]).toEqual([table, []]);
  expect(foundIn(postgresLog.join(''))).toEqual([]);
}, LONG);

/** What looks like nothing we know, everywhere but in free text. */
async function strangersDay(secret: string): Promise<void> {
  const quoted = encodeURIComponent(secret);
  for (const operation of Object.values(OPERATIONS)) {
    for (const door of ROUTES.find((route) => route.operation === operation)?.on ?? []) {
      const method = operation.method.toUpperCase();
      const at = operation.path.replaceAll(/\{\w+\}/g, quoted);
      const requests: Parameters<Client['send']>[2][] = [
        { headers: bearer(signet.adminToken) },
        { headers: { ...bearer(secret), 'x-request-id': secret, 'user-agent': secret, 'idempotency-key': secret, 'if-match': secret } },
        ...(operation.consumes.length === 0 ? [] : [
          { json: { [secret.slice(0, 64)]: 1, token: secret, csr: secret, joinToken: secret }, headers: { ...bearer(signet.adminToken), 'idempotency-key': secret } },
          { bytes: Buffer.from(`{"x": ${secret}`), headers: { ...bearer(signet.adminToken), 'content-type': 'application/json' } },
        ]),
      ];
      for (const request of requests) await clients[door].send(method, `${at}?${quoted}=${quoted}`, request).catch(() => undefined);
      await clients[door].send(method, operation.path.replaceAll(/\{\w+\}/g, '01M7YKTGW9RER95PCHKHPXW12C'), { headers: { ...bearer(secret), 'idempotency-key': secret } }).catch(() => undefined);
    }
  }
  // A creation that succeeds under it.
  ok(await admin('POST', '/v1/agents', { name: `a${randomBytes(4).toString('hex')}`, purpose: 'works', ownerEmail: 'owner@example.org' }, { 'idempotency-key': secret }));
}

/** The private keys that rest sealed in the database, as anybody would write them down. */
async function keysOfTheAuthority(): Promise<Map<string, string>> {
  const db = connect(urls.owner, { maxConnections: 1, statementTimeoutMs: 10_000, applicationName: 'secrets-test' });
  try {
    const { key } = await openKek({ db, random: createSystemRandom(), clock: systemClock, log: createLogger('silent') }, { kind: 'passphrase', passphrase, path: 'test' });
    const found = new Map([['key-encryption key', key.toString('hex')]]);
    for (const { id, purpose, algorithm, spki, sealedPkcs8 } of await db.keystoreKey.findMany()) {
      const pkcs8 = unseal(key, ['private-key', id, purpose, algorithm, Buffer.from(spki).toString('base64')], sealedPkcs8 ?? Buffer.alloc(0));
      if (pkcs8) found.set(`${purpose} key ${id}`, pairSecret(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' }) as string));
    }
    expect(found.size).toBeGreaterThan(4);
    return found;
  } finally {
    await db.$disconnect();
  }
}

test('commands and failed starts tell no password either', async () => {
  const wrong = keep('a wrong password', `wrong-${randomBytes(12).toString('hex')}`);
  const databaseUrl = urls.service.replace(servicePassword, wrong);
  const failing = await startSignet({ ready: false, env: { DATABASE_URL: databaseUrl, SIGNET_OWNER_DATABASE_URL: undefined, SIGNET_KEK_PASSPHRASE_FILE: path.join(folder, 'passphrase'), SIGNET_LOG_LEVEL: 'trace' } });
  expect((await failing.exited).code).toBe(69);
  const said: string[] = [failing.stdout(), failing.stderr()];
  await failing.stop();
  const out = { write: (text: string) => void said.push(text) };
  const env = { DATABASE_URL: databaseUrl, SIGNET_OWNER_DATABASE_URL: databaseUrl, SIGNET_KEK_PASSPHRASE_FILE: path.join(folder, 'passphrase'), SIGNET_DATA_DIR: folder };
  expect(await runLocal(['config', 'check'], { out, err: out, env })).toBe(0);
  expect(await runLocal(['audit', 'purge', '--before', '2020-01-01', '--yes'], { out, err: out, env })).toBe(69);
  expect(said.join('')).toContain('password authentication failed');
  // A service role that we make ourselves: its password goes to the server as a verifier.
  const mine = password('made role');
  await ensureServiceRole(server.ownerUrl.replace(/\/[^/]*$/, '/day'), { name: 'day_made', password: mine });
  const client = new pg.Client({ connectionString: `postgresql://day_made:${mine}@127.0.0.1:${server.port}/day` });
  await client.connect();
  await client.end();
  const help = execFileSync(process.execPath, [path.resolve('dist/signet.js'), 'help'], { encoding: 'utf8' });
  expect(foundIn(said.join('\n') + help)).toEqual([]);
  expect(foundIn(postgresLog.join(''))).toEqual([]);
}, LONG);
