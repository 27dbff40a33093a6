import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createAdminToken } from '../../src/admins/create.ts';
import { revokeAdminToken } from '../../src/admins/revoke.ts';
import { makeAdminToken } from '../../src/admins/secret.ts';
import { createAdminTokenCache } from '../../src/admins/token-cache.ts';
import type { AdminTokenAnswer } from '../../src/api/admin-tokens.ts';
import { TOKEN_ROLES, type TokenRole } from '../../src/api/permissions.ts';
import type { Origin } from '../../src/audit/events.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { alone } from '../../src/core/siblings.ts';
import { insertAdminToken, lockUsableAdmins, markAdminTokenRevoked } from '../../src/db/admin-tokens.ts';
import { inTransaction } from '../../src/db/client.ts';
import { codeOf } from '../support/agents.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';
import { createClient, jsonOf, type Client, type Reply } from '../support/https-client.ts';
import { startService, type Service } from '../support/service.ts';

interface Made {
  id: string;
  name: string;
  role: TokenRole;
  token: string;
  expiresAt: string | null;
}

describe('over HTTP', () => {
  let service: Service;
  const clients: Client[] = [];
  beforeAll(async () => {
    service = await startService();
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
    expect(answerOf(await user.send('GET', '/v1/agents'))).toEqual([401, 'invalid-credential']);
    expect((await revoke(made.id)).body).toEqual(first.body);
    const events = await db.auditEvent.findMany({ where: { target: made.id }, orderBy: { n: 'asc' } });
    expect(events.map(({ kind }) => kind)).toEqual(['admin-token.created', 'admin-token.revoked']);
    expect(events.some(({ event }) => Buffer.from(event).includes(secret))).toBe(false);
  });

  test('pages, oldest first; without ttlSeconds a token has no end', async () => {
    expect((await make({ name: 'no-end', role: 'auditor' })).expiresAt).toBeNull();
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
    [{ name: 'x', role: 'admin', ttlSeconds: 0 }],
    [{ name: 'x', role: 'admin', secretHash: 'AA' }],
  ])('%j makes no token', async (json) => {
    const { db } = service.database;
    const before = await db.adminToken.count();
    expect(answerOf(await service.admin.send('POST', PATH, { json }))).toEqual([400, 'invalid-request']);
    expect(await db.adminToken.count()).toBe(before);
  });

  test('a token that does not exist cannot be revoked', async () => {
    expect(answerOf(await revoke('01KAMV3W5QZ3C1D6X2G7R8S9TZ'))).toEqual([404, 'not-found']);
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
      ['relying-party', 200, 403, 403, 403, 403, 403, 403],
    ];
    const seen = [];
    for (const role of TOKEN_ROLES) seen.push(await statusesOf(role));
    expect(seen).toEqual(expected);
    for (const [method, path] of [['GET', PATH], ['POST', PATH], ['POST', `${PATH}/${victim.id}/revoke`]] as const) {
      expect(answerOf(await service.open.send(method, path))).toEqual([401, 'authentication-required']);
    }
    expect(await service.database.db.adminToken.count({ where: { name: { in: ['by-operator', 'by-auditor', 'by-relying-party'] } } })).toBe(0);
  });

  test('an expired token is refused, and shown as expired', async () => {
    const { id, token, secretHash } = makeAdminToken(new Date(), createSystemRandom());
    await inTransaction(service.database.ownerDb, (tx) => insertAdminToken(tx, { id, name: 'old', role: 'admin', secretHash, expiresAt: new Date(Date.now() - 1) }, new Date()));
    expect(answerOf(await as(token).send('GET', PATH))).toEqual([401, 'invalid-credential']);
    expect((await page()).items.find((item) => item.id === id)?.state).toBe('expired');
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
  /** A process of its own: its cache stands still, so that only `forget` can clear it. */
  const replica = () => ({ db: database.db, random, siblings: alone, adminTokens: createAdminTokenCache({ db: database.db, clock: { now: () => now, monotonicMs: () => 0 } }) });
  const by = (id: string): Origin => ({ actor: { kind: 'admin', id }, requestId: null, source: '127.0.0.1' });
  const COMMAND: Origin = { actor: { kind: 'command', id: 'test' }, requestId: null, source: null };
  const make = async (name: string, origin = COMMAND, ttlSeconds?: number) =>
    (await inTransaction(database.db, (tx) => createAdminToken({ random }, tx, origin, { name, role: 'admin', ...(ttlSeconds === undefined ? {} : { ttlSeconds }) }, now))).id;
  const usable = () => inTransaction(database.db, (tx) => lockUsableAdmins(tx, now));

  test('the last usable admin token stays: expired, revoked and lesser ones do not count', async () => {
    const [last, short, other] = [await make('last'), await make('short', COMMAND, 60), await make('other')];
    await inTransaction(database.db, (tx) => createAdminToken({ random }, tx, COMMAND, { name: 'operator', role: 'operator' }, now));
    await revokeAdminToken(replica(), by(last), other, now);
    now = new Date(FIXED_NOW.getTime() + 60_000);
    expect(await codeOf(revokeAdminToken(replica(), by(last), last, now))).toBe('last-admin-token');
    // What is not usable is not the last usable one.
    expect((await revokeAdminToken(replica(), by(last), short, now)).state).toBe('revoked');
    expect(await usable()).toEqual([last]);
    expect(await database.db.auditEvent.count({ where: { kind: 'admin-token.revoked', target: last } })).toBe(0);
  });

  test('of two that revoke themselves at once, one remains', async () => {
    const [one, two] = [await make('one'), await make('two')];
    let waiting: Promise<string> | undefined;
    await inTransaction(database.db, async (tx) => {
      await lockUsableAdmins(tx, now);
      waiting = codeOf(revokeAdminToken(replica(), by(two), two, now));
      await untilSomebodyWaits();
      await markAdminTokenRevoked(tx, one, now);
    });
    expect(await waiting).toBe('last-admin-token');
    expect(await usable()).toEqual([two]);
  });

  test('a token that was revoked a moment ago, believed elsewhere for up to a second, neither makes nor revokes another', async () => {
    const [thief, keeper] = [await make('thief'), await make('keeper')];
    const [here, there] = [replica(), replica()];
    for (const { adminTokens } of [here, there]) await adminTokens.find(thief);
    await revokeAdminToken(here, by(keeper), thief, now);
    expect([(await here.adminTokens.find(thief))?.revokedAt, (await there.adminTokens.find(thief))?.revokedAt]).toEqual([now, null]);
    expect(await codeOf(make('again', by(thief)))).toBe('invalid-credential');
    expect(await codeOf(revokeAdminToken(there, by(thief), keeper, now))).toBe('invalid-credential');
    expect(await usable()).toEqual([keeper]);
  });

  test('a token being revoked waits for what its bearer is making, and makes nothing afterwards', async () => {
    const [thief, keeper] = [await make('thief'), await make('keeper')];
    let making: Promise<string> | undefined;
    await inTransaction(database.db, async (tx) => {
      await lockUsableAdmins(tx, now);
      making = codeOf(make('again', by(thief)));
      await untilSomebodyWaits();
      await markAdminTokenRevoked(tx, thief, now);
    });
    expect(await making).toBe('invalid-credential');
    expect(await usable()).toEqual([keeper]);
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
