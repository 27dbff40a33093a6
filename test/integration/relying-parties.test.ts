/** Relying parties: registered, given tokens and certificates, asked to identify themselves, told only what they may know, cut off at once. */
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AdminTokenAnswer } from '../../src/api/admin-tokens.ts';
import type { RelyingPartyAnswer, RelyingPartyCertificateAnswer } from '../../src/api/relying-parties.ts';
import { makeAdminToken } from '../../src/admins/secret.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { insertAdminToken } from '../../src/db/admin-tokens.ts';
import { inTransaction } from '../../src/db/client.ts';
import { createClient, jsonOf, type Client, type Reply } from '../support/https-client.ts';
import { selfSigned, type SelfSigned } from '../support/self-signed.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

const PATH = '/v1/relying-parties';
const answerOf = (reply: Reply) => [reply.status, jsonOf<{ code?: string }>(reply).code];

let service: Service;
let agent: Identity;
beforeAll(async () => {
  // Two workers: what one of them answers, the other must know.
  service = await startService({ env: { SIGNET_WORKERS: '2', SIGNET_RELYING_PARTY_CERTIFICATES_MAX: '2', SIGNET_RELYING_PARTY_TOKENS_MAX: '2' } });
  agent = await service.enrolled();
}, 90_000);
afterAll(() => service.close());

let sequence = 0;
const register = async (json: object = {}) => jsonOf<RelyingPartyAnswer>(await service.order(PATH, { name: `party-${++sequence}`, ownerEmail: 'bob@example.com', ...json }));
const tokenOf = async (id: string, json: object = {}) => jsonOf<{ id: string; token: string }>(await service.order(`${PATH}/${id}/tokens`, { name: 'gateway', ...json }));
const pin = (id: string, certificate: string) => service.admin.send('POST', `${PATH}/${id}/certificates`, { json: { certificate } });
const pinned = async (id: string, one: SelfSigned = selfSigned('gateway')) => ({ ...one, ...jsonOf<RelyingPartyCertificateAnswer>(await service.order(`${PATH}/${id}/certificates`, { certificate: one.certificate })) });
const as = (token: string): Client => createClient({ url: service.signet.urls.api, ca: service.signet.rootPem, token });
const status = (client: Client) => client.send('GET', `/v1/status/${agent.serial}`);
const eventsOf = async (target: string) => (await service.database.db.auditEvent.findMany({ where: { target }, orderBy: { n: 'asc' } })).map(({ kind, event }) => [kind, JSON.parse(Buffer.from(event).toString()) as { detail: object; personal?: object }] as const);

