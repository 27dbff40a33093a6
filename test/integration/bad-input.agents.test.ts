/** Registrations and questions about them that make no sense: names taken, nobody who answers, bombs of labels, cursors of other lists. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jsonOf, type Reply } from '../support/https-client.ts';
import { expectRefused, unchanged, type Refusal } from '../support/refusals.ts';
import { startService, type Service } from '../support/service.ts';

let service: Service;
let agentId: string;
const TAKEN = 'taken';
beforeAll(async () => {
  service = await startService();
  agentId = await service.register({ name: TAKEN });
});
afterAll(() => service.close());

const refuse = async (refusal: Refusal, work: () => Promise<Reply>) => expectRefused(await unchanged(service.database, work), refusal);
const register = (changes: object) => () => service.admin.send('POST', '/v1/agents', { json: { name: 'new-one', purpose: 'testing', ownerEmail: 'owner@example.com', ...changes } });
const change = (changes: object, headers: Record<string, string> = {}) => () => service.admin.send('PATCH', `/v1/agents/${agentId}`, { json: changes, headers });
const invalid = (says: RegExp): Refusal => ({ status: 400, code: 'invalid-request', says });

describe('names:', () => {
  const taken: Refusal = { status: 409, code: 'agent-name-taken', says: /another agent .* has the name taken/ };

  test('taken, at registration and at a change', async () => {
    await refuse(taken, register({ name: TAKEN }));
    const other = await service.register();
    await refuse(taken, () => service.admin.send('PATCH', `/v1/agents/${other}`, { json: { name: TAKEN } }));
  });

  test('of ten registrations of one name at once exactly one succeeds', async () => {
    const replies = await Promise.all(Array.from({ length: 10 }, () => register({ name: 'contested' })()));
    const lost = replies.filter(({ status }) => status !== 201);
    expect(lost).toHaveLength(9);
    for (const reply of lost) expectRefused(reply, { ...taken, says: /has the name contested/ });
    expect(await service.database.ownerDb.agent.count({ where: { name: 'contested' } })).toBe(1);
  });

  test.each(['', '-a', 'A', 'a b', 'a.b', 'ä', 'a'.repeat(64), 'a\0', 'a\n', 7, null, ['a'], {}])('%j is none', (name) => refuse(invalid(/\/name/), register({ name })));
});

describe('owners:', () => {
  test('an agent without one is not active, and cannot be activated', async () => {
    const { id, state } = jsonOf<{ id: string; state: string }>(await service.admin.send('POST', '/v1/agents', { json: { name: 'nobodys', purpose: 'testing' } }));
    expect(state).toBe('proposed');
    await refuse({ status: 422, code: 'owner-required', says: /set ownerEmail/ }, () => service.admin.send('POST', `/v1/agents/${id}/activate`, { json: {} }));
  });

  test('an active agent does not lose its owner', () => refuse(invalid(/\/ownerEmail/), change({ ownerEmail: null })));

  test.each(['nobody', 'a@', '@example.com', 'a@b@c.example', 'a b@example.com', `${'a'.repeat(250)}@example.com`, 'a@example.com\r\nBcc: b@example.com', 'a\0@example.com', 5, ['a@example.com']])(
    '%j is no address',
    async (address) => {
      await refuse(invalid(/\/ownerEmail/), register({ ownerEmail: address }));
      await refuse(invalid(/\/deputyEmail/), register({ deputyEmail: address }));
    },
  );
});

describe('bombs of labels:', () => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));
  const BOMBS: Record<string, [labels: unknown, refusal: Refusal]> = {
    '33 labels': [many(33), invalid(/\/labels: must have at most 32 members/)],
    '3000 labels': [many(3000), invalid(/\/labels/)],
    'a hundred thousand labels': [many(100_000), { status: 413, code: 'body-too-large', says: /65536 octets/ }],
    'a value of 256 characters': [{ k: 'v'.repeat(256) }, invalid(/\/labels\/k/)],
    'a value of 60 kB': [{ k: 'v'.repeat(60_000) }, invalid(/\/labels\/k/)],
    'a value that is no text': [{ k: { nested: true } }, invalid(/\/labels\/k/)],
    'a list': [['k'], invalid(/\/labels/)],
    'a key of 64 characters': [{ ['k'.repeat(64)]: 'v' }, invalid(/\/labels/)],
    'an empty key': [{ '': 'v' }, invalid(/\/labels/)],
    'a key with a space': [{ 'a b': 'v' }, invalid(/\/labels/)],
    'a key that ends in a dot': [{ 'a.': 'v' }, invalid(/\/labels/)],
    'the prototype': [JSON.parse('{"__proto__": "v"}'), invalid(/\/labels/)],
    'a value with a NUL': [{ k: 'a\0b' }, invalid(/\/labels\/k/)],
    'a value with half a character': [{ k: '\ud800' }, invalid(/\/labels\/k/)],
    'a value with a line break': [{ k: 'a\nb' }, invalid(/\/labels\/k/)],
  };

  test.each(Object.entries(BOMBS))('%s', async (_, [labels, refusal]) => {
    await refuse(refusal, register({ labels }));
    await refuse(refusal, change({ labels }));
  });

  test('a key as long as it may be is echoed only in part', async () => {
    const problem = await refuse(invalid(/\/labels/), register({ labels: { ['<script>'.repeat(2000)]: 'v' } }));
    expect(JSON.stringify(problem).length).toBeLessThan(1000);
  });
});

describe('other members:', () => {
  const CASES: Record<string, [changes: object, refusal: Refusal]> = {
    'no purpose': [{ purpose: undefined }, invalid(/\/purpose/)],
    'a purpose of spaces': [{ purpose: '   ' }, invalid(/\/purpose/)],
    'a purpose of 1001 characters': [{ purpose: 'p'.repeat(1001) }, invalid(/\/purpose/)],
    'a purpose with a NUL': [{ purpose: 'a\0b' }, invalid(/\/purpose: must not contain control characters/)],
    'a purpose with half a character': [{ purpose: 'a\udfff' }, invalid(/\/purpose/)],
    'a risk class of its own': [{ riskClass: 'none' }, invalid(/\/riskClass/)],
    'an environment with a slash': [{ environment: 'a/b' }, invalid(/\/environment/)],
    'a member nobody knows': [{ isAdmin: true }, invalid(/\/isAdmin: is not known here/)],
    'its own id': [{ id: '01KAMV3W5QZ3C1D6X2G7R8S9TZ' }, invalid(/\/id: is not known here/)],
    'its own state': [{ state: 'active' }, invalid(/\/state: is not known here/)],
    'an unknown profile': [{ profile: 'nonesuch' }, { status: 422, code: 'profile-not-found', says: /no profile nonesuch; known: agent, ephemeral, service/ }],
    'a life above the profile': [{ ttlCapSeconds: 86_401 }, { status: 403, code: 'ttl-not-granted', says: /at most 86400/ }],
    'a life of nothing': [{ ttlCapSeconds: 0 }, invalid(/\/ttlCapSeconds/)],
    "Signet's own host as DNS name": [{ dnsNames: ['localhost'] }, { status: 422, code: 'dns-name-reserved', says: /Signet's own .* localhost/ }],
    'the trust domain as DNS name': [{ dnsNames: ['SIGNET.internal'] }, { status: 422, code: 'dns-name-reserved', says: /signet\.internal/ }],
    'an IP address as DNS name': [{ dnsNames: ['127.0.0.1'] }, invalid(/\/dnsNames\/0: must be a host name/)],
    'a wildcard': [{ dnsNames: ['*.example.com'] }, invalid(/\/dnsNames\/0/)],
    'one DNS name twice': [{ dnsNames: ['a.example', 'A.example'] }, invalid(/\/dnsNames\/1: is there twice/)],
    'a DNS name with a NUL': [{ dnsNames: ['a.example\0.b.example'] }, invalid(/\/dnsNames\/0/)],
    '16 DNS names': [{ dnsNames: Array.from({ length: 16 }, (_, i) => `n${i}.example`) }, invalid(/fewer than 16 members/)],
  };

  test.each(Object.entries(CASES))('%s', (_, [changes, refusal]) => refuse(refusal, register(changes)));

  test('many faults are all told, but not without end', async () => {
    const faults = await refuse(invalid(/^\/\w+: /), register({ name: 'A', riskClass: 'none', dnsNames: Array.from({ length: 64 }, () => 7) }));
    expect(faults.fields?.length).toBe(20);
    expect(faults.fields?.map(({ path }) => path)).toEqual(expect.arrayContaining(['/riskClass', '/dnsNames/0']));
  });
});

describe('changes:', () => {
  const NOBODY = '01KAMV3W5QZ3C1D6X2G7R8S9TZ';
  test('of nothing', () => refuse(invalid(/must change something/), change({})));
  test('based on another version', () => refuse({ status: 412, code: 'agent-changed', says: /at version 1, not 99/ }, change({ purpose: 'new' }, { 'if-match': '"99"' })));
  test.each(['*', 'W/"1"', '1', '"1", "2"', '"-1"', '"99999999999"'])('based on %p, which is no version', (version) => refuse(invalid(/If-Match/), change({ purpose: 'new' }, { 'if-match': version })));
  test('of nobody', () => refuse({ status: 404, code: 'agent-not-found', says: new RegExp(NOBODY) }, () => service.admin.send('PATCH', `/v1/agents/${NOBODY}`, { json: { purpose: 'x' } })));
  test.each(['suspend', 'resume'])('%s what is only proposed', async (step) => {
    const { id } = jsonOf<{ id: string }>(await service.admin.send('POST', '/v1/agents', { json: { name: `only-proposed-${step}`, purpose: 'testing' } }));
    await refuse({ status: 409, code: 'agent-state-conflict', says: /not suspended|proposed/ }, () => service.admin.send('POST', `/v1/agents/${id}/${step}`, { json: {} }));
  });
  test('of what is retired', async () => {
    const gone = await service.register();
    await service.order(`/v1/agents/${gone}/retire`);
    const retired: Refusal = { status: 410, code: 'agent-retired', says: /for ever/ };
    for (const step of ['activate', 'suspend', 'resume']) await refuse(retired, () => service.admin.send('POST', `/v1/agents/${gone}/${step}`, { json: {} }));
    await refuse(retired, () => service.admin.send('PATCH', `/v1/agents/${gone}`, { json: { purpose: 'x' } }));
  });
});

describe('cursors:', () => {
  const LISTS = ['agents', 'certificates', 'audit', 'findings'];
  const read = (path: string) => () => service.admin.send('GET', path);
  const cursorOf = async (path: string) => jsonOf<{ nextCursor: string }>(await read(path)()).nextCursor;
  const mismatch: Refusal = { status: 400, code: 'cursor-mismatch', says: /filters it came with, or start without/ };
  const broken: Refusal = { status: 400, code: 'cursor-invalid', says: /start without a cursor/ };

  beforeAll(async () => {
    await service.enrolled(agentId);
    await service.enrolled(agentId);
    await service.joinToken(agentId);
  });

  test.each([
    ['/v1/agents?limit=1&state=active', '/v1/agents?limit=1', '/v1/agents?limit=1&state=suspended'],
    [`/v1/certificates?limit=1&status=good`, '/v1/certificates?limit=1', '/v1/certificates?limit=1&status=revoked'],
    ['/v1/audit?limit=1&kind=agent.registered', '/v1/audit?limit=1', '/v1/audit?limit=1&kind=agent.changed'],
  ])('of %s is good for it alone', async (own, ...others) => {
    const cursor = await cursorOf(own);
    expect(typeof cursor).toBe('string');
    expect((await read(`${own}&cursor=${cursor}`)()).status).toBe(200);
    for (const other of others) await refuse(mismatch, read(`${other}&cursor=${cursor}`));
  });

  test('of another list, or of another agent', async () => {
    const cursor = await cursorOf('/v1/agents?limit=1');
    for (const list of LISTS.slice(1)) await refuse(mismatch, read(`/v1/${list}?cursor=${cursor}`));
    const other = await service.register();
    const tokens = await cursorOf(`/v1/agents/${agentId}/join-tokens?limit=1`);
    await refuse(mismatch, read(`/v1/agents/${other}/join-tokens?cursor=${tokens}`));
  });

  const print = async () => (JSON.parse(Buffer.from(await cursorOf('/v1/agents?limit=1'), 'base64url').toString()) as string[])[0] ?? '';
  const made = (parts: unknown) => Buffer.from(JSON.stringify(parts)).toString('base64url');

  test.each(['x', 'not+base64', '%00', 'e30', 'a'.repeat(1024), made('text'), made([1]), made({}), made(null)])('%p is none', (cursor) => refuse(broken, read(`/v1/agents?cursor=${cursor}`)));

  test('a key that is no key is not looked for', async () => {
    for (const key of [[], ["' OR 1=1 --"], ['a', 'b'], ['01KAMV3W5QZ3C1D6X2G7R8S9T\0']]) await refuse(broken, read(`/v1/agents?cursor=${made([await print(), ...key])}`));
  });

  test.each([
    ['', /\/query\/cursor/],
    ['a'.repeat(1025), /\/query\/cursor/],
  ])('%# is not even a word', (cursor, says) => refuse(invalid(says), read(`/v1/agents?cursor=${cursor}`)));

  test.each(['0', '-1', 'many', '1e3', '99999999999999999999', '1&limit=2'])('a page of %p', (limit) => refuse(invalid(/\/query\/limit/), read(`/v1/agents?limit=${limit}`)));
});
