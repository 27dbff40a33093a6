/** The database of an older Signet, made by that program (scripts/make-upgrade-fixture.ts), under the current one: everything is found, and goes on. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { migrate } from '../../src/db/migrate.ts';
import { parseCrl } from '../../src/x509/crl.ts';
import { emptyDatabase, type TestDatabase } from '../support/db.ts';
import { createClient, jsonOf } from '../support/https-client.ts';
import { localJson, runLocal, type LocalSite } from '../support/local-cli.ts';
import { runSql, temporaryFolder } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';

const LONG = 120_000;
const FIXTURES = path.resolve(import.meta.dirname, '../fixtures/upgrade');
/** The fixture grows old: nothing of it may be cleared because of that. */
const KEEP = {
  SIGNET_CERTIFICATE_RETENTION_DAYS: '3650', SIGNET_JOIN_TOKEN_RETENTION_DAYS: '3650', SIGNET_KEY_RETENTION_DAYS: '36500', SIGNET_FINDING_RETENTION_DAYS: '3650',
  SIGNET_JOB_RUN_RETENTION_DAYS: '3650', SIGNET_FEED_RETENTION_DAYS: '3650',
};

interface Known {
  adminToken: string;
  auditorToken: string;
  revokedToken: string;
  agentId: string;
  revokedSerial: string;
}

/** What may change in a row of a table when the service goes on. */
const LIVING: Record<string, string[]> = {
  cluster: ['database_identity'],
  counters: ['value'],
  authority_certificates: ['state', 'activated_at', 'retiring_at', 'retired_at'],
  keystore_keys: ['sealed_pkcs8'],
  crls: ['number', 'this_update', 'next_update', 'entries', 'feed_n', 'der'],
  admin_tokens: ['last_used_at'],
  idempotency_records: ['*'],
  _prisma_migrations: ['*'],
};

