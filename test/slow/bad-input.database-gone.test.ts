/**
 * The database goes away in the middle of load, loudly or without a word, and comes back: callers get 503 with Retry-After meanwhile, Signet recovers by
 * itself, and no certificate is without a row. SIGNET_TEST_OUTAGE_SECONDS lengthens the outage.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodePemAll } from '../../src/x509/pem.ts';
import { problem } from '../../src/api/values.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { expectWhole } from '../support/fault/judge.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { rowsOf } from '../support/fault/sessions.ts';
import { createClient, jsonOf, type Reply } from '../support/https-client.ts';
import { identityOf, startService, type Identity, type Service } from '../support/service.ts';
import { startTcpProxy, through, type TcpProxy } from '../support/tcp-proxy.ts';

const OUTAGE_SECONDS = Number(process.env.SIGNET_TEST_OUTAGE_SECONDS ?? 6);
const LOAD_SECONDS = 1;
const RECOVERY_MS = 20_000;
const LONG = 120_000 + 4_000 * OUTAGE_SECONDS;
const TOKENS = 400;

let database: TestDatabase;
let proxy: TcpProxy;
let service: Service;
let tokens: string[];
beforeAll(async () => {
  database = await testDatabase();
  const { hostname: host, port } = new URL(database.serviceUrl);
  proxy = await startTcpProxy({ host, port: Number(port) });
  service = await startService({
    database,
    env: {
      DATABASE_URL: through(proxy, database.serviceUrl),
      SIGNET_OWNER_DATABASE_URL: through(proxy, database.ownerUrl),
      SIGNET_STATEMENT_TIMEOUT_MS: '1500',
    },
  });
  const agentId = await service.register();
  tokens = await Promise.all(Array.from({ length: TOKENS }, () => service.joinToken(agentId)));
}, LONG);
afterAll(async () => {
  // A job that fails while the database is away is what its error record is for.
  await service.close(/"msg":"a job failed"/);
  await proxy.close();
  await database.drop();
}, LONG);

/** Every certificate that anybody got, with its chain, by serial. */
const handedOut = new Map<string, string>();
const keep = (identity: Identity): Identity => {
  handedOut.set(identity.serial, identity.chain);
  return identity;
};

/** What the load saw. */
interface Seen {
  issued: number;
  refusals: { code: string; status: number; retryAfter: string | undefined }[];
  /** Anything else. */
  strange: string[];
}

/** Sends until it gets what it asked for: each refusal must be one that says when to come back. */
async function insist(send: () => Promise<Reply>, seen: Seen): Promise<Reply> {
  for (;;) {
    const reply = await send();
    if (reply.status < 300) return reply;
    const said = problem.safeParse(JSON.parse(reply.body.toString('utf8')));
    const retryAfter = reply.headers['retry-after'];
    if (!said.success || reply.status !== 503 || !/^[1-9]\d*$/.test(retryAfter ?? '')) {
      seen.strange.push(`${reply.status} ${reply.body.toString('utf8')}`);
      throw new Error(seen.strange.at(-1));
    }
    seen.refusals.push({ code: said.data.code, status: reply.status, retryAfter });
    await sleep(200);
  }
}

/** Three that enroll, three that renew, without a pause, until `stop`. */
function startLoad(): { stop(): Promise<Seen> } {
  const before = handedOut.size;
  const seen: Seen = { issued: 0, refusals: [], strange: [] };
  let stopped = false;
  const enroll = async (): Promise<Identity> => {
    const pair = makeKeyAndCsr();
    const token = tokens.pop();
    if (token === undefined) throw new Error('not enough join tokens were made');
    return keep(identityOf(await insist(() => service.enroll(token, pair.csr), seen), pair));
  };
  const workers = Array.from({ length: 6 }, async (_, i) => {
    let identity = await enroll();
    while (!stopped) {
      if (i % 2 === 0) {
        await enroll();
        // The load is there to be interrupted, not to take the machine from others.
        await sleep(20);
        continue;
      }
      const pair = makeKeyAndCsr();
      const presented = identity;
      identity = keep(identityOf(await insist(() => service.renew(presented, pair.csr), seen), pair));
      await sleep(20);
    }
  });
  return {
    async stop() {
      stopped = true;
      await Promise.all(workers);
      return { ...seen, issued: handedOut.size - before };
    },
  };
}

