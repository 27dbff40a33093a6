import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { createAdminTokens } from '../../src/admins/tokens.ts';
import { makeAdminToken } from '../../src/admins/secret.ts';
import { createAuthenticator } from '../../src/http/authenticate.ts';
import { createDenials, toAuditLog } from '../../src/http/denials.ts';
import { createOnce } from '../../src/http/idempotency.ts';
import type { Answer, ApiRequest } from '../../src/http/handler.ts';
import { createLogger } from '../../src/core/log.ts';
import { SignetError } from '../../src/core/errors.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import type { Context } from '../../src/context.ts';
import { hasAdminToken, insertAdminToken } from '../../src/db/admin-tokens.ts';
import { inTransaction, type Tx } from '../../src/db/client.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';

let database: TestDatabase;
let ctx: Context;
beforeAll(async () => {
  database = await testDatabase();
  const clock = { now: () => FIXED_NOW, monotonicMs: () => 0 };
  ctx = {
    db: database.db,
    adminTokens: createAdminTokens({ db: database.db, clock }),
    config: { idempotencyTtlSeconds: 86_400, idempotencySecretTtlSeconds: 600 },
    clock,
    random: createSystemRandom(),
    log: createLogger('silent'),
    sealer: { seal: (_context: string, plain: Uint8Array) => Buffer.from(plain).reverse(), open: (_context: string, sealed: Uint8Array) => Buffer.from(sealed).reverse() },
  } as unknown as Context;
});
afterAll(() => database.drop());

const request = (key: string, body = 'body') =>
  ({ caller: { kind: 'admin', id: 'A', role: 'admin' }, now: FIXED_NOW, idempotencyKey: key, requestHash: createHash('sha256').update(body).digest() }) as unknown as ApiRequest;

/** A creation that can be seen: one owner a call. */
async function createOwner(tx: Tx, id: string): Promise<Answer> {
  await tx.owner.create({ data: { id, email: `${id}@example.com`, createdAt: FIXED_NOW } });
  return { status: 201, json: { id }, headers: { location: `/owners/${id}` } };
}
const owners = (prefix: string) => database.db.owner.count({ where: { id: { startsWith: prefix } } });
const codeOf = (promise: Promise<Answer>) => promise.then((answer) => answer.status, (error: unknown) => (error instanceof SignetError ? error.code : error));

test('the second use of a key gives the first answer and creates nothing', async () => {
  const first = await createOnce(ctx, request('again'), 'r', (tx) => createOwner(tx, 'again-1'));
  const second = await createOnce(ctx, request('again'), 'r', (tx) => createOwner(tx, 'again-2'));
  expect(second).toEqual({ ...first, headers: { ...first.headers, 'idempotency-replayed': 'true' } });
  expect([await owners('again'), await codeOf(createOnce(ctx, request('again', 'other'), 'r', (tx) => createOwner(tx, 'again-3')))]).toEqual([1, 'idempotency-key-reused']);
});

test('while the first is running, the second is refused at once; after it, answered', async () => {
  let open = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  let enter = () => {};
  const entered = new Promise<void>((resolve) => (enter = resolve));
  const first = createOnce(ctx, request('running'), 'r', async (tx) => {
    const answer = await createOwner(tx, 'running-1');
    enter();
    await gate;
    return answer;
  });
  await entered;
  expect(await codeOf(createOnce(ctx, request('running'), 'r', (tx) => createOwner(tx, 'running-2')))).toBe('idempotency-in-progress');
  open();
  await first;
  expect((await createOnce(ctx, request('running'), 'r', (tx) => createOwner(tx, 'running-3'))).json).toEqual({ id: 'running-1' });
  expect(await owners('running')).toBe(1);
});

test('of many at once exactly one creates', async () => {
  const outcomes = await Promise.all(Array.from({ length: 8 }, (_, i) => codeOf(createOnce(ctx, request('many'), 'r', (tx) => createOwner(tx, `many-${i}`)))));
  expect(outcomes.every((outcome) => outcome === 201 || outcome === 'idempotency-in-progress')).toBe(true);
  expect([outcomes.includes(201), await owners('many')]).toEqual([true, 1]);
});

test('a failed creation leaves neither rows nor record', async () => {
  const failing = createOnce(ctx, request('failing'), 'r', async (tx) => {
    await createOwner(tx, 'failing-1');
    throw new SignetError('agent-name-taken', '');
  });
  expect([await codeOf(failing), await owners('failing')]).toEqual(['agent-name-taken', 0]);
  expect(await database.db.idempotencyRecord.count({ where: { key: 'failing' } })).toBe(0);
});

test('a secret answer is sealed in its row and can be had again', async () => {
  const create = (tx: Tx) => createOwner(tx, 'secret-1').then((answer) => ({ ...answer, json: { token: 'sgj_secret' }, secret: true }));
  await createOnce(ctx, request('secret'), 'r', create);
  const [row] = await database.db.idempotencyRecord.findMany({ where: { key: 'secret' } });
  expect([row?.sealed, Buffer.from(row?.answer ?? []).includes('sgj_secret'), row?.expiresAt]).toEqual([true, false, new Date(FIXED_NOW.getTime() + 600_000)]);
  expect((await createOnce(ctx, request('secret'), 'r', create)).json).toEqual({ token: 'sgj_secret' });
});

test('a stored API token is accepted, its use noted; a refusal is in the audit log', async () => {
  expect(await hasAdminToken(database.db)).toBe(false);
  const { id, token, secretHash } = makeAdminToken(FIXED_NOW, ctx.random);
  await inTransaction(database.db, (tx) => insertAdminToken(tx, { id, name: 'test', role: 'auditor', secretHash, expiresAt: null }, FIXED_NOW));
  expect(await createAuthenticator(ctx).byToken(`Bearer ${token}`, FIXED_NOW)).toEqual({ kind: 'admin', id, role: 'auditor' });
  const stored = await pollUntil(() => database.db.adminToken.findUnique({ where: { id } }), (row) => row?.lastUsedAt != null);
  expect(stored?.lastUsedAt).toEqual(FIXED_NOW);

  const denials = createDenials(ctx, toAuditLog(ctx));
  denials.note(new SignetError('permission-denied', 'no'), { actor: { kind: 'admin', id }, requestId: 'REQUEST', source: '192.0.2.1' }, 'registerAgent', FIXED_NOW);
  await denials.settled();
  const [event] = await database.db.auditEvent.findMany({ where: { kind: 'request.denied' } });
  expect([event?.outcome, event?.actorId, event?.target, event?.requestId]).toEqual(['failure', id, 'registerAgent', 'REQUEST']);
});

async function pollUntil<T>(read: () => Promise<T>, isThere: (value: T) => boolean): Promise<T> {
  for (let i = 0; ; i++) {
    const value = await read();
    if (isThere(value) || i === 100) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