describe.each(fs.readdirSync(FIXTURES).filter((file) => file.endsWith('.sql')).map((file) => file.replace('.sql', '')))('from the schema %s', (schema) => {
  const known = JSON.parse(fs.readFileSync(path.join(FIXTURES, `${schema}.json`), 'utf8')) as Known;
  let database: TestDatabase;
  let dataDir: string;
  let service: Service;
  let owner: pg.Client;
  let site: LocalSite;
  const rows = async <R extends pg.QueryResultRow>(sql: string): Promise<R[]> => (await owner.query<R>(sql)).rows;

  beforeAll(async () => {
    database = await emptyDatabase();
    const loader = new pg.Client({ connectionString: database.ownerUrl });
    await loader.connect();
    await loader.query(fs.readFileSync(path.join(FIXTURES, `${schema}.sql`), 'utf8'));
    await loader.end();
    owner = new pg.Client({ connectionString: database.ownerUrl });
    // The database is dropped at the end, whoever is still connected.
    owner.on('error', () => undefined);
    await owner.connect();
    await owner.query('CREATE SCHEMA old');
    for (const { name } of await rows<{ name: string }>("SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition")) {
      await owner.query(`CREATE TABLE old.${name} AS SELECT * FROM public.${name}`);
    }
    dataDir = temporaryFolder('signet-upgrade-');
    fs.writeFileSync(path.join(dataDir, 'bootstrap-admin-token'), `${known.adminToken}\n`, { mode: 0o600 });
    site = { dataDir, database };
  }, LONG);
  afterAll(async () => {
    await service?.close();
    await owner.end();
    await database.drop();
    fs.rmSync(dataDir, { recursive: true, force: true });
  }, LONG);

  test('migrate --check says what is to come and changes nothing; then the service starts, and nothing is to come', async () => {
    const { code, out } = await runLocal(site, ['migrate', '--check', '--json']);
    expect(code).toBe(1);
    const { pending } = JSON.parse(out) as { pending: string[] };
    expect(pending).toContain('0004_worlds');
    expect((await rows('SELECT migration_name FROM _prisma_migrations ORDER BY 1')).at(-1)).toEqual({ migration_name: schema });
    service = await startService({ database, dataDir, env: KEEP });
    expect(await localJson(site, ['migrate', '--check'])).toEqual({ pending: [] });
  }, LONG);

  test('every row of every table is there as it was, audit events to the octet', async () => {
    for (const { name } of await rows<{ name: string }>("SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'old'::regnamespace ORDER BY 1")) {
      const living = LIVING[name] ?? [];
      if (living.includes('*')) continue;
      const columns = await rows<{ name: string }>(`SELECT attname::text AS name FROM pg_attribute WHERE attrelid = 'old.${name}'::regclass AND attnum > 0`);
      const compared = columns.map((column) => column.name).filter((column) => !living.includes(column)).join(', ');
      const [lost] = await rows<{ count: string }>(`SELECT count(*) FROM (SELECT ${compared} FROM old.${name} EXCEPT SELECT ${compared} FROM public.${name}) gone`);
      expect([name, lost?.count]).toEqual([name, '0']);
    }
    // And the fixture has something in each that a service fills.
    const filled = ['agents', 'owners', 'instances', 'certificates', 'public_keys', 'join_tokens', 'findings', 'feed_events', 'crls', 'audit_events', 'audit_personal', 'admin_tokens', 'job_runs', 'authority_certificates'];
    for (const name of filled) expect([name, Number((await rows<{ count: string }>(`SELECT count(*) FROM old.${name}`))[0]?.count) > 0]).toEqual([name, true]);
    expect(await rows('SELECT DISTINCT state FROM old.agents ORDER BY 1')).toEqual(['active', 'proposed', 'retired', 'suspended'].map((state) => ({ state })));
    expect(await rows('SELECT DISTINCT state FROM old.instances ORDER BY 1')).toEqual(['active', 'quarantined', 'revoked'].map((state) => ({ state })));
  }, LONG);

  test('the API finds it: agents, instances, certificates with their status, tokens, findings, audit', async () => {
    const get = async <T>(where: string): Promise<T> => jsonOf<T>(await service.admin.send('GET', where));
    for (const { id, state } of await rows<{ id: string; state: string }>('SELECT id, state FROM old.agents')) expect(await get(`/v1/agents/${id}`)).toMatchObject({ id, state });
    for (const { id, state } of await rows<{ id: string; state: string }>('SELECT id, state FROM old.instances')) expect(await get(`/v1/instances/${id}`)).toMatchObject({ id, state });
    const certificates = await rows<{ serial: string; revoked: boolean }>("SELECT encode(serial, 'hex') AS serial, revoked_at IS NOT NULL AS revoked FROM old.certificates");
    for (const { serial, revoked } of certificates) {
      expect(await get(`/v1/certificates/${serial}`)).toMatchObject({ serial });
      const { status } = await get<{ status: string }>(`/v1/status/${serial}`);
      expect([serial, status === 'revoked']).toEqual([serial, revoked]);
    }
    const all = async (where: string): Promise<string[]> => {
      const ids: string[] = [];
      for (let cursor = ''; ; ) {
        const page = await get<{ items: { id?: string; n?: string | number }[]; nextCursor?: string }>(`${where}?limit=200${cursor}`);
        ids.push(...page.items.map(({ id }) => String(id)));
        if (page.nextCursor === undefined || page.nextCursor === null || page.items.length === 0) return ids;
        cursor = `&cursor=${encodeURIComponent(page.nextCursor)}`;
      }
    };
    const expected = async (table: string) => (await rows<{ id: string }>(`SELECT id FROM old.${table}`)).map(({ id }) => id);
    expect(await all('/v1/admin-tokens')).toEqual(expect.arrayContaining(await expected('admin_tokens')));
    expect(await all('/v1/audit')).toEqual(expect.arrayContaining(await expected('audit_events')));
    expect(await all(`/v1/agents/${known.agentId}/join-tokens`)).toEqual(expect.arrayContaining((await rows<{ id: string }>(`SELECT id FROM old.join_tokens WHERE agent_id = '${known.agentId}'`)).map(({ id }) => id)));
    expect(await all('/v1/findings')).toEqual(expect.arrayContaining(await expected('findings')));
  }, LONG);

  test('tokens are what they were; an old agent is issued a certificate', async () => {
    const as = (token: string) => createClient({ url: service.signet.urls.api, ca: service.signet.rootPem, token });
    expect((await as(known.adminToken).send('GET', '/v1/agents')).status).toBe(200);
    expect((await as(known.auditorToken).send('GET', '/v1/audit')).status).toBe(200);
    expect((await as(known.auditorToken).send('POST', '/v1/agents', { json: { name: 'by-auditor', purpose: 'x' } })).status).toBe(403);
    expect((await as(known.revokedToken).send('GET', '/v1/agents')).status).toBe(401);
    const fresh = await service.enrolled(known.agentId);
    const now = await service.mtls(fresh).send('GET', `/v1/status/${fresh.serial}`);
    expect(jsonOf(now)).toMatchObject({ status: 'good', agentId: known.agentId });
  }, LONG);

  test('lists go on upwards, revoked stays revoked, and openssl verifies both', async () => {
    const [list] = await rows<{ id: string; number: string }>("SELECT a.id, l.number FROM old.crls l JOIN old.authority_certificates a ON a.id = l.issuer_id WHERE a.kind = 'issuing' AND a.state = 'active' AND l.shard = -1");
    const fresh = await service.enrolled(known.agentId);
    await service.order(`/v1/certificates/${fresh.serial}/revoke`, { reason: 'superseded' });
    for (;;) {
      const published = parseCrl((await service.status.send('GET', `/crl/${list?.id}/complete.crl`)).body);
      expect(published.crlNumber).toBeGreaterThanOrEqual(BigInt(list?.number ?? 0));
      if ([...published.entries()].some(({ serial }) => serial.toString('hex').padStart(40, '0') === fresh.serial)) {
        expect(published.crlNumber).toBeGreaterThan(BigInt(list?.number ?? 0));
        fs.writeFileSync(path.join(dataDir, 'list.crl'), published.der);
        break;
      }
    }
    fs.writeFileSync(path.join(dataDir, 'root.pem'), service.signet.rootPem);
    fs.writeFileSync(path.join(dataDir, 'issuer.cer'), (await service.status.send('GET', `/issuers/${list?.id}.cer`)).body);
    const openssl = (...args: string[]) => {
      const { stdout, stderr } = spawnSync('openssl', args, { cwd: dataDir, encoding: 'utf8' });
      return stdout + stderr;
    };
    openssl('x509', '-inform', 'DER', '-in', 'issuer.cer', '-out', 'issuer.pem');
    expect(openssl('crl', '-inform', 'DER', '-in', 'list.crl', '-noout', '-CAfile', 'issuer.pem')).toContain('verify OK');
    const said = openssl('ocsp', '-issuer', 'issuer.pem', '-serial', `0x${known.revokedSerial}`, '-url', `${service.signet.urls.status}/ocsp`, '-CAfile', 'root.pem', '-verify_other', 'issuer.pem');
    expect(said).toContain('Response verify OK');
    expect(said).toMatch(/: revoked[^]*Reason: superseded/);
  }, LONG);
});

