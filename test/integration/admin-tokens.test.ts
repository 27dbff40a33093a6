import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createAdminToken } from '../../src/admins/create.ts';
import { revokeAdminToken } from '../../src/admins/revoke.ts';
import { makeAdminToken } from '../../src/admins/secret.ts';
import { rotateAdminToken, type Rotation } from '../../src/admins/rotate.ts';
import { createAdminTokens } from '../../src/admins/tokens.ts';
import type { AdminTokenAnswer } from '../../src/api/admin-tokens.ts';
import { ADMIN_ROLES, type Permission, type TokenRole } from '../../src/api/permissions.ts';
import type { Origin } from '../../src/audit/events.ts';
import { loadConfig } from '../../src/config/load.ts';
import { noBarrier } from '../../src/core/barrier.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { alone } from '../../src/core/siblings.ts';
import { endOfUnlimitedAdmins, insertAdminToken, lockForRevocation, markAdminTokenRevoked } from '../../src/db/admin-tokens.ts';
import { deleteAdminTokens } from '../../src/db/retention.ts';
import { listAdminTokenViews } from '../../src/db/views/admin-tokens.ts';
import { createPinnedCertificates } from '../../src/relying-parties/pinned-certificates.ts';
import { inTransaction } from '../../src/db/client.ts';
import { codeOf } from '../support/agents.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';
import { createClient, jsonOf, type Client, type Reply } from '../support/https-client.ts';
import { startService, type Service } from '../support/service.ts';

interface Made {
  id: string;
  name: string;
  role: TokenRole;
  scopes: Permission[] | null;
  token: string;
  expiresAt: string | null;
  predecessorId: string | null;
  predecessorEndsAt: string | null;
}
const NEVER = { signal: new AbortController().signal, record: () => Promise.resolve() };
const DAY_MS = 86_400_000;

