/** The commands of the pages for each reader, run as they stand: on a Signet that was set up as docs/platform-engineer.md says. */
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connect } from '../../src/db/client.ts';
import type { TestDatabase } from '../support/db.ts';
import { blocksOf, installSignet, runShell, shellOf, type Block } from '../support/documents.ts';
import { databaseUrl, runSql, temporaryFolder } from '../support/postgres.ts';
import { freePort, startSignet, type SignetProcess } from '../support/signet-process.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LONG = 240_000;
const PLATFORM = 'docs/platform-engineer.md';
const PASSWORD = 'of the documents test';
/** Roles belong to the whole server of the tests: the names of the page, made our own. */
const NAMED = `doc_${process.pid}`;

const superuser = process.env.SIGNET_TEST_OWNER_URL ?? '';
let database: TestDatabase;
let dataDir: string;
let folder: string;
let bin: string;
let signet: SignetProcess;
/** Environment that the checklist made: what the service and the commands on its machine read. */
let configured: Record<string, string>;

/** The platform page: what comes before a running Signet, and what after. */
const [beforeStart, afterStart] = (() => {
  const blocks = shellOf(PLATFORM);
  const first = blocks.findIndex(({ text }) => text.startsWith('signet ready'));
  return [blocks.slice(0, first), blocks.slice(first)];
})();

function done(blocks: readonly Block[], env: Record<string, string> = {}): string {
  const { status, stdout, stderr } = runShell(blocks, { cwd: folder, env: { PATH: `${bin}:${process.env.PATH}`, HOME: folder, SIGNET_DATA_DIR: dataDir, ...env } });
  expect(`${status}\n${stderr}${status === 0 ? '' : stdout}`).toMatch(/^0\n/);
  return stdout;
}

beforeAll(() => {
  folder = temporaryFolder('signet-docs-');
  dataDir = temporaryFolder('signet-docs-data-');
  bin = installSignet(folder);
});
afterAll(async () => {
  await signet?.stop();
  await Promise.all([database?.db.$disconnect(), database?.ownerDb.$disconnect()]);
  await runSql(superuser, `DROP DATABASE IF EXISTS ${NAMED} WITH (FORCE)`);
  for (const role of ['owner', 'service']) await runSql(superuser, `DROP ROLE IF EXISTS ${NAMED}_${role}`);
  for (const one of [folder, dataDir]) fs.rmSync(one, { recursive: true, force: true });
}, LONG);

/** What a person at this Signet has: addresses, the fingerprint, an admin token. */
function atHand(): Record<string, string> {
  const { urls, rootPem } = signet;
  return {
    API: urls.api, MTLS: urls.mtls, STATUS: urls.status, OPERATIONS: urls.operations,
    SIGNET_API_URL: urls.api, SIGNET_MTLS_URL: urls.mtls, SIGNET_PUBLIC_URL: urls.status, SIGNET_OPERATIONS_URL: urls.operations,
    SIGNET_TOKEN_FILE: path.join(dataDir, 'bootstrap-admin-token'), SIGNET_FINGERPRINT: createHash('sha256').update(new X509Certificate(rootPem).raw).digest('hex'),
  };
}

test('platform engineer: two roles, a key, a configuration without faults; then it starts on them and says nothing of a single role', async () => {
  const [sql, ...more] = blocksOf(PLATFORM).filter(({ info }) => info === 'sql');
  expect(more).toEqual([]);
  for (const statement of (sql?.text ?? '').split(';').map((text) => text.trim()).filter((text) => text !== '')) await runSql(superuser, statement.replaceAll('signet', NAMED));
  const urlOf = (role: string) => Object.assign(new URL(databaseUrl(superuser, NAMED)), { username: `${NAMED}_${role}`, password: PASSWORD }).href;
  for (const role of ['owner', 'service']) await runSql(superuser, `ALTER ROLE ${NAMED}_${role} PASSWORD '${PASSWORD}'`);
  const [ownerUrl, serviceUrl] = [urlOf('owner'), urlOf('service')];
  const said = done(beforeStart, { OWNER_URL: ownerUrl, SERVICE_URL: serviceUrl });
  expect(said).toContain('the configuration is valid');
  expect(said).toContain('0001_spine');
  expect(fs.statSync(path.join(folder, 'kek')).mode & 0o077).toBe(0);

  const pool = { maxConnections: 2, statementTimeoutMs: 20_000, applicationName: 'documents' };
  database = { name: NAMED, ownerUrl, serviceUrl, db: connect(serviceUrl, pool), product: connect(serviceUrl, pool), ownerDb: connect(ownerUrl, pool), drop: () => Promise.resolve() };
  configured = { DATABASE_URL: serviceUrl, SIGNET_OWNER_DATABASE_URL: ownerUrl, SIGNET_KEK_FILE: path.join(folder, 'kek') };
  signet = await startSignet({ database, dataDir, env: { SIGNET_KEK_FILE: path.join(folder, 'kek'), SIGNET_TRUST_DOMAIN: 'agents.example', SIGNET_JOIN_TOKEN_ISSUE_RATE: '0' } });
  const { warnings } = (await (await fetch(`${signet.urls.operations}/readyz`)).json()) as { warnings: string[] };
  expect(warnings.filter((warning) => !/names? this machine only/.test(warning))).toEqual([]);
}, LONG);

test('README: the five-minute tour', () => {
  const said = done(shellOf('README.md', 'tour'), { ...atHand(), CHECKOUT: ROOT });
  expect(said).toContain('refused, as it should be');
  expect(said).toMatch(/certificate\.revoked +success/);
  expect(said).toMatch(/request\.denied +failure/);
}, LONG);

test('agent developer: every command', async () => {
  const said = done(shellOf('docs/agent-developer.md'), { ...atHand(), PORT: String(await freePort()) });
  expect(said).toContain('certificate.pem: OK');
  expect(said).toContain('without a certificate: refused');
  expect(said).toContain('exit code 1');
  for (const key of ['reader/key.pem', 'plain.key', 'reader.token']) expect([key, fs.existsSync(path.join(folder, key)) ? fs.statSync(path.join(folder, key)).mode & 0o077 : 0]).toEqual([key, 0]);
}, LONG);

test('auditor: every command, and the export by pages is the whole log', async () => {
  const [someone] = await database.db.certificate.findMany({ where: { generation: 1 }, take: 1 });
  const said = done(shellOf('docs/auditor.md'), { ...atHand(), AGENT: someone?.agentId ?? '', SERIAL: Buffer.from(someone?.serial ?? []).toString('hex') });
  expect(said).toContain('auditor');
  const exported = fs.readFileSync(path.join(folder, 'audit.jsonl'), 'utf8').trim().split('\n').flatMap((line) => (JSON.parse(line) as { items: { n: string }[] }).items.map(({ n }) => Number(n)));
  expect(exported.length).toBeGreaterThan(20);
  expect(exported).toEqual(exported.map((_, index) => index + 1));
}, LONG);

test('platform engineer, day two: every command', () => {
  const said = done(afterStart, { ...atHand(), ...configured });
  expect(said).toMatch(/issuing +active/);
  expect(said).toContain('nothing is to be applied');
}, LONG);

test('docs/retention.md: the purge', () => {
  expect(done(shellOf('docs/retention.md'), configured)).toContain('audit events');
}, LONG);