/** What operators and relying parties see while the database is away. */
async function expectAway(identity: Identity): Promise<void> {
  const operations = createClient({ url: service.signet.urls.operations });
  const [health, ready, list, status, ocsp] = await Promise.all([
    operations.send('GET', '/healthz'),
    operations.send('GET', '/readyz'),
    service.admin.send('GET', '/v1/agents'),
    service.mtls(identity).send('GET', `/v1/status/${identity.serial}`),
    service.status.send('GET', '/trust-bundle.pem'),
  ]);
  expect([health.status, ready.status, ocsp.status]).toEqual([200, 503, 200]);
  expect(jsonOf<{ checks: object }>(ready).checks).toMatchObject({ database: 'failed', issuer: 'ok' });
  for (const reply of [list, status]) {
    expect([reply.status, jsonOf<{ code: string }>(reply).code]).toEqual([503, 'database-unavailable']);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    expect(reply.body.toString()).not.toMatch(/127\.0\.0\.1:\d+\/(?!errors)|postgres|ECONN|prisma/i);
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + RECOVERY_MS; performance.now() < deadline; await sleep(100)) if (await isSo()) return;
  throw new Error(`not ${what} ${RECOVERY_MS / 1000} s after the database came back`);
}

async function untilReady(): Promise<void> {
  const operations = createClient({ url: service.signet.urls.operations });
  await until('ready', async () => (await operations.send('GET', '/readyz')).status === 200);
}

/** Both channels are listened to again: feed and authorities. */
const untilListening = (): Promise<void> =>
  until('listening', async () => {
    const rows = await rowsOf<{ query: string }>(database, `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'signet-listen' AND query LIKE 'LISTEN%'`);
    return new Set(rows.map(({ query }) => query)).size === 2;
  });

/** Handed out and stored are the same certificates, octet by octet, each with one audit event: nothing unrecorded, nobody left without what was made for them. */
async function expectAllRecorded(): Promise<void> {
  const rows = await rowsOf<{ serial: string; der: Buffer; events: number }>(
    database,
    `SELECT encode(c.serial, 'hex') AS serial, c.der, (SELECT count(*)::int FROM audit_events e WHERE e.serial = c.serial AND e.kind IN ('certificate.issued', 'certificate.renewed')) AS events FROM certificates c`,
  );
  const stored = rows.map(({ serial, der, events }) => `${serial} ${events} ${createHash('sha256').update(der).digest('hex')}`);
  const got = [...handedOut].map(([serial, chain]) => `${serial} 1 ${createHash('sha256').update(decodePemAll(chain, 'CERTIFICATE')[0] ?? '').digest('hex')}`);
  expect(stored.toSorted()).toEqual(got.toSorted());
}

describe.each([
  ['refusing connections', () => proxy.cut()],
  ['falling silent', () => Promise.resolve(proxy.silence())],
])('the database goes away, %s:', (_, goAway) => {
  test(
    `${OUTAGE_SECONDS} s in the middle of load`,
    async () => {
      const bystander = keep(await service.enrolled());
      const load = startLoad();
      await sleep(LOAD_SECONDS * 1000);
      await goAway();
      const outage = sleep(OUTAGE_SECONDS * 1000);
      await expectAway(bystander);
      await outage;
      await proxy.restore();
      await untilReady();
      await sleep(LOAD_SECONDS * 1000);
      const { issued, refusals, strange } = await load.stop();

      expect(strange).toEqual([]);
      expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['database-unavailable']));
      expect(issued).toBeGreaterThan(6);
      await expectAllRecorded();
      await expectWhole({ database });

      // All of it works again: an enrollment, a revocation, and what relying parties are told of it.
      const late = keep(await service.enrolled());
      await service.order(`/v1/certificates/${late.serial}/revoke`, { reason: 'superseded' });
      expect(jsonOf<{ status: string }>(await service.admin.send('GET', `/v1/status/${late.serial}`)).status).toBe('revoked');
      expect((await service.mtls(bystander).send('GET', `/v1/status/${bystander.serial}`)).status).toBe(200);
      await untilListening();
    },
    LONG,
  );
});