describe('registration', () => {
  test('defaults, versions, conditional changes; each change is one event, without the address', async () => {
    const party = await register({ name: 'first' });
    expect(party).toMatchObject({ name: 'first', state: 'active', stateReason: null, ownerEmail: 'bob@example.com', mayAsk: ['status'], certificates: [], version: 1 });
    const change = (json: object, version?: number) => service.admin.send('PATCH', `${PATH}/${party.id}`, { json, headers: version === undefined ? {} : { 'if-match': `"${version}"` } });
    expect(jsonOf<RelyingPartyAnswer>(await change({ mayAsk: ['identity', 'status'], ownerEmail: 'Carol@example.com' }, 1))).toMatchObject({ mayAsk: ['status', 'identity'], ownerEmail: 'carol@example.com', version: 2 });
    expect(answerOf(await change({ name: 'too-late' }, 1))).toEqual([412, 'relying-party-changed']);
    // What is so already is no change.
    expect((await change({ mayAsk: ['status', 'identity'] })).headers.etag).toBe('"2"');
    await service.order(`${PATH}/${party.id}/disable`, { reason: 'moved out' });
    expect(jsonOf<RelyingPartyAnswer>(await service.order(`${PATH}/${party.id}/disable`, { reason: 'again' }))).toMatchObject({ state: 'disabled', stateReason: 'moved out', version: 3 });
    await service.order(`${PATH}/${party.id}/enable`);
    const events = await eventsOf(party.id);
    expect(events.map(([kind]) => kind)).toEqual(['relying-party.registered', 'relying-party.changed', 'relying-party.disabled', 'relying-party.enabled']);
    expect(JSON.stringify(events)).not.toContain('example.com');
    expect(events[1]?.[1].personal).toHaveProperty('ownerEmail');
  });

  test('names are unique, grants are known and make sense, unknown ids are told', async () => {
    await register({ name: 'taken' });
    const refused = async (json: object) => answerOf(await service.admin.send('POST', PATH, { json: { name: 'other', ownerEmail: 'bob@example.com', ...json } }));
    expect(await refused({ name: 'taken' })).toEqual([409, 'relying-party-name-taken']);
    for (const wrong of [{ mayAsk: [] }, { mayAsk: ['identity'] }, { mayAsk: ['everything'] }, { ownerEmail: 'nobody' }, { name: 'No Name' }, { state: 'disabled' }]) expect(await refused(wrong)).toEqual([400, 'invalid-request']);
    const other = await register();
    expect(answerOf(await service.admin.send('PATCH', `${PATH}/${other.id}`, { json: { name: 'taken' } }))).toEqual([409, 'relying-party-name-taken']);
    for (const [method, path] of [['GET', ''], ['PATCH', ''], ['POST', '/disable'], ['POST', '/tokens'], ['GET', '/tokens'], ['POST', '/tokens/01KAMV3W5QZ3C1D6X2G7R8S9TB/revoke'], ['POST', '/certificates/01KAMV3W5QZ3C1D6X2G7R8S9TB/remove']] as const) {
      const json = path === '/tokens' || path === '' ? { name: 'x' } : undefined;
      expect([path, answerOf(await service.admin.send(method, `${PATH}/01KAMV3W5QZ3C1D6X2G7R8S9TZ${path}`, method === 'GET' ? {} : { json }))]).toEqual([path, [404, 'relying-party-not-found']]);
    }
  });

  test('the list, page by page and by filter', async () => {
    const all = jsonOf<{ items: RelyingPartyAnswer[]; nextCursor: string | null }>(await service.admin.send('GET', PATH));
    const first = jsonOf<typeof all>(await service.admin.send('GET', `${PATH}?limit=1`));
    const rest = jsonOf<typeof all>(await service.admin.send('GET', `${PATH}?cursor=${first.nextCursor}`));
    expect([...first.items, ...rest.items]).toEqual(all.items);
    const named = jsonOf<typeof all>(await service.admin.send('GET', `${PATH}?name=first&state=active&mayAsk=identity&ownerEmail=carol@example.com`));
    expect(named.items.map(({ name }) => name)).toEqual(['first']);
    expect(jsonOf<typeof all>(await service.admin.send('GET', `${PATH}?name=first&state=disabled`)).items).toEqual([]);
  });
});