describe('over HTTP', () => {
  let service: Service;
  const clients: Client[] = [];
  beforeAll(async () => {
    // The bootstrap token, as it is made, ends in less than this.
    service = await startService({ env: { SIGNET_ADMIN_TOKEN_WARN_DAYS: '90' } });
  }, 90_000);
  afterAll(async () => {
    for (const client of clients) client.close();
    await service.close();
  });

  const PATH = '/v1/admin-tokens';
  const answerOf = (reply: Reply) => [reply.status, jsonOf<{ code?: string }>(reply).code];
  const as = (token: string): Client => {
    const client = createClient({ url: service.signet.urls.api, ca: service.signet.rootPem, token, connections: 1 });
    clients.push(client);
    return client;
  };
  async function make(json: object, headers: Record<string, string> = {}): Promise<Made> {
    const reply = await service.admin.send('POST', PATH, { json, headers });
    expect(reply.status).toBe(201);
    return jsonOf<Made>(reply);
  }
  const revoke = (id: string, by: Client = service.admin) => by.send('POST', `${PATH}/${id}/revoke`);
  const page = async (query = '') => jsonOf<{ items: AdminTokenAnswer[]; nextCursor: string | null }>(await service.admin.send('GET', PATH + query));

  test('when the last admin token ends before long, /readyz says so, until there is another', async () => {
    const operations = createClient({ url: service.signet.urls.operations });
    const warned = async () => jsonOf<{ warnings: string[] }>(await operations.send('GET', '/readyz')).warnings.filter((warning) => warning.includes('role admin'));
    expect(await warned()).toEqual([expect.stringMatching(/^the last API token of role admin ends at .* rotate it/)]);
    await make({ name: 'longer', role: 'admin', ttlSeconds: 31_536_000 });
    // Readiness is looked at anew every other moment only.
    for (let left = 300; (await warned()).length > 0; left--) {
      expect(left).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });

  test('a token is shown once, repeated only under its key, stored as a hash, recorded, listed without its secret, revoked once', async () => {
    const made = await make({ name: 'ci', role: 'operator', ttlSeconds: 3600 }, { 'idempotency-key': 'one' });
    expect(made).toMatchObject({ name: 'ci', role: 'operator', expiresAt: expect.stringMatching(/Z$/) as unknown });
    expect(await make({ name: 'ci', role: 'operator', ttlSeconds: 3600 }, { 'idempotency-key': 'one' })).toEqual(made);
    const { db } = service.database;
    const secret = made.token.slice(-43);
    const stored = await db.adminToken.findMany({ where: { name: 'ci' } });
    expect(stored.map(({ secretHash }) => Buffer.from(secretHash))).toEqual([createHash('sha256').update(secret).digest()]);
    const kept = await db.idempotencyRecord.findMany({ where: { route: 'createAdminToken' } });
    expect(kept.map(({ sealed, answer }) => [sealed, Buffer.from(answer ?? []).includes(secret)])).toEqual([[true, false]]);

    const user = as(made.token);
    expect((await user.send('GET', '/v1/agents')).status).toBe(200);
    const listed = await service.admin.send('GET', PATH);
    expect(listed.body.includes(secret)).toBe(false);
    expect((await page()).items.find(({ id }) => id === made.id)).toMatchObject({ state: 'active', role: 'operator', revokedAt: null, expiresAt: made.expiresAt });

    const first = await revoke(made.id);
    expect(jsonOf<AdminTokenAnswer>(first)).toMatchObject({ id: made.id, state: 'revoked', revokedAt: expect.stringMatching(/Z$/) as unknown });
    expect(answerOf(await user.send('GET', '/v1/agents'))).toEqual([401, 'credential-revoked']);
    expect((await revoke(made.id)).body).toEqual(first.body);
    const events = await db.auditEvent.findMany({ where: { target: made.id }, orderBy: { n: 'asc' } });
    expect(events.map(({ kind }) => kind)).toEqual(['admin-token.created', 'admin-token.revoked']);
    expect(events.some(({ event }) => Buffer.from(event).includes(secret))).toBe(false);
  });

  const endsInDays = (made: Pick<Made, 'expiresAt'>) => Math.round((Date.parse(made.expiresAt ?? '') - Date.now()) / DAY_MS);

  test('every token has an end: 90 days when nothing is said, a year at most; the bootstrap token as any other', async () => {
    expect(endsInDays(await make({ name: 'no-ttl', role: 'auditor' }))).toBe(90);
    expect(endsInDays(await make({ name: 'a-year', role: 'auditor', ttlSeconds: 31_536_000 }))).toBe(365);
    expect(answerOf(await service.admin.send('POST', PATH, { json: { name: 'more', role: 'auditor', ttlSeconds: 31_536_001 } }))).toEqual([403, 'ttl-not-granted']);
    expect((await page()).items.filter(({ name }) => name === 'bootstrap').map(endsInDays)).toEqual([90]);
  });

  test('pages, oldest first', async () => {
    const all = (await page()).items.map(({ id }) => id);
    const first = await page('?limit=1');
    const rest = await page(`?cursor=${first.nextCursor}`);
    expect([...first.items, ...rest.items].map(({ id }) => id)).toEqual(all);
    expect(answerOf(await service.admin.send('GET', `${PATH}?cursor=AAAA`))).toEqual([400, 'cursor-invalid']);
  });

  test.each([
    [{ role: 'admin' }],
    [{ name: 'Not A Name', role: 'admin' }],
    [{ name: 'x', role: 'root' }],
    [{ name: 'x', role: 'enrollment' }],
    [{ name: 'x', role: 'relying-party' }],
    [{ name: 'x', role: 'operator', scopes: [] }],
    [{ name: 'x', role: 'operator', scopes: ['public'] }],
    [{ name: 'x', role: 'operator', scopes: ['certificates:issue'] }],
    [{ name: 'x', role: 'operator', scopes: ['agents:read', 'audit:read'] }],
    [{ name: 'x', role: 'admin', ttlSeconds: 0 }],
    [{ name: 'x', role: 'admin', secretHash: 'AA' }],
  ])('%j makes no token', async (json) => {
    const { db } = service.database;
    const before = await db.adminToken.count();
    expect(answerOf(await service.admin.send('POST', PATH, { json }))).toEqual([400, 'invalid-request']);
    expect(await db.adminToken.count()).toBe(before);
  });

  test('a token that does not exist cannot be revoked', async () => {
    expect(answerOf(await revoke('01KAMV3W5QZ3C1D6X2G7R8S9TZ'))).toEqual([404, 'admin-token-not-found']);
    expect(answerOf(await revoke('x'))).toEqual([400, 'invalid-request']);
  });

  test('each role may do what it is for, and only an admin makes and revokes tokens', async () => {
    const victim = await make({ name: 'victim', role: 'operator' });
    const statusesOf = async (role: TokenRole) => {
      const client = as((await make({ name: `as-${role}`, role })).token);
      const asked = [
        await client.send('GET', `/v1/status/${'01'.repeat(20)}`),
        await client.send('GET', '/v1/agents'),
        await client.send('POST', '/v1/agents', { json: { name: `by-${role}`, purpose: 'tests' } }),
        await client.send('GET', '/v1/audit'),
        await client.send('GET', PATH),
        await client.send('POST', PATH, { json: { name: `by-${role}`, role: 'admin' } }),
        await revoke(victim.id, client),
      ];
      return [role, ...asked.map(({ status }) => status)];
    };
    // The status of an unknown serial is an answer as well.
    const expected = [
      ['admin', 200, 200, 201, 200, 200, 201, 200],
      ['operator', 200, 200, 201, 403, 403, 403, 403],
      ['auditor', 200, 200, 403, 200, 200, 403, 403],
    ];
    const seen = [];
    for (const role of ADMIN_ROLES) seen.push(await statusesOf(role));
    expect(seen).toEqual(expected);
    for (const [method, path] of [['GET', PATH], ['POST', PATH], ['POST', `${PATH}/${victim.id}/revoke`]] as const) {
      expect(answerOf(await service.open.send(method, path))).toEqual([401, 'authentication-required']);
    }
    expect(await service.database.db.adminToken.count({ where: { name: { in: ['by-operator', 'by-auditor'] } } })).toBe(0);
  });

  test('an expired token is refused, and shown as expired', async () => {
    const { id, token, secretHash } = makeAdminToken(new Date(), createSystemRandom());
    await inTransaction(service.database.ownerDb, (tx) => insertAdminToken(tx, { id, name: 'old', role: 'admin', secretHash, expiresAt: new Date(Date.now() - 1) }, new Date()));
    expect(answerOf(await as(token).send('GET', PATH))).toEqual([401, 'credential-expired']);
    expect((await page()).items.find((item) => item.id === id)?.state).toBe('expired');
  });

  test('scopes narrow a token, and nobody gives what they do not have: refused with what is lacking, and recorded', async () => {
    const scoped = await make({ name: 'maker', role: 'admin', scopes: ['admin-tokens:manage', 'agents:read', 'agents:read'] });
    expect(scoped.scopes).toEqual(['admin-tokens:manage', 'agents:read']);
    const maker = as(scoped.token);
    expect(jsonOf<object>(await maker.send('GET', `${PATH}/self`))).toMatchObject({ id: scoped.id, role: 'admin', scopes: scoped.scopes, state: 'active', permissions: ['agents:read', 'own-token:read', 'admin-tokens:manage'] });
    expect((await maker.send('GET', '/v1/agents')).status).toBe(200);
    const denied = await maker.send('GET', '/v1/audit');
    expect([...answerOf(denied), jsonOf<{ detail: string }>(denied).detail]).toEqual([403, 'permission-denied', 'this needs the permission audit:read, which the scopes of this token leave out']);

    const wider = await maker.send('POST', PATH, { json: { name: 'wider', role: 'auditor', scopes: ['agents:read', 'audit:read', 'jobs:read'] } });
    expect([...answerOf(wider), jsonOf<{ detail: string }>(wider).detail]).toEqual([403, 'permission-denied', 'the token would have permissions that yours does not have: audit:read, jobs:read']);
    expect(answerOf(await maker.send('POST', PATH, { json: { name: 'wider', role: 'admin' } }))).toEqual([403, 'permission-denied']);
    const equal = await maker.send('POST', PATH, { json: { name: 'equal', role: 'operator', scopes: ['agents:read'] } });
    expect(equal.status).toBe(201);

    // Nor rotates to it: a token that may do more than its maker.
    const victim = await make({ name: 'victim-of-rotation', role: 'auditor' });
    expect(answerOf(await maker.send('POST', `${PATH}/${victim.id}/rotate`, { json: {} }))).toEqual([403, 'permission-denied']);
    expect((await maker.send('POST', `${PATH}/${jsonOf<Made>(equal).id}/rotate`, { json: {} })).status).toBe(201);
    // Its own it may replace only where its scopes say so.
    expect(answerOf(await maker.send('POST', `${PATH}/self/rotate`, { json: {} }))).toEqual([403, 'permission-denied']);
    const { db } = service.database;
    expect(await db.adminToken.count({ where: { name: 'wider' } })).toBe(0);
    for (let left = 100; (await db.auditEvent.count({ where: { kind: 'request.denied', actorId: scoped.id } })) < 5; left--) {
      expect(left).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // Each is written by itself, in no order.
    expect((await db.auditEvent.findMany({ where: { kind: 'request.denied', actorId: scoped.id } })).map(({ target }) => target).toSorted()).toEqual([
      'createAdminToken', 'createAdminToken', 'listAudit', 'rotateAdminToken', 'rotateOwnAdminToken',
    ]);
  });

  test('rotation: the same with another secret, both usable for the overlap, then only the new one', async () => {
    const old = await make({ name: 'rotating', role: 'operator', scopes: ['agents:read', 'own-token:rotate'], ttlSeconds: 3600 });
    const user = as(old.token);
    const rotate = () => user.send('POST', `${PATH}/self/rotate`, { json: {}, headers: { 'idempotency-key': 'r' } });
    const first = await rotate();
    const next = jsonOf<Made>(first);
    expect([first.status, { ...next, id: '', token: '', expiresAt: '', predecessorEndsAt: '' }]).toEqual([
      201, { id: '', token: '', expiresAt: '', predecessorEndsAt: '', name: 'rotating', role: 'operator', scopes: old.scopes, predecessorId: old.id, relyingPartyId: null },
    ]);
    expect(next.token).not.toBe(old.token);
    // The lost answer can be had again; another rotation cannot.
    const again = await rotate();
    expect([again.headers['idempotency-replayed'], again.body]).toEqual(['true', first.body]);
    expect(answerOf(await user.send('POST', `${PATH}/self/rotate`, { json: {} }))).toEqual([409, 'admin-token-state-conflict']);
    const stored = await service.database.db.idempotencyRecord.findMany({ where: { caller: `admin:${old.id}` } });
    expect(stored.map(({ sealed, answer }) => [sealed, Buffer.from(answer ?? []).includes(next.token.slice(-43))])).toEqual([[true, false]]);

    for (const { token } of [old, next]) expect((await as(token).send('GET', '/v1/agents')).status).toBe(200);
    const { expiresAt } = await service.database.db.adminToken.findUniqueOrThrow({ where: { id: old.id } });
    expect(expiresAt?.toISOString()).toBe(next.predecessorEndsAt);
    // The overlap is over now; believed for a second at most.
    await service.database.db.adminToken.update({ where: { id: old.id }, data: { expiresAt: new Date() } });
    for (let left = 300; (await user.send('GET', '/v1/agents')).status === 200; left--) {
      expect(left).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const refused = await user.send('GET', '/v1/agents');
    expect([...answerOf(refused), jsonOf<{ detail: string }>(refused).detail]).toEqual([401, 'credential-expired', expect.stringContaining(`it was rotated to ${next.id}`)]);
    expect((await as(next.token).send('GET', '/v1/agents')).status).toBe(200);
    expect((await page('?name=rotating')).items).toMatchObject([{ id: old.id, state: 'expired', successorId: next.id }, { id: next.id, state: 'active', predecessorId: old.id, successorId: null }]);
    const [event] = await service.database.db.auditEvent.findMany({ where: { kind: 'admin-token.rotated', target: old.id } });
    expect(JSON.parse(Buffer.from(event?.event ?? []).toString())).toMatchObject({ actor: { kind: 'admin', id: old.id }, detail: { name: 'rotating', successor: next.id } });
  });

  test('rotation with no overlap ends the old token at once; a token that ended is not rotated', async () => {
    const old = await make({ name: 'at-once', role: 'auditor' });
    const user = as(old.token);
    expect((await user.send('GET', '/v1/agents')).status).toBe(200);
    const next = jsonOf<Made>(await service.admin.send('POST', `${PATH}/${old.id}/rotate`, { json: { overlapSeconds: 0, ttlSeconds: 60 } }));
    expect(answerOf(await user.send('GET', '/v1/agents'))).toEqual([401, 'credential-expired']);
    expect(answerOf(await service.admin.send('POST', `${PATH}/${old.id}/rotate`, { json: {} }))).toEqual([409, 'admin-token-state-conflict']);
    await revoke(next.id);
    expect(answerOf(await service.admin.send('POST', `${PATH}/${next.id}/rotate`, { json: {} }))).toEqual([409, 'admin-token-state-conflict']);
    expect(answerOf(await service.admin.send('POST', `${PATH}/01KAMV3W5QZ3C1D6X2G7R8S9TZ/rotate`, { json: {} }))).toEqual([404, 'admin-token-not-found']);
    expect(answerOf(await service.admin.send('POST', `${PATH}/${old.id}/rotate`, { json: { overlapSeconds: 86_401 } }))).toEqual([400, 'invalid-request']);
  });

  test('a stolen token is revoked with what the thief rotated it to', async () => {
    const stolen = await make({ name: 'stolen', role: 'operator' });
    const second = jsonOf<Made>(await as(stolen.token).send('POST', `${PATH}/self/rotate`, { json: {} }));
    const third = jsonOf<Made>(await as(second.token).send('POST', `${PATH}/self/rotate`, { json: {} }));
    await service.order(`${PATH}/${stolen.id}/revoke`);
    expect((await as(third.token).send('GET', '/v1/agents')).status).toBe(200);
    await service.order(`${PATH}/${stolen.id}/revoke`, { withSuccessors: true });
    for (const { token } of [stolen, second, third]) expect(answerOf(await as(token).send('GET', '/v1/agents'))).toEqual([401, 'credential-revoked']);
    expect(await service.database.db.auditEvent.count({ where: { kind: 'admin-token.revoked', target: { in: [stolen.id, second.id, third.id] } } })).toBe(3);
  });
});

describe('who remains', () => {
  let database: TestDatabase;
  let now = FIXED_NOW;
  beforeEach(async () => {
    database = await testDatabase();
    now = FIXED_NOW;
  });
  afterEach(() => database.drop());

  const random = createSystemRandom();
  const config = loadConfig({ SIGNET_DATA_DIR: '/nonexistent' });
  const making = { random, config, barrier: noBarrier };
  /** A process of its own: its cache stands still, so that only `forget` can clear it. */
  const replica = () => {
    const needs = { db: database.db, clock: { monotonicMs: () => 0 } };
    return { db: database.db, random, siblings: alone, adminTokens: createAdminTokens(needs), pinnedCertificates: createPinnedCertificates(needs) };
  };
  const by = (id: string): Origin => ({ actor: { kind: 'admin', id }, requestId: null, source: '127.0.0.1' });
  const COMMAND: Origin = { actor: { kind: 'command', id: 'test' }, requestId: null, source: null };
  const made = (name: string, origin = COMMAND, more: { ttlSeconds?: number; scopes?: Permission[]; role?: TokenRole } = {}) =>
    inTransaction(database.db, (tx) => createAdminToken(making, tx, origin, { name, role: 'admin', ...more }, now));
  const make = async (...of: Parameters<typeof made>) => (await made(...of)).id;
  const rotate = (tokenId: string, origin = COMMAND, more: Partial<Rotation> = {}) => inTransaction(database.db, (tx) => rotateAdminToken(making, tx, origin, { tokenId, ...more }, now));
  const revoke = (tokenId: string, origin: Origin, at = replica()) => revokeAdminToken(at, origin, { tokenId, now });
  const unlimited = async () => (await inTransaction(database.db, (tx) => lockForRevocation(tx, ['none'], now))).unlimited;
  const later = (ms: number) => void (now = new Date(now.getTime() + ms));

  test('the last usable admin token stays: expired, revoked, narrowed, rotated and lesser ones do not count', async () => {
    const [last, short, other] = [await make('last'), await make('short', COMMAND, { ttlSeconds: 60 }), await make('other')];
    await make('operator', COMMAND, { role: 'operator' });
    await make('scoped', COMMAND, { scopes: ['admin-tokens:manage'] });
    await revoke(other, by(last));
    later(60_000);
    expect(await codeOf(revoke(last, by(last)))).toBe('last-admin-token');
    // What is not usable is not the last usable one.
    expect((await revoke(short, by(last))).state).toBe('revoked');
    const { id: next } = await rotate(last, by(last));
    expect(await unlimited()).toEqual([next]);
    // The old one goes on for minutes only.
    expect(await codeOf(revoke(next, by(last)))).toBe('last-admin-token');
    expect((await revoke(last, by(next))).state).toBe('revoked');
    expect(await unlimited()).toEqual([next]);
    expect(await database.db.auditEvent.count({ where: { kind: 'admin-token.revoked', target: next } })).toBe(0);
  });

  test('nobody ends a usable token that may do more than their own; with successors none of them', async () => {
    const [full, other] = [await make('full'), await make('other')];
    const scopes: Permission[] = ['admin-tokens:manage', 'agents:read', 'own-token:rotate'];
    const caretaker = await make('caretaker', COMMAND, { scopes });
    const [lesser, operator] = [await make('lesser', COMMAND, { scopes: ['agents:read'] }), await make('operator', COMMAND, { role: 'operator' })];
    for (const id of [full, other, operator]) expect(await codeOf(revoke(id, by(caretaker)))).toBe('permission-denied');
    const { id: successor } = await rotate(other);
    expect(await codeOf(revokeAdminToken(replica(), by(caretaker), { tokenId: other, withSuccessors: true, now }))).toBe('permission-denied');
    expect(await database.db.adminToken.count({ where: { revokedAt: { not: null } } })).toBe(0);

    expect((await revoke(lesser, by(caretaker))).state).toBe('revoked');
    // What has ended is no news, whoever asks; oneself may always go.
    await revoke(operator, by(full));
    expect((await revoke(operator, by(caretaker))).state).toBe('revoked');
    expect((await revoke(caretaker, by(caretaker))).state).toBe('revoked');
    for (const id of [other, successor]) expect((await revoke(id, by(full))).state).toBe('revoked');
  });

  test('of two that revoke themselves at once, one remains', async () => {
    const [one, two] = [await make('one'), await make('two')];
    let waiting: Promise<string> | undefined;
    await inTransaction(database.db, async (tx) => {
      await lockForRevocation(tx, [one], now);
      waiting = codeOf(revoke(two, by(two)));
      await untilSomebodyWaits();
      await markAdminTokenRevoked(tx, one, now);
    });
    expect(await waiting).toBe('last-admin-token');
    expect(await unlimited()).toEqual([two]);
  });

  test('a token that was revoked a moment ago, believed elsewhere for up to a second, neither makes, rotates nor revokes another', async () => {
    const [thief, keeper] = [await made('thief'), await make('keeper')];
    const [here, there] = [replica(), replica()];
    for (const { adminTokens } of [here, there]) await adminTokens.find(thief.token);
    await revoke(thief.id, by(keeper), here);
    expect([(await here.adminTokens.find(thief.token))?.revokedAt, (await there.adminTokens.find(thief.token))?.revokedAt]).toEqual([now, null]);
    expect(await codeOf(make('again', by(thief.id)))).toBe('invalid-credential');
    expect(await codeOf(rotate(keeper, by(thief.id)))).toBe('invalid-credential');
    expect(await codeOf(rotate(thief.id, by(thief.id)))).toBe('invalid-credential');
    expect(await codeOf(revoke(keeper, by(thief.id), there))).toBe('invalid-credential');
    expect(await unlimited()).toEqual([keeper]);
  });

  test('a token being revoked waits for what its bearer is making, and makes nothing afterwards', async () => {
    const [thief, keeper] = [await make('thief'), await make('keeper')];
    let again: Promise<string> | undefined;
    await inTransaction(database.db, async (tx) => {
      await lockForRevocation(tx, [thief], now);
      again = codeOf(make('again', by(thief)));
      await untilSomebodyWaits();
      await markAdminTokenRevoked(tx, thief, now);
    });
    expect(await again).toBe('invalid-credential');
    expect(await unlimited()).toEqual([keeper]);
  });

  test('every worker of the replica is asked to forget before the answer, whatever became of the change', async () => {
    const [one, keeper] = [await make('one'), await make('keeper')];
    const asked: unknown[] = [];
    let isAnswered = false;
    const siblings = { ...alone, workers: 2, ask: async (topic: string, message: unknown) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      asked.push([topic, message, isAnswered]);
      return [];
    } };
    await revoke(one, by(keeper), { ...replica(), siblings });
    isAnswered = true;
    expect(asked).toEqual([['credential-changed', one, false]]);
    await codeOf(revoke(keeper, by(keeper), { ...replica(), siblings }));
    expect(asked).toHaveLength(2);
  });

  test('a rotation: life as before, and no longer than that when it is one’s own; no longer overlap than the old life', async () => {
    const week = 7 * 86_400;
    const { id } = await made('weekly', COMMAND, { ttlSeconds: week, role: 'operator' });
    later(week * 1000 - 60_000);
    expect(await codeOf(rotate(id, by(id), { ttlSeconds: week + 1 }))).toBe('ttl-not-granted');
    const next = await rotate(id, by(id));
    expect(next.expiresAt).toEqual(new Date(now.getTime() + week * 1000));
    expect(next.predecessor).toEqual({ id, endsAt: new Date(now.getTime() + 60_000) });
    const admin = await make('admin');
    expect((await rotate(next.id, by(admin), { ttlSeconds: 2 * week })).expiresAt).toEqual(new Date(now.getTime() + 2 * week * 1000));
    // One from before there were ends gets one.
    const endless = makeAdminToken(now, random);
    await inTransaction(database.db, (tx) => insertAdminToken(tx, { id: endless.id, name: 'endless', role: 'operator', secretHash: endless.secretHash, expiresAt: null }, now));
    expect((await rotate(endless.id, by(endless.id))).expiresAt).toEqual(new Date(now.getTime() + 90 * DAY_MS));
  });

  test('of two rotations of one token one stands, also by the token itself', async () => {
    const admin = await make('admin');
    for (const origins of [[COMMAND, COMMAND], ['self', 'self'], [by(admin), 'self']] as const) {
      const id = await make('twice', COMMAND, { role: 'operator' });
      const outcomes = await Promise.all(origins.map((origin) => codeOf(rotate(id, origin === 'self' ? by(id) : origin))));
      expect(outcomes.toSorted()).toEqual(['admin-token-state-conflict', 'none']);
      expect(await database.db.adminToken.count({ where: { predecessorId: id } })).toBe(1);
    }
  });

  test('rotation against revocation: a revoked token has no successor; one whose rotation came first has, and it is revoked with it when asked', async () => {
    const admin = await make('admin');
    const [one, two] = [await make('one', COMMAND, { role: 'operator' }), await make('two', COMMAND, { role: 'operator' })];
    let waiting: Promise<unknown> | undefined;
    await inTransaction(database.db, async (tx) => {
      await markAdminTokenRevoked(tx, one, now);
      waiting = codeOf(rotate(one, by(one)));
      await untilSomebodyWaits();
    });
    expect(await waiting).toBe('invalid-credential');
    expect(await database.db.adminToken.count({ where: { predecessorId: one } })).toBe(0);

    await inTransaction(database.db, async (tx) => {
      await rotateAdminToken(making, tx, by(two), { tokenId: two }, now);
      waiting = revokeAdminToken(replica(), by(admin), { tokenId: two, withSuccessors: true, now });
      await untilSomebodyWaits();
    });
    await waiting;
    expect((await database.db.adminToken.findMany({ where: { name: 'two' } })).map(({ revokedAt }) => revokedAt)).toEqual([now, now]);
  });

  test('lists: by state, role and end; what nobody uses', async () => {
    const ids = {
      active: await make('active'), ending: await make('ending', COMMAND, { ttlSeconds: 3600, role: 'operator' }),
      expired: await make('expired', COMMAND, { ttlSeconds: 60 }), revoked: await make('revoked'),
    };
    await revoke(ids.revoked, COMMAND);
    await database.db.adminToken.update({ where: { id: ids.active }, data: { lastUsedAt: new Date(now.getTime() + 90_000) } });
    later(120_000);
    await make('fresh');
    const names = async (filters: Parameters<typeof listAdminTokenViews>[1]) => (await listAdminTokenViews(database.db, filters, { cursor: undefined, limit: 10, now })).items.map(({ name }) => name).toSorted();
    expect(await names({ state: 'active' })).toEqual(['active', 'ending', 'fresh']);
    expect(await names({ state: 'expired' })).toEqual(['expired']);
    expect(await names({ state: 'revoked' })).toEqual(['revoked']);
    expect(await names({ role: 'operator' })).toEqual(['ending']);
    expect(await names({ expiresBefore: new Date(now.getTime() + 3600_000), state: 'active' })).toEqual(['ending']);
    // Made or used since then is not unused.
    expect(await names({ state: 'active', unusedSince: new Date(now.getTime() - 60_000) })).toEqual(['ending']);
  });

  test('retention: what ended long ago goes; the newest admin token stays, so that no start takes this for the first', async () => {
    await make('first', COMMAND, { ttlSeconds: 60 });
    later(1);
    const second = await make('second', COMMAND, { ttlSeconds: 60 });
    const revoked = await make('revoked', COMMAND, { role: 'operator' });
    await revoke(revoked, COMMAND);
    const usable = await make('usable', COMMAND, { role: 'auditor' });
    later(120_000);
    expect(await deleteAdminTokens(database.db, FIXED_NOW, NEVER)).toBe(0);
    expect(await deleteAdminTokens(database.db, now, NEVER)).toBe(2);
    expect((await database.db.adminToken.findMany({ orderBy: { id: 'asc' } })).map(({ id }) => id)).toEqual([second, usable].toSorted());
  });

  test('when nobody can make tokens any more is known ahead', async () => {
    expect(await endOfUnlimitedAdmins(database.db, now)).toBeUndefined();
    await make('scoped', COMMAND, { scopes: ['admin-tokens:manage'] });
    expect(await endOfUnlimitedAdmins(database.db, now)).toBeUndefined();
    const short = await made('short', COMMAND, { ttlSeconds: 60 });
    expect(await endOfUnlimitedAdmins(database.db, now)).toEqual(short.expiresAt);
    const next = await rotate(short.id, COMMAND, { ttlSeconds: 600 });
    expect(await endOfUnlimitedAdmins(database.db, now)).toEqual(next.expiresAt);
    const { id, secretHash } = makeAdminToken(now, random);
    await inTransaction(database.db, (tx) => insertAdminToken(tx, { id, name: 'endless', role: 'admin', secretHash, expiresAt: null }, now));
    expect(await endOfUnlimitedAdmins(database.db, now)).toBeNull();
  });

  async function untilSomebodyWaits(): Promise<void> {
    for (let left = 500; ; left--) {
      const [row] = await database.ownerDb.$queryRaw<{ n: number }[]>`SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      if ((row?.n ?? 0) > 0) return;
      expect(left).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
});
