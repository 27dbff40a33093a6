/**
 * A database on a bad day: read-only, slow, out of connections, restarted by its operator. Each time what needs it gets a clear refusal that changes nothing, what does not is
 * still answered, and the same request succeeds once the day is better, with Signet never restarted.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { expectWhole } from '../support/fault/judge.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import type { Reply } from '../support/https-client.ts';
import { databaseUrl, runSql, TEMPLATE } from '../support/postgres.ts';
import { expectRefused, unchanged, type Refusal } from '../support/refusals.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

const away: Refusal = { status: 503, code: 'database-unavailable', says: /does not answer|went away before it confirmed/ };
const PATIENCE_MS = 20_000;

let database: TestDatabase;
let service: Service;
let agentId: string;
let known: Identity;
beforeAll(async () => {
  database = await testDatabase();
  service = await startService({ database, env: { SIGNET_STATEMENT_TIMEOUT_MS: '500' } });
  agentId = await service.register();
  known = await service.enrolled(agentId);
  expect(await bundle()).toBe(200);
}, 60_000);
afterAll(async () => {
  await service.close(/"msg":"(a job failed|could not record a refused request|a list could not be published)"/);
  await database.drop();
});

/** As the server's superuser from outside of the database that has the bad day. */
const asOperator = (sql: string): Promise<void> => runSql(databaseUrl(database.ownerUrl, TEMPLATE), sql);
/** What a changed setting of the database needs to reach everyone: new sessions. */
const endSessions = () => asOperator(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database.name}'`);

const bundle = async (): Promise<number> => (await service.status.send('GET', '/trust-bundle.pem')).status;
const healthz = async (): Promise<number> => (await fetch(`${service.signet.urls.operations}/healthz`)).status;
const readyz = async (): Promise<number> => (await fetch(`${service.signet.urls.operations}/readyz`)).status;

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(50)) if (await holds()) return;
  throw new Error(`${what} did not happen in ${PATIENCE_MS / 1000} s`);
}

/** Sends until the answer is no passing 503: sessions that were ended are only noticed when they are used. */
async function again(send: () => Promise<Reply>): Promise<Reply> {
  let reply = await send();
  await until('an answer other than 503', async () => {
    if (reply.status === 503) reply = await send();
    return reply.status !== 503;
  });
  return reply;
}

describe('read-only', () => {
  const key = makeKeyAndCsr();
  let token: string;

  test('changes are refused and change nothing; what is stored is still told', async () => {
    token = await service.joinToken(agentId);
    await asOperator(`ALTER DATABASE ${database.name} SET default_transaction_read_only = on`);
    await endSessions();
    await until('reading again', async () => (await service.admin.send('GET', '/v1/agents')).status === 200);
    await unchanged(database, async () => {
      expectRefused(await service.enroll(token, key.csr), away);
      expectRefused(await service.admin.send('POST', '/v1/agents', { json: { name: 'nobody', purpose: 'p', ownerEmail: 'o@example.com' } }), away);
      const refused = await service.admin.send('POST', `/v1/certificates/${known.serial}/revoke`, { json: { reason: 'superseded' } });
      expectRefused(refused, away);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    });
    expect((await service.admin.send('GET', `/v1/status/${known.serial}`)).body.toString()).toContain('"status":"good"');
  }, 60_000);

  test('writable again, the same token and key enroll', async () => {
    await asOperator(`ALTER DATABASE ${database.name} SET default_transaction_read_only = off`);
    await endSessions();
    expect((await again(() => service.enroll(token, key.csr))).status).toBe(201);
    await expectWhole({ database });
  }, 60_000);
});

test('slow: a statement that waits too long is given up with 503; others are answered meanwhile', async () => {
  const blocker = new pg.Client({ connectionString: database.ownerUrl });
  await blocker.connect();
  try {
    await blocker.query('BEGIN');
    await blocker.query('LOCK TABLE agents IN ACCESS EXCLUSIVE MODE');
    const slow = Array.from({ length: 4 }, () => service.admin.send('GET', `/v1/agents/${agentId}`));
    expect([await bundle(), await healthz()]).toEqual([200, 200]);
    expect((await service.admin.send('GET', `/v1/status/${known.serial}`)).status).toBe(200);
    for (const reply of await Promise.all(slow)) expectRefused(reply, away);
  } finally {
    await blocker.query('ROLLBACK');
    await blocker.end();
  }
  expect((await service.admin.send('GET', `/v1/agents/${agentId}`)).status).toBe(200);
}, 60_000);

test('out of connections: refused clearly, not ready, and back by itself', async () => {
  const token = await service.joinToken(agentId);
  const key = makeKeyAndCsr();
  await asOperator(`ALTER DATABASE ${database.name} CONNECTION LIMIT 0`);
  await endSessions();
  expectRefused(await service.enroll(token, key.csr), away);
  expectRefused(await service.admin.send('GET', '/v1/agents'), away);
  expect([await bundle(), await healthz(), await readyz()]).toEqual([200, 200, 503]);
  await asOperator(`ALTER DATABASE ${database.name} CONNECTION LIMIT -1`);
  expect((await again(() => service.enroll(token, key.csr))).status).toBe(201);
  await until('ready again', async () => (await readyz()) === 200);
  await expectWhole({ database });
}, 60_000);