describe('asking with a token', () => {
  test('status alone tells no agent and no instance; identity does, from the change on', async () => {
    const party = await register();
    const client = as((await tokenOf(party.id)).token);
    const alone = await status(client);
    expect(jsonOf<object>(alone)).toEqual({ serial: agent.serial, status: 'good', notAfter: expect.any(String) as unknown });
    expect(jsonOf<{ statuses: object[] }>(await client.send('POST', '/v1/status', { json: { serials: [agent.serial] } })).statuses).toEqual([jsonOf<object>(alone)]);
    await service.admin.send('PATCH', `${PATH}/${party.id}`, { json: { mayAsk: ['status', 'identity'] } });
    expect(jsonOf<object>(await status(client))).toMatchObject({ status: 'good', agentId: agent.agentId, instanceId: agent.instanceId });
    expect(jsonOf<object>(await status(service.admin))).toMatchObject({ agentId: agent.agentId });
    // An entity tag of the one is none of the other.
    expect((await client.send('GET', `/v1/status/${agent.serial}`, { headers: { 'if-none-match': String(alone.headers.etag) } })).status).toBe(200);
  });

  test('its token is bound to it: shown, listed, revocable one by one, narrowed to asking', async () => {
    const [party, other] = [await register(), await register()];
    const [one, two] = [await tokenOf(party.id), await tokenOf(party.id, { name: 'gateway-2', ttlSeconds: 3600 })];
    expect(answerOf(await service.admin.send('POST', `${PATH}/${party.id}/tokens`, { json: { name: 'third' } }))).toEqual([409, 'relying-party-full']);
    expect(jsonOf<AdminTokenAnswer & { permissions: string[] }>(await as(one.token).send('GET', '/v1/admin-tokens/self'))).toMatchObject({
      id: one.id, role: 'relying-party', relyingPartyId: party.id, permissions: ['status:read', 'own-token:read', 'own-token:rotate'],
    });
    expect(answerOf(await as(one.token).send('GET', '/v1/agents'))).toEqual([403, 'permission-denied']);
    const listed = jsonOf<{ items: AdminTokenAnswer[] }>(await service.admin.send('GET', `${PATH}/${party.id}/tokens`)).items;
    expect(listed.map(({ id }) => id).toSorted()).toEqual([one.id, two.id].toSorted());
    expect(jsonOf<{ items: AdminTokenAnswer[] }>(await service.admin.send('GET', `/v1/admin-tokens?relyingPartyId=${party.id}`)).items).toEqual(listed);

    expect(answerOf(await service.admin.send('POST', `${PATH}/${other.id}/tokens/${one.id}/revoke`))).toEqual([404, 'admin-token-not-found']);
    expect((await status(as(one.token))).status).toBe(200);
    await service.order(`${PATH}/${party.id}/tokens/${one.id}/revoke`);
    expect(answerOf(await status(as(one.token)))).toEqual([401, 'credential-revoked']);
    expect((await status(as(two.token))).status).toBe(200);
    // A place is free again, and a rotated token stays the relying party's.
    await tokenOf(party.id, { name: 'third' });
    const next = jsonOf<{ token: string; relyingPartyId: string }>(await as(two.token).send('POST', '/v1/admin-tokens/self/rotate', { json: {} }));
    expect(next.relyingPartyId).toBe(party.id);
    expect((await status(as(next.token))).status).toBe(200);
  });

  test('a holder that rotates over and over has no more tokens in their overlap than it may have at all', async () => {
    const { id } = await register();
    let { token } = await tokenOf(id);
    const rotate = async (json: object) => as(token).send('POST', '/v1/admin-tokens/self/rotate', { json });
    for (let overlapping = 0; overlapping < 2; overlapping++) ({ token } = jsonOf<{ token: string }>(await rotate({})));
    const refused = await rotate({});
    expect([...answerOf(refused), jsonOf<{ detail: string }>(refused).detail]).toEqual([409, 'relying-party-full', expect.stringContaining('overlapSeconds 0')]);
    ({ token } = jsonOf<{ token: string }>(await rotate({ overlapSeconds: 0 })));
    expect((await status(as(token))).status).toBe(200);
    expect(jsonOf<{ items: AdminTokenAnswer[] }>(await service.admin.send('GET', `${PATH}/${id}/tokens`)).items.filter(({ state }) => state === 'active')).toHaveLength(3);
  });

  test('an operator registers and equips relying parties; one without status:read gives none away', async () => {
    const make = async (json: object) => as(jsonOf<{ token: string }>(await service.order('/v1/admin-tokens', { name: 'staff', ...json })).token);
    const operator = await make({ role: 'operator' });
    const registered = await operator.send('POST', PATH, { json: { name: 'by-operator', ownerEmail: 'bob@example.com' } });
    expect(registered.status).toBe(201);
    const { id } = jsonOf<{ id: string }>(registered);
    expect((await operator.send('POST', `${PATH}/${id}/tokens`, { json: { name: 'x' } })).status).toBe(201);
    const narrow = await make({ role: 'operator', scopes: ['relying-parties:manage'] });
    const refused = await narrow.send('POST', `${PATH}/${id}/tokens`, { json: { name: 'x' } });
    expect([...answerOf(refused), jsonOf<{ detail: string }>(refused).detail]).toEqual([403, 'permission-denied', expect.stringContaining('status:read, own-token:rotate')]);
    const auditor = await make({ role: 'auditor' });
    expect([(await auditor.send('GET', PATH)).status, (await auditor.send('POST', `${PATH}/${id}/disable`)).status]).toEqual([200, 403]);
  });

  test('a token from before registrations keeps working, with identity', async () => {
    const { id, token, secretHash } = makeAdminToken(new Date(), createSystemRandom());
    await inTransaction(service.database.db, (tx) => insertAdminToken(tx, { id, name: 'old', role: 'relying-party', secretHash, expiresAt: null }, new Date()));
    expect(jsonOf<object>(await status(as(token)))).toMatchObject({ status: 'good', agentId: agent.agentId });
  });
});

