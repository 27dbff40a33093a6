/** Every command of docs/backup.md, run as it stands: with the embedded database, and with PostgreSQL's own tools on a given one. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from '../../src/db/client.ts';
import type { TestDatabase } from '../support/db.ts';
import { installedPostgresql, startPostgresql, type RunningPostgresql } from '../support/debian-postgresql.ts';
import { installSignet, pageText, runShell, shellOf } from '../support/documents.ts';
import { identityOf, ok } from '../support/fault/fleet.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { createClient, jsonOf } from '../support/https-client.ts';
import { localJson, runLocal, type LocalSite } from '../support/local-cli.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

const LONG = 120_000;
const document = pageText('docs/backup.md') + pageText('docs/upgrade.md');
const ran = new Set<string>();

let folder: string;
beforeAll(() => {
  folder = temporaryFolder('signet-docs-');
  installSignet(folder);
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Runs one block of the document. */
function block(name: string, env: Record<string, string>): { status: number | null; said: string } {
  ran.add(name);
  const page = ['docs/backup.md', 'docs/upgrade.md'].find((one) => pageText(one).includes(`<!-- test: ${name} -->`)) ?? '';
  const { status, stdout, stderr } = runShell(shellOf(page, `test: ${name}`), { cwd: folder, env: { PATH: `${folder}/bin:${process.env.PATH}`, HOME: folder, BACKUPS: folder, ...env } });
  return { status, said: stdout + stderr };
}
const done = (name: string, env: Record<string, string>): string => {
  const { status, said } = block(name, env);
  expect(`${name} ${status}\n${said}`).toMatch(new RegExp(`^${name} 0\\n`));
  return said;
};

describe('the embedded database', () => {
  let dataDir: string;
  let signet: SignetProcess;
  let env: Record<string, string>;
  beforeAll(async () => {
    dataDir = temporaryFolder('signet-docs-data-');
    env = { SIGNET_DATA_DIR: dataDir };
    signet = await startSignet({ dataDir });
  }, LONG);
  afterAll(async () => {
    await signet.stop();
    fs.rmSync(dataDir, { recursive: true, force: true });
  }, LONG);

  const agents = async (token: string) => (await createClient({ url: signet.urls.api, ca: signet.rootPem, token }).send('GET', '/v1/agents')).status;

  test('a life of it: schema, backup, token while it runs; loss, restore, recovery', async () => {
    expect(done('check', env)).toBe('nothing is to be applied\n');
    expect(done('migrate', env)).toBe('nothing was to be applied\n');
    const admin = createClient({ url: signet.urls.api, ca: signet.rootPem, token: signet.adminToken });
    const agent = jsonOf<{ id: string }>(ok(await admin.send('POST', '/v1/agents', { json: { name: 'documented', purpose: 'backup', ownerEmail: 'owner@example.com' } })));
    const pair = makeKeyAndCsr();
    const { token } = jsonOf<{ token: string }>(ok(await admin.send('POST', `/v1/agents/${agent.id}/join-tokens`, { json: {} })));
    const leaf = identityOf(await createClient({ url: signet.urls.api, ca: signet.rootPem, token }).send('POST', '/v1/certificates', { json: { csr: pair.csr } }), pair);
    expect(done('make', env)).toContain(`The key-encryption key is not in it: it is ${path.join(dataDir, 'kek')}`);

    ok(await admin.send('POST', `/v1/certificates/${leaf.serial}/revoke`, { json: { reason: 'keyCompromise' } }));
    const old = signet.adminToken;
    done('token', env);
    const fresh = fs.readFileSync(path.join(folder, 'new-admin-token'), 'utf8').trim();
    expect(fs.statSync(path.join(folder, 'new-admin-token')).mode & 0o777).toBe(0o600);
    for (const deadline = Date.now() + 10_000; (await agents(old)) !== 401 && Date.now() < deadline; );
    expect([await agents(old), await agents(fresh)]).toEqual([401, 200]);

    await signet.stop();
    expect(done('restore', env)).toMatch(/This is epoch 2 now[^]*revoked again +1, held again 0/);
    // The backup knows the old token, and not the new one.
    signet = await startSignet({ dataDir, ports: signet.ports });
    expect([await agents(old), await agents(fresh)]).toEqual([200, 401]);
    const status = await createClient({ url: signet.urls.api, ca: signet.rootPem, token: old }).send('GET', `/v1/status/${leaf.serial}`);
    expect(jsonOf(status)).toMatchObject({ status: 'revoked', reason: 'keyCompromise' });

    // The same backup on a new machine, with what was kept beside it.
    await signet.stop();
    const machine = temporaryFolder('signet-docs-new-');
    // As root the database runs as another user, who must get there.
    fs.chmodSync(machine, 0o711);
    const elsewhere = path.join(machine, 'data');
    expect(done('restore-new', { SAVED: dataDir, NEW_DATA_DIR: elsewhere })).toMatch(/This is epoch 2 now[^]*revoked again +1, held again 0/);
    signet = await startSignet({ dataDir: elsewhere, ports: signet.ports });
    const recovered = createClient({ url: signet.urls.api, ca: signet.rootPem, token: fs.readFileSync(path.join(elsewhere, 'admin-token'), 'utf8').trim() });
    expect(jsonOf(await recovered.send('GET', `/v1/status/${leaf.serial}`))).toMatchObject({ status: 'revoked', reason: 'keyCompromise' });
    await signet.stop();
    fs.rmSync(machine, { recursive: true });
    signet = await startSignet({ dataDir, ports: signet.ports });
  }, LONG);

  test('a data folder that holds no database, or one of another PostgreSQL, is refused and left as it is', async () => {
    const empty = path.join(folder, 'empty');
    fs.mkdirSync(empty);
    for (const args of [['migrate', '--check'], ['migrate'], ['backup', '--out', path.join(folder, 'none')], ['admin', 'recover', '--out', path.join(folder, 'none')]]) {
      expect(await runLocal({ dataDir: empty }, args)).toMatchObject({ code: 78, out: '', err: expect.stringContaining('there is no database') as unknown as string });
    }
    expect(fs.readdirSync(empty)).toEqual([]);

    await signet.stop();
    const version = path.join(dataDir, 'postgres/data/PG_VERSION');
    const before = fs.readFileSync(version, 'utf8');
    fs.writeFileSync(version, '15\n');
    const refusedStart = await startSignet({ dataDir, ports: signet.ports, ready: false });
    expect((await refusedStart.exited).code).toBe(78);
    expect(refusedStart.stderr()).toMatch(/was made by PostgreSQL 15, this Signet carries 18/);
    await refusedStart.stop();
    expect(await runLocal({ dataDir }, ['migrate'])).toMatchObject({ code: 78, err: expect.stringContaining('PostgreSQL 15') as unknown as string });
    fs.writeFileSync(version, before);
    signet = await startSignet({ dataDir, ports: signet.ports });
  }, LONG);
});

