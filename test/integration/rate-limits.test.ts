/** Limits of requests, each with numbers small enough to be reached: who is over one waits, everybody else is served. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { createClient, type Client, type Reply } from '../support/https-client.ts';
import { expectRefused, unchanged } from '../support/refusals.ts';
import { startService, type Service } from '../support/service.ts';

/** All of them one a second. */
const BURST = { read: 6, caller: 10, status: 7, health: 4, agent: 3, joinToken: 3 };
const FAILURES = 4;

let service: Service;
beforeAll(async () => {
  service = await startService({
    env: {
      SIGNET_SOURCE_READ_RATE: '1', SIGNET_SOURCE_READ_BURST: String(BURST.read),
      SIGNET_CALLER_READ_RATE: '1', SIGNET_CALLER_READ_BURST: String(BURST.caller),
      SIGNET_SOURCE_STATUS_RATE: '1', SIGNET_SOURCE_STATUS_BURST: String(BURST.status),
      SIGNET_SOURCE_HEALTH_RATE: '1', SIGNET_SOURCE_HEALTH_BURST: String(BURST.health),
      SIGNET_AGENT_ISSUE_RATE: '1', SIGNET_AGENT_ISSUE_BURST: String(BURST.agent),
      SIGNET_JOIN_TOKEN_ISSUE_RATE: '1', SIGNET_JOIN_TOKEN_ISSUE_BURST: String(BURST.joinToken),
      SIGNET_CREDENTIAL_FAILURES: String(FAILURES), SIGNET_CREDENTIAL_FAILURE_WINDOW_SECONDS: '600', SIGNET_CREDENTIAL_WAIT_MAX_SECONDS: '1',
    },
  });
});
const clients: Client[] = [];
afterAll(async () => {
  for (const client of clients) client.close();
  await service.close();
});

let host = 1;
/** An address that nobody has called from yet. */
const newSource = (): string => `127.0.1.${++host}`;
function from(address: string, { token, door = 'api' }: { token?: string; door?: 'api' | 'status' | 'operations' } = {}): Client {
  const { urls, rootPem: ca } = service.signet;
  const client = createClient({ url: urls[door], from: address, connections: 4, ...(door === 'api' && { ca }), ...(token === undefined ? {} : { token }) });
  clients.push(client);
  return client;
}
const enroll = (client: Client, token: string, { csr } = makeKeyAndCsr()): Promise<Reply> => client.send('POST', '/v1/certificates', { json: { csr, joinToken: token } });

/**
 * Asks `count` times at once: no fewer than the burst get `passing`, and no more than one on top for each second it took; the others get 429. Returns
 * one that was refused.
 */
async function expectBurst({ burst, count, passing }: { burst: number; count: number; passing: number }, ask: () => Promise<Reply>): Promise<Reply> {
  const began = performance.now();
  const replies = await Promise.all(Array.from({ length: count }, ask));
  const most = burst + Math.ceil((performance.now() - began) / 1000);
  const passed = replies.filter(({ status }) => status === passing);
  const refused = replies.filter(({ status }) => status === 429);
  expect(passed.length + refused.length).toBe(count);
  expect(passed.length).toBeGreaterThanOrEqual(burst);
  expect(passed.length).toBeLessThanOrEqual(most);
  const [one] = refused;
  if (!one) throw new Error('none was refused');
  return one;
}
const waitAsTold = (reply: Reply): Promise<void> => sleep(Number(reply.headers['retry-after']) * 1000);

