/** Join tokens that are not worth an enrollment, and agents that may not enroll. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCsr, makeKey } from '../support/csr.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { createClient, jsonOf, type Reply } from '../support/https-client.ts';
import { expectRefused, unchanged, type Refusal } from '../support/refusals.ts';
import { startService, type Service } from '../support/service.ts';

let service: Service;
let agentId: string;
beforeAll(async () => {
  service = await startService();
  agentId = await service.register();
});
afterAll(() => service.close());

const unknown: Refusal = { status: 401, code: 'join-token-unknown', says: /join token/ };
const NOBODY = '01KAMV3W5QZ3C1D6X2G7R8S9TZ';
const refuse = async (refusal: Refusal, work: () => Promise<Reply>) => expectRefused(await unchanged(service.database, work), refusal);
const enrolls = async (token: string) => expect((await service.enroll(token, makeCsr())).status).toBe(201);

describe('unknown:', () => {
  const SECRET = 'A'.repeat(43);
  const FORMS: Record<string, (real: string) => string> = {
    'well formed, of nobody': () => `sgj_${NOBODY}_${SECRET}`,
    'a real id with another secret': (real) => `${real.slice(0, -43)}${SECRET}`,
    'the secret cut by one': (real) => real.slice(0, -1),
    'the secret with one more': (real) => `${real}A`,
    'the id in small letters': (real) => real.toLowerCase(),
    'no token of ours': () => 'secret',
    'an admin token': () => service.signet.adminToken,
    SQL: () => `sgj_'OR'1'='1`,
  };

  test.each(Object.entries(FORMS))('%s', async (_, form) => {
    const real = await service.joinToken(agentId);
    const problem = await refuse(unknown, () => service.enroll(form(real), makeCsr()));
    // Whoever has only the id learns nothing of the token.
    expect(JSON.stringify(problem)).not.toContain(agentId);
    await enrolls(real);
  });

  test('none at all, in the header or in the body', async () => {
    await refuse({ status: 401, code: 'authentication-required', says: /join token/ }, () => service.open.send('POST', '/v1/certificates', { json: { csr: makeCsr().toString('base64') } }));
  });

  test('one in the header and another in the body', async () => {
    const [one, other] = [await service.joinToken(agentId), await service.joinToken(agentId)];
    await refuse({ status: 400, code: 'invalid-request', says: /different tokens; send one/ }, () => service.enroll(one, makeCsr(), { joinToken: other }));
    await enrolls(one);
    await enrolls(other);
  });

  test('in the query, where it would be logged', async () => {
    const token = await service.joinToken(agentId);
    const send = () => service.open.send('POST', `/v1/certificates?joinToken=${token}`, { json: { csr: makeCsr().toString('base64') } });
    await refuse({ status: 400, code: 'invalid-request', says: /\/query\/joinToken: is not known here/ }, send);
    await enrolls(token);
  });
});

describe('used:', () => {
  test('with another key: refused, and the first certificate stays good', async () => {
    const token = await service.joinToken(agentId);
    const first = makeKeyAndCsr();
    const { serial } = jsonOf<{ serial: string }>(await service.enroll(token, first.csr));
    await refuse({ status: 409, code: 'join-token-used', says: /has been used; ask for a new one/ }, () => service.enroll(token, makeCsr()));
    expect(jsonOf<{ status: string }>(await service.admin.send('GET', `/v1/status/${serial}`)).status).toBe('good');
  });

  test('with the key of the first use the same certificate comes again, but not once it is revoked', async () => {
    const token = await service.joinToken(agentId);
    const pair = makeKeyAndCsr();
    const first = await service.enroll(token, pair.csr);
    const again = await unchanged(service.database, () => service.enroll(token, pair.csr));
    expect([again.status, again.body]).toEqual([201, first.body]);
    await service.order(`/v1/certificates/${jsonOf<{ serial: string }>(first).serial}/revoke`);
    await refuse({ status: 403, code: 'client-certificate-revoked', says: /revoked/ }, () => service.enroll(token, pair.csr));
  });
});

test('expired: refused, also with a good request', async () => {
  const token = await service.joinToken(agentId, { ttlSeconds: 1 });
  await sleep(1_100);
  await refuse({ status: 401, code: 'join-token-expired', says: /expired at 20.*Z; ask for a new one/ }, () => service.enroll(token, makeCsr()));
});

test('of another agent: refused when the caller says who it is; the token is still good for its own', async () => {
  const other = await service.register();
  const token = await service.joinToken(agentId);
  await refuse({ status: 403, code: 'join-token-wrong-agent', says: new RegExp(`not for agent ${other}`) }, () => service.enroll(token, makeCsr(), { agentId: other }));
  const reply = await service.enroll(token, makeCsr(), { agentId });
  expect([reply.status, jsonOf<{ agentId: string }>(reply).agentId]).toEqual([201, agentId]);
});

describe('from another network:', () => {
  const from = (address: string, token: string) => {
    const { urls, rootPem: ca } = service.signet;
    return createClient({ url: urls.api, ca, token, from: address }).send('POST', '/v1/certificates', { json: { csr: makeCsr().toString('base64') }, headers: { 'x-forwarded-for': '10.1.2.3', forwarded: 'for=10.1.2.3' } });
  };
  const wrongNetwork: Refusal = { status: 403, code: 'join-token-wrong-network', says: /not for use from 127\.0\.0\.1/ };

  test('refused, whatever a proxy header says; from its own network it enrolls', async () => {
    const token = await service.joinToken(agentId, { sourceCidrs: ['127.0.0.2/32', '10.0.0.0/8'] });
    await refuse(wrongNetwork, () => from('127.0.0.1', token));
    expect((await from('127.0.0.2', token)).status).toBe(201);
  });

  test('an IPv4-mapped block of IPv6 is another network', async () => {
    const token = await service.joinToken(agentId, { sourceCidrs: ['2001:db8::/32'] });
    await refuse(wrongNetwork, () => from('127.0.0.1', token));
  });

  test.each(['10.0.0.0/33', '10.0.0/8', 'everywhere', '::/129', '10.0.0.1 ', '0x7f.0.0.1'])('%p as a network is not taken', async (block) => {
    await refuse({ status: 400, code: 'invalid-request', says: /\/sourceCidrs\/0: must be an IP address or a CIDR block/ }, () =>
      service.admin.send('POST', `/v1/agents/${agentId}/join-tokens`, { json: { sourceCidrs: [block] } }),
    );
  });
});

test('bound to another key: refused, and good for its own', async () => {
  const key = makeKey();
  const boundKeyHash = createHash('sha256').update(key.spki).digest('hex');
  const token = await service.joinToken(agentId, { boundKeyHash });
  await refuse({ status: 403, code: 'join-token-wrong-key', says: /bound to another key/ }, () => service.enroll(token, makeCsr()));
  expect((await service.enroll(token, makeCsr({ key }))).status).toBe(201);
});

describe('a life too long or too odd:', () => {
  const create = (json: object) => service.admin.send('POST', `/v1/agents/${agentId}/join-tokens`, { json });
  test('longer than the longest', () => refuse({ status: 403, code: 'ttl-not-granted', says: /at most 604800 s, 604801 s/ }, () => create({ ttlSeconds: 604_801 })));
  test.each([0, -1, 1.5, '60', null, 1e300])('%p seconds', (ttlSeconds) => refuse({ status: 400, code: 'invalid-request', says: /\/ttlSeconds/ }, () => create({ ttlSeconds })));
});

describe('the agent may not enroll:', () => {
  test('suspended: refused; resumed, the same token enrolls', async () => {
    const agent = await service.register();
    const token = await service.joinToken(agent);
    await service.order(`/v1/agents/${agent}/suspend`);
    const suspended: Refusal = { status: 403, code: 'agent-suspended', says: /operator must resume it/ };
    await refuse(suspended, () => service.enroll(token, makeCsr()));
    await refuse(suspended, () => service.admin.send('POST', `/v1/agents/${agent}/join-tokens`, { json: {} }));
    await service.order(`/v1/agents/${agent}/resume`);
    await enrolls(token);
  });

  test('retired: refused for ever', async () => {
    const agent = await service.register();
    const token = await service.joinToken(agent);
    await service.order(`/v1/agents/${agent}/retire`);
    const retired: Refusal = { status: 410, code: 'agent-retired', says: /for ever; register a new one/ };
    await refuse(retired, () => service.enroll(token, makeCsr()));
    await refuse(retired, () => service.admin.send('POST', `/v1/agents/${agent}/join-tokens`, { json: {} }));
    await refuse(retired, () => service.admin.send('POST', `/v1/agents/${agent}/resume`, { json: {} }));
  });

  test('proposed, without an owner: no token is made', async () => {
    const agent = jsonOf<{ id: string; state: string }>(await service.admin.send('POST', '/v1/agents', { json: { name: 'ownerless', purpose: 'testing' } }));
    expect(agent.state).toBe('proposed');
    await refuse({ status: 409, code: 'agent-not-active', says: /operator must activate it/ }, () => service.admin.send('POST', `/v1/agents/${agent.id}/join-tokens`, { json: {} }));
  });

  test('unknown: no token is made', () =>
    refuse({ status: 404, code: 'agent-not-found', says: new RegExp(NOBODY) }, () => service.admin.send('POST', `/v1/agents/${NOBODY}/join-tokens`, { json: {} })));

  test('its owner is suspended', async () => {
    const agent = await service.register({ ownerEmail: 'leaver@example.com' });
    const token = await service.joinToken(agent);
    await service.database.ownerDb.owner.updateMany({ where: { email: 'leaver@example.com' }, data: { state: 'suspended' } });
    await refuse({ status: 403, code: 'owner-suspended', says: /owner/ }, () => service.enroll(token, makeCsr()));
    await service.database.ownerDb.owner.updateMany({ where: { email: 'leaver@example.com' }, data: { state: 'active' } });
    await enrolls(token);
  });
});

test('no secret of all these is in the log or in the audit log', async () => {
  const token = await service.joinToken(agentId);
  await service.enroll(token.slice(0, -1).concat(token.endsWith('A') ? 'B' : 'A'), makeCsr());
  await enrolls(token);
  const secret = token.slice(-43, -1);
  const { signet, database } = service;
  expect(signet.stdout() + signet.stderr()).not.toContain(secret);
  const events = await database.ownerDb.auditEvent.findMany();
  expect(events.some(({ event }) => Buffer.from(event).includes(secret))).toBe(false);
});
