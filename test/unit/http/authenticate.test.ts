import { expect, test } from '@jest/globals';
import type { Context } from '../../../src/context.ts';
import { SignetError } from '../../../src/core/errors.ts';
import { createAdminTokenCache } from '../../../src/admins/token-cache.ts';
import { makeAdminToken, parseAdminToken } from '../../../src/admins/secret.ts';
import { bearer, createAuthenticator } from '../../../src/http/authenticate.ts';
import { NOW, skeletonContext } from './serving.ts';

const random = { bytes: (length: number) => new Uint8Array(length).fill(7) };
const { id, token, secretHash } = makeAdminToken(NOW, random);

interface Row {
  id: string;
  name: string;
  role: string;
  secretHash: Uint8Array;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

/** An authenticator over a table of one token, with a clock of the test's own. */
function authenticator(change: Partial<Row> = {}) {
  const row: Row = { id, name: 'ci', role: 'operator', secretHash, expiresAt: null, revokedAt: null, ...change };
  const calls = { lookUps: 0, touches: 0, nowMs: 0, isDown: false };
  const db = {
    adminToken: {
      findUnique: ({ where }: { where: { id: string } }) => {
        calls.lookUps++;
        if (calls.isDown) return Promise.reject(new Error('down'));
        return Promise.resolve(where.id === row.id ? row : null);
      },
      updateMany: () => Promise.resolve({ count: ++calls.touches }),
    },
  } as unknown as Context['db'];
  const clock = { now: () => NOW, monotonicMs: () => calls.nowMs };
  const ctx = skeletonContext({ db, clock, adminTokens: createAdminTokenCache({ db, clock }) });
  const made = createAuthenticator(ctx);
  return { row, calls, byToken: (authorization: string | undefined) => made.byToken(authorization, NOW) };
}
const codeOf = (promise: Promise<unknown>) => promise.then(() => 'accepted', (error: unknown) => (error instanceof SignetError ? error.code : error));

test('a token is its id and 256 bits; only the hash of the secret is kept', () => {
  expect(token).toMatch(/^sga_[0-9A-HJKMNP-TV-Z]{26}_[A-Za-z0-9_-]{43}$/);
  expect(parseAdminToken(token)).toEqual({ id, secretHash });
  for (const wrong of ['', token.slice(1), `${token}x`, token.replace('sga', 'sgj'), token.slice(0, -1), token.toLowerCase()]) expect(parseAdminToken(wrong)).toBeUndefined();
});

test('a known token gives its id and role', async () => {
  expect(await authenticator().byToken(`Bearer ${token}`)).toEqual({ kind: 'admin', id, role: 'operator' });
});

test.each([
  ['no header', undefined, 'authentication-required'],
  ['another scheme', 'Basic abc', 'authentication-required'],
  ['not a token', 'Bearer abc', 'invalid-credential'],
  ['another secret', `Bearer ${token.slice(0, -43)}${'A'.repeat(43)}`, 'invalid-credential'],
  ['an unknown id', `Bearer sga_01KAMV3W5QZ3C1D6X2G7R8S9TB_${'A'.repeat(43)}`, 'invalid-credential'],
])('%s is refused', async (_, header, code) => {
  expect(await codeOf(authenticator().byToken(header))).toBe(code);
});

test('a revoked or expired token is refused; one that expires later is not', async () => {
  expect(await codeOf(authenticator({ revokedAt: NOW }).byToken(`Bearer ${token}`))).toBe('invalid-credential');
  expect(await codeOf(authenticator({ expiresAt: NOW }).byToken(`Bearer ${token}`))).toBe('invalid-credential');
  expect(await codeOf(authenticator({ expiresAt: new Date(NOW.getTime() + 1) }).byToken(`Bearer ${token}`))).toBe('accepted');
});

test('a token is believed for a second without another look, then a revocation counts', async () => {
  const { byToken, calls, row } = authenticator();
  await byToken(`Bearer ${token}`);
  row.revokedAt = NOW;
  calls.nowMs = 999;
  expect([await codeOf(byToken(`Bearer ${token}`)), calls.lookUps]).toEqual(['accepted', 1]);
  calls.nowMs = 1000;
  expect([await codeOf(byToken(`Bearer ${token}`)), calls.lookUps]).toEqual(['invalid-credential', 2]);
});

test('neither an unknown id nor a failed look is remembered', async () => {
  const { byToken, calls } = authenticator();
  const unknown = `Bearer sga_01KAMV3W5QZ3C1D6X2G7R8S9TB_${'A'.repeat(43)}`;
  await codeOf(byToken(unknown));
  await codeOf(byToken(unknown));
  expect(calls.lookUps).toBe(2);
  calls.isDown = true;
  await expect(byToken(`Bearer ${token}`)).rejects.toThrow('down');
  calls.isDown = false;
  expect(await codeOf(byToken(`Bearer ${token}`))).toBe('accepted');
});

test('the use of a token is noted at most once a minute', async () => {
  const { byToken, calls } = authenticator();
  for (const nowMs of [0, 1, 59_999]) {
    calls.nowMs = nowMs;
    await byToken(`Bearer ${token}`);
  }
  expect(calls.touches).toBe(1);
  calls.nowMs = 60_000;
  await byToken(`Bearer ${token}`);
  expect(calls.touches).toBe(2);
});

test('bearer: any case of the scheme, no control characters, bounded', () => {
  expect(bearer('bearer abc')).toBe('abc');
  expect(bearer('Bearer  abc ')).toBe('abc');
  for (const wrong of ['Bearer', 'Bearer ', 'Bearer a b', `Bearer ${'a'.repeat(513)}`, 'Bearera']) expect(bearer(wrong)).toBeUndefined();
});