describe('a source address', () => {
  test('gets its burst, and passes again after the wait it is told; other addresses never notice', async () => {
    const flooding = from(newSource());
    const ask = () => flooding.send('GET', '/v1/trust-bundle');
    const refused = await expectBurst({ burst: BURST.read, count: 30, passing: 200 }, ask);
    expectRefused(refused, { status: 429, code: 'rate-limited', says: /`read` requests from this address: 1 a second may come, and 6 at once/ });
    expect(refused.headers).toMatchObject({ 'retry-after': '1', 'ratelimit-policy': '"source-read";q=6;w=6', ratelimit: '"source-read";r=0;t=1' });
    expect((await from(newSource()).send('GET', '/v1/trust-bundle')).headers).toMatchObject({ 'ratelimit-policy': '"source-read";q=6;w=6', ratelimit: '"source-read";r=5;t=1' });
    await waitAsTold(refused);
    expect((await ask()).status).toBe(200);
  });

  test('is refused before its credential or its body is looked at', async () => {
    const flooding = from(newSource(), { token: 'sga_wrong' });
    const refused = await expectBurst({ burst: FAILURES, count: 20, passing: 401 }, () => flooding.send('GET', '/v1/agents'));
    expect(refused.headers['www-authenticate']).toBeUndefined();
  });

  test('what it is counted for is of one class: another is not used up', async () => {
    const address = newSource();
    await expectBurst({ burst: BURST.health, count: 12, passing: 200 }, () => from(address).send('GET', '/healthz'));
    expect((await from(address).send('GET', '/v1/trust-bundle')).status).toBe(200);
  });

  test('OCSP and CRL over the limit are 429 in plain HTTP; below it they say nothing of limits', async () => {
    const client = from(newSource(), { door: 'status' });
    const first = await client.send('POST', '/ocsp', { bytes: Buffer.from('x'), headers: { 'content-type': 'application/ocsp-request' } });
    expect([first.status, first.headers.ratelimit]).toEqual([200, undefined]);
    const refused = await expectBurst({ burst: BURST.status - 1, count: 20, passing: 200 }, () => client.send('GET', '/ocsp/MAA='));
    expectRefused(refused, { status: 429, code: 'rate-limited', says: /`status`/ });
    expect(refused.headers.ratelimit).toBe('"source-status";r=0;t=1');
  });

  test('the operations door limits nobody', async () => {
    const client = from(newSource(), { door: 'operations' });
    const replies = await Promise.all(Array.from({ length: 40 }, () => client.send('GET', '/healthz')));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(replies[0]?.headers.ratelimit).toBeUndefined();
  });
});

test('a caller is counted wherever it calls from, and told of both limits', async () => {
  const token = (await service.admin.send('POST', '/v1/admin-tokens', { json: { name: 'counted', role: 'auditor' } })).body;
  const { token: secret } = JSON.parse(token.toString()) as { token: string };
  const sources = [newSource(), newSource(), newSource(), newSource()].map((address) => from(address, { token: secret }));
  let turn = 0;
  const refused = await expectBurst({ burst: BURST.caller, count: 20, passing: 200 }, () => sources[turn++ % 4]!.send('GET', '/v1/audit?limit=1'));
  expect(refused.headers.ratelimit).toMatch(/^"source-read";r=[0-5];t=1, "caller-read";r=0;t=1$/);
  expect((await service.admin.send('GET', '/v1/audit?limit=1')).status).toBe(200);
});

describe('enrollment:', () => {
  test('an agent over its limit: the join token stays unspent and works after the wait; other agents never notice', async () => {
    const [agentId, otherAgent] = [await service.register(), await service.register()];
    const tokens = await Promise.all(Array.from({ length: 8 }, () => service.joinToken(agentId)));
    const answers = new Map<string, Reply>();
    const refused = await expectBurst({ burst: BURST.agent, count: 8, passing: 201 }, async () => {
      const token = tokens[answers.size] ?? '';
      answers.set(token, undefined as never);
      const reply = await enroll(service.open, token);
      answers.set(token, reply);
      return reply;
    });
    expectRefused(refused, { status: 429, code: 'rate-limited', says: /of this agent/ });
    expect(refused.headers.ratelimit).toMatch(/, "agent-issue";r=0;t=1$/);
    expect((await enroll(service.open, await service.joinToken(otherAgent))).status).toBe(201);
    await waitAsTold(refused);
    const [unspent = ''] = [...answers].find(([, reply]) => reply.status === 429) ?? [];
    expect((await enroll(service.open, unspent)).status).toBe(201);
  });

  test('renewals of an agent count with its enrollments', async () => {
    const instance = await service.enrolled();
    // The same key each time: what passed once is answered again.
    const { csr } = makeKeyAndCsr();
    const refused = await expectBurst({ burst: BURST.agent - 1, count: 8, passing: 201 }, () => service.renew(instance, csr));
    expectRefused(refused, { status: 429, code: 'rate-limited', says: /of this agent/ });
  });

  test('a join token is counted from wherever it comes, good or not; who knows only its id uses up nothing', async () => {
    const token = await service.joinToken(await service.register());
    const wrongSecret = `${token.slice(0, -4)}AAAA`;
    const guessed = await unchanged(service.database, () => expectBurst({ burst: BURST.joinToken, count: 15, passing: 401 }, () => enroll(from(newSource()), wrongSecret)));
    expectRefused(guessed, { status: 429, code: 'rate-limited', says: /with this join token/ });
    const csr = makeKeyAndCsr();
    expect((await enroll(from(newSource()), token, csr)).status).toBe(201);
    const refused = await expectBurst({ burst: BURST.joinToken - 1, count: 12, passing: 201 }, () => enroll(from(newSource()), token, csr));
    expect(refused.headers.ratelimit).toMatch(/, "join-token-issue";r=0;t=1$/);
  });
});