test('a reader of the log keeps a migration waiting for ten seconds, no longer: nothing of it is done, and the next run does it', async () => {
  const database = await emptyDatabase();
  const site: LocalSite = { dataDir: temporaryFolder('signet-upgrade-reader-'), database };
  const reader = new pg.Client({ connectionString: database.ownerUrl });
  try {
    await runSql(database.ownerUrl, fs.readFileSync(path.join(FIXTURES, '0002_commit.sql'), 'utf8'));
    await migrate(database.ownerUrl, { only: fs.readdirSync('prisma/migrations').filter((name) => name < '0005') });
    await reader.connect();
    await reader.query('BEGIN');
    await reader.query('SELECT count(*) FROM audit_events');
    const refused = await runLocal(site, ['migrate']);
    expect(refused).toMatchObject({ code: 70, out: '' });
    expect(refused.err).toMatch(/the migration 0005_\w+ failed, and nothing of it was done: canceling statement due to lock timeout\. Somebody reads .* run it again/);
    // The reader was not disturbed, and nobody waits behind a migration that gave up.
    expect((await reader.query('SELECT count(*) FROM audit_events')).rowCount).toBe(1);
    expect(await database.ownerDb.$queryRaw`SELECT to_regclass('audit_leaf_hashes')::text AS made`).toEqual([{ made: null }]);
    await reader.query('COMMIT');
    expect(await runLocal(site, ['migrate'])).toMatchObject({ code: 0, err: '' });
    expect(await localJson(site, ['migrate', '--check'])).toMatchObject({ pending: [] });
  } finally {
    await reader.end();
    await database.drop();
    fs.rmSync(site.dataDir, { recursive: true });
  }
}, LONG);