describe('asking with a certificate', () => {
  test('of any CA, whatever it is made for: pinned, it asks; removed, it is a stranger', async () => {
    const party = await register();
    const one = await pinned(party.id, selfSigned('gateway.example.com', { newKey: ['rsa:2048'] }));
    expect(one).toMatchObject({ subject: 'CN=gateway.example.com', fingerprint: new X509Certificate(one.certificate).fingerprint256.replaceAll(':', '').toLowerCase() });
    const client = service.mtls(one.identity);
    expect(jsonOf<object>(await status(client))).toEqual({ serial: agent.serial, status: 'good', notAfter: expect.any(String) as unknown });
    // Nothing else on that door is for it.
    const renewal = await client.send('POST', '/v1/certificates/renew', { json: { csr: 'AAAA' } });
    expect(renewal.status).toBe(401);
    expect((await service.mtls(agent).send('GET', `/v1/status/${agent.serial}`)).status).toBe(200);

    await service.order(`${PATH}/${party.id}/certificates/${one.id}/remove`);
    expect(answerOf(await status(client))).toEqual([401, 'client-certificate-untrusted']);
    expect((await eventsOf(party.id)).map(([kind]) => kind)).toEqual(['relying-party.registered', 'relying-party.certificate-added', 'relying-party.certificate-removed']);
  });

  test('another key under the same name is not it', async () => {
    const party = await register();
    await pinned(party.id, selfSigned('same-name'));
    expect(answerOf(await status(service.mtls(selfSigned('same-name').identity)))).toEqual([401, 'client-certificate-untrusted']);
  });

  test('expiry counts on every request, also on a connection that is open', async () => {
    const party = await register();
    const one = await pinned(party.id);
    const client = createClient({ url: service.signet.urls.mtls, ca: service.signet.rootPem, identity: one.identity, connections: 1 });
    expect((await status(client)).status).toBe(200);
    await service.database.db.relyingPartyCertificate.update({ where: { id: one.id }, data: { notAfter: new Date() } });
    // Any change makes the replica look again; left alone it would within a second.
    await service.order(`${PATH}/${party.id}/enable`);
    expect(answerOf(await status(client))).toEqual([401, 'client-certificate-expired']);
    client.close();
  });

  test('what cannot be pinned', async () => {
    const party = await register();
    const refused = async (certificate: string) => {
      const reply = await pin(party.id, certificate);
      return [...answerOf(reply), jsonOf<{ detail: string }>(reply).detail];
    };
    const good = selfSigned('x');
    expect(await refused('nothing')).toEqual([400, 'invalid-request', expect.any(String)]);
    expect(await refused(good.certificate + good.certificate)).toEqual([400, 'invalid-request', expect.stringContaining('more')]);
    expect(await refused(good.key)).toEqual([400, 'invalid-request', expect.any(String)]);
    expect(await refused('-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n')).toEqual([422, 'relying-party-certificate-refused', expect.stringContaining('X.509 v3')]);
    expect(await refused(selfSigned('x', { version: 1 }).certificate)).toEqual([422, 'relying-party-certificate-refused', expect.stringContaining('X.509 v3')]);
    expect(await refused(selfSigned('x', { days: -1 }).certificate)).toEqual([422, 'relying-party-certificate-refused', expect.stringContaining('expired')]);
    expect(await refused(selfSigned('x', { newKey: ['rsa:1024'] }).certificate)).toEqual([422, 'relying-party-certificate-refused', expect.stringContaining('2048')]);
    expect(await refused(selfSigned('x', { newKey: ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'] }).certificate)).toEqual([422, 'relying-party-certificate-refused', expect.stringContaining('P-256')]);
    // Ours: revoked here it must not go on as a pin.
    expect(await refused(agent.chain.slice(0, agent.chain.indexOf('-----END') + 26))).toEqual([422, 'relying-party-certificate-refused', expect.stringContaining('issued here')]);
    expect(answerOf(await pin(party.id, good.certificate))).toEqual([201, undefined]);
    expect((await refused(good.certificate)).slice(0, 2)).toEqual([409, 'relying-party-certificate-taken']);
    expect(answerOf(await pin((await register()).id, good.certificate))).toEqual([409, 'relying-party-certificate-taken']);
    await pinned(party.id);
    expect((await refused(selfSigned('x').certificate)).slice(0, 2)).toEqual([409, 'relying-party-full']);
  });

  test('refusals on this door are recorded under who holds the certificate', async () => {
    const party = await register();
    const one = await pinned(party.id);
    await service.order(`${PATH}/${party.id}/disable`);
    expect(answerOf(await status(service.mtls(one.identity)))).toEqual([403, 'relying-party-disabled']);
    const revoked = await service.enrolled();
    await service.order(`/v1/certificates/${revoked.serial}/revoke`, { reason: 'superseded' });
    expect(answerOf(await status(service.mtls(revoked)))).toEqual([403, 'client-certificate-revoked']);
    const stranger = selfSigned('stranger');
    await status(service.mtls(stranger.identity));
    const shown = [one.certificate, revoked.chain, stranger.certificate].map((pem) => new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase());
    const denied = async () => (await service.database.db.auditEvent.findMany({ where: { kind: 'request.denied', target: 'getStatus' } })).filter(({ event }) => shown.some((sha256) => Buffer.from(event).includes(sha256)));
    const seen = async () => (await denied()).map(({ actorKind, actorId, agentId }) => [actorKind, actorId, agentId]).toSorted();
    const expected = [['agent', revoked.agentId, revoked.agentId], ['relying-party', party.id, null], ['system', 'anonymous', null]].toSorted();
    for (let left = 100; JSON.stringify(await seen()) !== JSON.stringify(expected) && left > 0; left--) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await seen()).toEqual(expected);
  });
});

test('disabled, all it holds is refused by the next request of every worker; enabled, it works again', async () => {
  const party = await register();
  const [{ token }, one] = [await tokenOf(party.id), await pinned(party.id)];
  // Connections are handed out in turn: so many reach both workers, by token and by certificate.
  const clients = Array.from({ length: 4 }, () => [
    createClient({ url: service.signet.urls.api, ca: service.signet.rootPem, token, connections: 1 }),
    createClient({ url: service.signet.urls.mtls, ca: service.signet.rootPem, identity: one.identity, connections: 1 }),
  ]).flat();
  for (const client of clients) expect((await status(client)).status).toBe(200);
  await service.order(`${PATH}/${party.id}/disable`, { reason: 'incident 7' });
  for (const client of clients) expect(answerOf(await status(client))).toEqual([403, 'relying-party-disabled']);
  // Its wrong secret is refused as anybody's.
  expect(answerOf(await status(as(`${token.slice(0, -4)}AAAA`)))).toEqual([401, 'invalid-credential']);
  await service.order(`${PATH}/${party.id}/enable`);
  for (const client of clients) expect((await status(client)).status).toBe(200);
  for (const client of clients) client.close();
});

test('status needs an identity; CRL and OCSP do not', async () => {
  expect(answerOf(await status(service.open))).toEqual([401, 'authentication-required']);
  expect(answerOf(await status(service.mtls()))).toEqual([401, 'client-certificate-required']);
  expect((await service.open.send('POST', '/v1/status', { json: { serials: [agent.serial] } })).status).toBe(401);
});

test('statusAccess open: anyone may ask, and learns nobody’s name; a wrong credential is refused all the same', async () => {
  const open = await startService({ database: service.database, dataDir: service.signet.dataDir, env: { SIGNET_STATUS_ACCESS: 'open' } });
  try {
    for (const client of [open.open, open.mtls()]) {
      expect(jsonOf<object>(await status(client))).toEqual({ serial: agent.serial, status: 'good', notAfter: expect.any(String) as unknown });
      expect((await client.send('POST', '/v1/status', { json: { serials: [agent.serial] } })).status).toBe(200);
    }
    expect(answerOf(await open.open.send('GET', '/v1/agents'))).toEqual([401, 'authentication-required']);
    expect(answerOf(await status(createClient({ url: open.signet.urls.api, ca: open.signet.rootPem, token: 'sga_x' })))).toEqual([401, 'invalid-credential']);
    expect(jsonOf<object>(await status(open.admin))).toMatchObject({ agentId: agent.agentId });
  } finally {
    await open.close();
  }
}, 30_000);
