/** An older PostgreSQL, as the operating system has it: Signet on a database that is given to it, with one role and with two. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { connect } from '../../src/db/client.ts';
import type { TestDatabase } from '../support/db.ts';
import { installedPostgresql, startPostgresql, type RunningPostgresql } from '../support/debian-postgresql.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { identityOf } from '../support/fault/fleet.ts';
import { jsonOf } from '../support/https-client.ts';
import { INTEROP_TIMEOUT_MS, outsideProgram, versionOf, type Verdict } from '../support/interop.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';

const binaries = installedPostgresql();
const program = await outsideProgram({
  name: 'postgresql',
  debianPackage: 'postgresql',
  must: false,
  version: async () => (binaries === undefined ? undefined : versionOf(path.join(binaries, 'postgres'), ['--version'], /\(PostgreSQL\) (\S+)/)),
});

let server: RunningPostgresql;
beforeAll(async () => {
  if (binaries !== undefined) server = await startPostgresql(binaries);
}, INTEROP_TIMEOUT_MS);
afterAll(() => server?.stop(), INTEROP_TIMEOUT_MS);

const OWNER = 'signet_owner';
const SERVICE = 'signet_app';

/** An empty database of OWNER's. `service`: whom Signet connects as. */
async function givenDatabase(name: string, service: string): Promise<TestDatabase> {
  await server.sql([`CREATE DATABASE ${name} OWNER ${OWNER}`]);
  const [ownerUrl, serviceUrl] = [server.url(OWNER, name), server.url(service, name)];
  const [ownerDb, db] = [ownerUrl, serviceUrl].map((url) => connect(url, { maxConnections: 2, statementTimeoutMs: 20_000, applicationName: 'test' })) as [TestDatabase['db'], TestDatabase['db']];
  const drop = async () => {
    await Promise.all([db.$disconnect(), ownerDb.$disconnect()]);
    await server.sql([`DROP DATABASE ${name} WITH (FORCE)`]);
  };
  return { name, ownerUrl, serviceUrl, db, product: db, ownerDb, drop };
}

/** Enrolls, renews, revokes. */
async function wholeLife(service: Service): Promise<void> {
  const first = await service.enrolled();
  const pair = makeKeyAndCsr();
  const renewed = identityOf(await service.renew(first, pair.csr), pair);
  expect(renewed.generation).toBe(2);
  const presented = async (): Promise<Verdict> => {
    const { status, body } = await service.mtls(renewed).send('GET', `/v1/status/${renewed.serial}`);
    return { accepted: status === 200 && jsonOf<{ status: string }>({ status, headers: {}, body }).status === 'good', said: body.toString('utf8') };
  };
  program.expects('good', await presented());
  await service.order(`/v1/certificates/${renewed.serial}/revoke`, { reason: 'keyCompromise' });
  program.expects('revoked', await presented(), /certificate-revoked/);
  const again = await service.renew(renewed, makeKeyAndCsr().csr);
  program.expects('revoked', { accepted: again.status < 300, said: again.body.toString('utf8') }, /certificate-revoked/);
}

const warningsOf = async (service: Service): Promise<string> => {
  const response = await fetch(`${service.signet.urls.operations}/readyz`);
  return jsonOf<{ warnings: string[] }>({ status: response.status, headers: {}, body: Buffer.from(await response.arrayBuffer()) }).warnings.join('\n');
};

const refused = async (work: Promise<unknown>): Promise<Verdict> =>
  work.then(
    () => ({ accepted: true, said: 'done' }),
    (error: unknown) => ({ accepted: false, said: String(error) }),
  );

program.test('with DATABASE_URL only, Signet lives there, and says loudly that one role is too few', async () => {
  await server.sql([`CREATE ROLE ${OWNER} LOGIN`]);
  const database = await givenDatabase('one_role', OWNER);
  const service = await startService({ database, env: { SIGNET_OWNER_DATABASE_URL: undefined } });
  expect(await warningsOf(service)).toContain('SIGNET_OWNER_DATABASE_URL');
  expect(service.signet.stdout() + service.signet.stderr()).toContain('owns the audit table and could change it');
  await wholeLife(service);
  await service.close();
  await database.drop();
});

program.test('with SIGNET_OWNER_DATABASE_URL, the service has its own role there, and cannot change what happened', async () => {
  await server.sql([`CREATE ROLE ${SERVICE} LOGIN`]);
  const database = await givenDatabase('two_roles', SERVICE);
  const dataDir = temporaryFolder('signet-data-');
  for (let start = 1; start <= 2; start++) {
    const service = await startService({ database, dataDir });
    expect(await warningsOf(service)).not.toContain('SIGNET_OWNER_DATABASE_URL');
    await wholeLife(service);
    await service.close();
  }
  const attempts = ['UPDATE audit_events SET kind = kind', 'DELETE FROM audit_events', 'TRUNCATE audit_events', 'DROP TABLE audit_events', 'ALTER TABLE audit_events DISABLE TRIGGER ALL', 'CREATE TABLE mine (n int)'];
  for (const attempt of attempts) program.expects('known-bad', await refused(server.sql([attempt], database.serviceUrl)), /permission denied|must be owner/);
  fs.rmSync(dataDir, { recursive: true });
  await database.drop();
});