const binaries = installedPostgresql();
(binaries === undefined ? describe.skip : describe)('a given database and PostgreSQL’s own tools', () => {
  const [OWNER, SERVICE] = ['signet_owner', 'signet_app'];
  let server: RunningPostgresql;
  let dataDir: string;
  let service: Service;
  const made: TestDatabase[] = [];
  beforeAll(async () => {
    server = await startPostgresql(binaries ?? '');
    await server.sql([`CREATE ROLE ${OWNER} LOGIN`, `CREATE ROLE ${SERVICE} LOGIN`]);
    dataDir = temporaryFolder('signet-docs-given-');
  }, LONG);
  afterAll(async () => {
    await service?.signet.stop();
    for (const database of made) await Promise.all([database.db.$disconnect(), database.ownerDb.$disconnect()]);
    await server.stop();
    fs.rmSync(dataDir, { recursive: true, force: true });
  }, LONG);

  async function database(name: string): Promise<TestDatabase> {
    await server.sql([`CREATE DATABASE ${name} OWNER ${OWNER}`]);
    const [ownerUrl, serviceUrl] = [server.url(OWNER, name), server.url(SERVICE, name)];
    const [ownerDb, db] = [ownerUrl, serviceUrl].map((url) => connect(url, { maxConnections: 2, statementTimeoutMs: 20_000, applicationName: 'test' })) as [TestDatabase['db'], TestDatabase['db']];
    const one = { name, ownerUrl, serviceUrl, db, product: db, ownerDb, drop: () => Promise.resolve() };
    made.push(one);
    return one;
  }
  const site = (of: TestDatabase): LocalSite => ({ dataDir, database: of });
  const environment = (of: TestDatabase): Record<string, string> => ({
    SIGNET_DATA_DIR: dataDir, DATABASE_URL: of.serviceUrl, SIGNET_OWNER_DATABASE_URL: of.ownerUrl, SIGNET_KEK_FILE: path.join(dataDir, 'test-kek'), PATH: `${folder}/bin:${binaries}:${process.env.PATH}`,
  });
  async function refused(of: TestDatabase): Promise<string> {
    const signet = await startSignet({ database: of, dataDir, ports: service.signet.ports, ready: false });
    expect((await signet.exited).code).toBe(78);
    await signet.stop();
    return signet.stderr();
  }

  test('pg_dump and pg_restore: the copy knows itself for one, and the fetched list brings the revocation back', async () => {
    const first = await database('first');
    service = await startService({ database: first, dataDir });
    const leaf = await service.enrolled();
    done('make-pg', { ...environment(first), OWNER_URL: first.ownerUrl });
    await service.order(`/v1/certificates/${leaf.serial}/revoke`, { reason: 'keyCompromise' });
    const [issuer] = await first.ownerDb.authorityCertificate.findMany({ where: { kind: 'issuing' } });
    const env = { STATUS: service.signet.urls.status, ISSUER: issuer?.id ?? '' };
    for (;;) {
      done('lists', env);
      if (fs.readFileSync(path.join(folder, `${issuer?.id}.crl`)).includes(Buffer.from(leaf.serial, 'hex'))) break;
    }
    await service.signet.stop();

    const second = await database('second');
    const copied = { ...environment(second), ...env, EMPTY_OWNER_URL: second.ownerUrl };
    // As if only the machine of the database had been lost, and then everything.
    for (const lost of [undefined, 'world.json']) {
      if (lost !== undefined) fs.rmSync(path.join(dataDir, lost));
      if (lost === undefined) spawnSync(path.join(binaries ?? '', 'pg_restore'), ['--no-owner', '--exit-on-error', `--dbname=${(await database('third')).ownerUrl}`, path.join(folder, 'signet.pgdump')]);
      expect(await refused(made.at(-1) as TestDatabase)).toContain('its tables were copied here from another database or server');
    }
    expect(done('restore-pg', copied)).toMatch(/This is epoch 2 now[^]*revoked again +1/);
    service = await startService({ database: second, dataDir, ports: service.signet.ports });
    expect(jsonOf(await service.admin.send('GET', `/v1/status/${leaf.serial}`))).toMatchObject({ status: 'revoked', reason: 'keyCompromise' });
    await service.signet.stop();
  }, LONG);

  test('moved with nothing lost: one command takes it, and only when nothing shows a loss', async () => {
    const moved = await database('moved');
    const dump = spawnSync('bash', ['--norc', '-eu', '-o', 'pipefail', '-c', 'pg_dump --format=custom "$FROM" | pg_restore --no-owner --exit-on-error --dbname="$TO"'], {
      env: { ...environment(moved), FROM: made.find(({ name }) => name === 'second')?.ownerUrl ?? '', TO: moved.ownerUrl }, encoding: 'utf8',
    });
    expect([dump.status, dump.stderr]).toEqual([0, '']);
    expect(await refused(moved)).toContain('signet admin recover --moved');
    // The one before it is older than what this machine has seen.
    expect(await runLocal(site(made.find(({ name }) => name === 'third') as TestDatabase), ['admin', 'recover', '--moved'])).toMatchObject({ code: 1, err: expect.stringContaining('signet admin recover --restored') as unknown as string });
    expect(await localJson(site(moved), ['admin', 'recover', '--moved'])).toEqual({ moved: true });
    expect(await runLocal(site(moved), ['admin', 'recover', '--moved'])).toMatchObject({ code: 1 });
    service = await startService({ database: moved, dataDir, ports: service.signet.ports });
  }, LONG);

  test('set back under a running service: it marks the database and ends, and no other starts on it', async () => {
    const running = made.find(({ name }) => name === 'moved') as TestDatabase;
    await running.ownerDb.$executeRaw`DELETE FROM feed_events`;
    await running.ownerDb.$executeRaw`UPDATE counters SET value = 0 WHERE name = 'feed'`;
    expect((await service.signet.exited).code).toBe(70);
    expect(service.signet.stdout()).toContain('the feed went back from');
    // Not what this machine saw, but what the running one wrote into the database is asked here.
    fs.rmSync(path.join(dataDir, 'world.json'));
    const said = await refused(running);
    expect(said).toContain('a running replica saw it go back');
    expect(said).toContain('signet admin recover --restored');
  }, LONG);

  test('a database that a newer Signet has used is refused by start and by every command', async () => {
    const newer = made.find(({ name }) => name === 'second') as TestDatabase;
    await newer.ownerDb.$executeRaw`INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('x', 'y', '9999_future', now())`;
    const before = await newer.ownerDb.$queryRaw`SELECT name, value::text FROM counters ORDER BY name`;
    expect(await refused(newer)).toContain('9999_future, which this Signet does not know');
    for (const args of [['migrate'], ['migrate', '--check'], ['admin', 'recover', '--out', path.join(folder, 'no-token')]]) {
      expect(await runLocal(site(newer), args)).toMatchObject({ code: 78, err: expect.stringContaining('9999_future') as unknown as string });
    }
    expect(await newer.ownerDb.$queryRaw`SELECT name, value::text FROM counters ORDER BY name`).toEqual(before);
  }, LONG);
});

test('every block of the documents was run', () => {
  const blocks = [...document.matchAll(/<!-- test: ([\w-]+) -->/g)].map(([, name]) => name);
  expect(blocks.length).toBeGreaterThanOrEqual(8);
  const here = binaries === undefined ? blocks.filter((name) => !/-pg$|^lists$/.test(name ?? '')) : blocks;
  expect(here.filter((name) => !ran.has(name ?? ''))).toEqual([]);
});
