import { beforeEach, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import type { Context } from '../../../src/context.ts';
import { SignetError } from '../../../src/core/errors.ts';
import type { Answer, ApiRequest, Caller } from '../../../src/http/handler.ts';
import { createOnce } from '../../../src/http/idempotency.ts';
import { NOW, skeletonContext } from './serving.ts';

interface Stored {
  bodyHash: Uint8Array;
  status: number;
  answer: Uint8Array;
  sealed: boolean;
  expiresAt: Date;
}

/** One table in memory; `isLocked` plays another request that holds the key. */
const table = { rows: new Map<string, Stored>(), isLocked: false };
const keyOf = (where: { caller_route_key: object }) => JSON.stringify(Object.entries(where.caller_route_key).toSorted());
const tx = {
  $queryRaw: () => Promise.resolve([{ locked: !table.isLocked }]),
  idempotencyRecord: {
    findUnique: ({ where }: { where: { caller_route_key: object } }) => Promise.resolve(table.rows.get(keyOf(where)) ?? null),
    upsert: ({ where, create }: { where: { caller_route_key: object }; create: Stored }) => Promise.resolve(void table.rows.set(keyOf(where), create)),
  },
};
const mask = (octets: Uint8Array) => Buffer.from(octets.map((octet) => octet ^ 0x55));
const ctx = skeletonContext({
  db: { $transaction: (work: (t: typeof tx) => Promise<unknown>) => work(tx) } as unknown as Context['db'],
  sealer: {
    seal: (context, plain) => Buffer.concat([createHash('sha256').update(context).digest(), mask(plain)]),
    open: (context, sealed) => {
      if (!createHash('sha256').update(context).digest().equals(sealed.subarray(0, 32))) throw new Error('moved');
      return mask(sealed.subarray(32));
    },
  },
});

const ADMIN: Caller = { kind: 'admin', id: 'A', role: 'admin' };
const request = (key: string | undefined, body = 'body', caller = ADMIN, now = NOW) =>
  ({ caller, now, idempotencyKey: key, requestHash: key === undefined ? undefined : createHash('sha256').update(body).digest() }) as ApiRequest;

let made = 0;
const create = (answer: Partial<Answer> = {}) => () => Promise.resolve<Answer>({ status: 201, json: { id: ++made }, headers: { location: `/x/${made}` }, ...answer });
const codeOf = (promise: Promise<unknown>) => promise.then(() => 'answered', (error: unknown) => (error instanceof SignetError ? error.code : error));

beforeEach(() => {
  made = 0;
  table.rows.clear();
  table.isLocked = false;
});

test('without a key everything is made anew and nothing is kept', async () => {
  await createOnce(ctx, request(undefined), 'r', create());
  await createOnce(ctx, request(undefined), 'r', create());
  expect([made, table.rows.size]).toEqual([2, 0]);
});

test('the same request gives the same answer, marked as replayed', async () => {
  const first = await createOnce(ctx, request('k'), 'r', create());
  const again = await createOnce(ctx, request('k'), 'r', create());
  expect(first).toEqual({ status: 201, json: { id: 1 }, headers: { location: '/x/1' } });
  expect(again).toEqual({ status: 201, json: { id: 1 }, headers: { location: '/x/1', 'idempotency-replayed': 'true' } });
});

test('another body is refused', async () => {
  await createOnce(ctx, request('k'), 'r', create());
  expect(await codeOf(createOnce(ctx, request('k', 'other'), 'r', create()))).toBe('idempotency-key-reused');
});

test('a request that is still running is not waited for', async () => {
  table.isLocked = true;
  expect([await codeOf(createOnce(ctx, request('k'), 'r', create())), made]).toEqual(['idempotency-in-progress', 0]);
});

test('keys of another caller, kind of caller or route are other keys', async () => {
  await createOnce(ctx, request('k'), 'r', create());
  await createOnce(ctx, request('k', 'body', { ...ADMIN, id: 'B' }), 'r', create());
  await createOnce(ctx, request('k', 'body', { ...ADMIN, kind: 'agent' }), 'r', create());
  await createOnce(ctx, request('k'), 's', create());
  expect(made).toBe(4);
});

test('a failure is not kept: the request may be repeated', async () => {
  expect(await codeOf(createOnce(ctx, request('k'), 'r', () => Promise.reject(new SignetError('agent-name-taken', ''))))).toBe('agent-name-taken');
  await createOnce(ctx, request('k'), 'r', create());
  expect(made).toBe(1);
});

test('an answer with a secret rests sealed, under its own key only, and for ten minutes', async () => {
  await createOnce(ctx, request('k'), 'r', create({ json: { token: 'sgj_secret' }, secret: true }));
  const [stored] = table.rows.values();
  expect(Buffer.from(stored!.answer).toString('latin1')).not.toContain('sgj_secret');
  expect(stored!.expiresAt).toEqual(new Date(NOW.getTime() + 600_000));
  expect((await createOnce(ctx, request('k'), 'r', create())).json).toEqual({ token: 'sgj_secret' });
  table.rows.set(JSON.stringify([['caller', 'admin:A'], ['key', 'other'], ['route', 'r']]), stored!);
  await expect(createOnce(ctx, request('other'), 'r', create())).rejects.toThrow('moved');
});

test('an expired record counts for nothing and is replaced', async () => {
  await createOnce(ctx, request('k'), 'r', create());
  const later = new Date(NOW.getTime() + 86_400_000);
  await createOnce(ctx, request('k', 'other', ADMIN, later), 'r', create());
  expect([made, table.rows.size]).toEqual([2, 1]);
});