describe('credentials that fail', () => {
  const wrongToken = (i: number): string => `sgj_01M7YKTGW9RER95PCHKHPXW1${10 + i}_${'A'.repeat(43)}`;
  /** Fails, waiting as told, until it has been told to wait `refusals` times; the waits. */
  async function waits(refusals: number, fail: (i: number) => Promise<Reply>): Promise<number[]> {
    const told: number[] = [];
    for (let i = 0; told.length < refusals; i++) {
      const reply = await fail(i);
      if (reply.status !== 429) continue;
      told.push(Number(reply.headers['retry-after']));
      await waitAsTold(reply);
    }
    return told;
  }

  test('enrollments: the address waits, whatever it tries then; after the wait an honest one gets its certificate', async () => {
    const address = newSource();
    const client = from(address);
    const honest = await service.joinToken(await service.register());
    expect(await waits(1, (i) => enroll(client, wrongToken(i)))).toEqual([1]);
    expect((await enroll(client, wrongToken(20))).status).toBe(401);
    const refused = await unchanged(service.database, () => enroll(client, honest));
    expectRefused(refused, { status: 429, code: 'rate-limited', says: /too many join tokens from this address were not accepted/ });
    // No quota: there is nothing to be told of a limit but the source's.
    expect(refused.headers.ratelimit).toMatch(/^"source-issue";r=\d+;t=1$/);
    expect((await enroll(from(newSource()), wrongToken(30))).status).toBe(401);
    await waitAsTold(refused);
    expect((await enroll(client, honest)).status).toBe(201);
  });

  test('whether a token exists cannot be told from the wait', async () => {
    const [known, unknown] = [newSource(), newSource()];
    const id = (await service.joinToken(await service.register())).slice(4, 30);
    const codes = async (address: string, tokenOf: (i: number) => string) => {
      const client = from(address);
      const replies: string[] = [];
      for (let i = 0; i < FAILURES + 2; i++) replies.push((JSON.parse((await enroll(client, tokenOf(i))).body.toString()) as { code: string }).code);
      return replies;
    };
    const secretOf = (i: number) => `${'A'.repeat(41)}${10 + i}`;
    const [ofKnown, ofUnknown] = [await codes(known, (i) => `sgj_${id}_${secretOf(i)}`), await codes(unknown, wrongToken)];
    expect(ofKnown).toEqual(ofUnknown);
    expect(ofKnown).toEqual([...Array<string>(FAILURES + 1).fill('join-token-unknown'), 'rate-limited']);
  });

  test('API tokens: the address waits with every token, and enrolls as before', async () => {
    const address = newSource();
    const wrong = from(address, { token: 'sga_wrong' });
    expect(await waits(1, () => wrong.send('POST', '/v1/agents', { json: {} }))).toEqual([1]);
    expect((await wrong.send('POST', '/v1/agents', { json: {} })).status).toBe(401);
    const good = from(address, { token: service.signet.adminToken });
    const refused = await good.send('POST', '/v1/agents', { json: {} });
    expectRefused(refused, { status: 429, code: 'rate-limited', says: /too many API tokens from this address/ });
    // Who tries none waits for nobody behind the same address.
    expectRefused(await from(address).send('GET', '/v1/agents'), { status: 401, code: 'authentication-required', says: /this needs an API token/ });
    expect((await enroll(from(address), await service.joinToken(await service.register()))).status).toBe(201);
    await waitAsTold(refused);
    expect((await good.send('GET', '/v1/agents')).status).toBe(200);
  });
});

test('what was refused is counted, and not audited', async () => {
  const metrics = (await from(newSource(), { door: 'operations' }).send('GET', '/metrics')).body.toString();
  for (const labels of ['kind="source",class="read"', 'kind="source",class="status"', 'kind="source",class="health"', 'kind="caller",class="read"', 'kind="agent",class="issue"', 'kind="join-token",class="issue"', 'kind="failures",class="join-token"', 'kind="failures",class="api-token"']) {
    expect(metrics).toMatch(new RegExp(`^signet_rate_limited_total\\{${labels}\\} [1-9]`, 'm'));
  }
  const audited = await service.database.ownerDb.$queryRawUnsafe<{ count: number }[]>(`SELECT count(*)::int AS count FROM audit_events WHERE to_jsonb(audit_events)::text LIKE '%rate-limited%'`);
  expect(audited).toEqual([{ count: 0 }]);
});
