import { expect, test } from '@jest/globals';
import type { Context } from '../../../src/context.ts';
import { SignetError } from '../../../src/core/errors.ts';
import { createAdminTokens } from '../../../src/admins/tokens.ts';
import { makeAdminToken, parseAdminToken } from '../../../src/admins/secret.ts';
import { bearer, createAuthenticator } from '../../../src/http/authenticate.ts';
import { NOW, skeletonContext } from './serving.ts';

const random = { bytes: (length: number) => new Uint8Array(length).fill(7) };
const { id, token, secretHash } = makeAdminToken(NOW, random);

interface Row {
  id: string;
  name: string;
  role: string;
  scopes: string | null;
  secretHash: Uint8Array;
  createdAt: Date;
  expiresAt: Date | null;
  revokedAt: Date | null;
  predecessorId: string | null;
  successorId: string | null;
  relyingPartyId: string | null;
  holder: string | null;
  holderState: string | null;
  mayAsk: string[] | null;
}

/** An authenticator over a table of one token, with a clock of the test's own. */
function authenticator(change: Partial<Row> = {}) {
  const row: Row = {
    id, name: 'ci', role: 'operator', scopes: null, secretHash, createdAt: NOW, expiresAt: null, revokedAt: null, predecessorId: null, successorId: null,
    relyingPartyId: null, holder: null, holderState: null, mayAsk: null, ...change,
  };
  const calls = { lookUps: 0, touches: 0, nowMs: 0, isDown: false };
  const db = {
    $queryRaw: (_: TemplateStringsArray, _columns: unknown, asked: string) => {
      calls.lookUps++;
      if (calls.isDown) return Promise.reject(new Error('down'));
      // As the left join has it: one row, with or without a token in it.
      return Promise.resolve([asked === row.id ? row : Object.fromEntries(Object.keys(row).map((column) => [column, null]))]);
    },
    adminToken: {
      updateMany: () => Promise.resolve({ count: ++calls.touches }),
    },
  } as unknown as Context['db'];
  const clock = { now: () => NOW, monotonicMs: () => calls.nowMs };
  const ctx = skeletonContext({ db, clock, adminTokens: createAdminTokens({ db, clock }) });
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

test('a revoked or expired token is refused, and its holder told why; one that expires later is not', async () => {
  expect(await codeOf(authenticator({ revokedAt: NOW }).byToken(`Bearer ${token}`))).toBe('credential-revoked');
  expect(await codeOf(authenticator({ expiresAt: NOW }).byToken(`Bearer ${token}`))).toBe('credential-expired');
  await expect(authenticator({ expiresAt: NOW, successorId: '01KAMV3W5QZ3C1D6X2G7R8S9TZ' }).byToken(`Bearer ${token}`)).rejects.toThrow(/was rotated to 01KAMV3W5QZ3C1D6X2G7R8S9TZ/);
  expect(await codeOf(authenticator({ expiresAt: new Date(NOW.getTime() + 1) }).byToken(`Bearer ${token}`))).toBe('accepted');
});

test('with a wrong secret an active, an expired, a revoked and an unknown token are one and the same: answer and work', async () => {
  const wrong = `Bearer ${token.slice(0, -43)}${'A'.repeat(43)}`;
  const seen = await Promise.all(
    [authenticator(), authenticator({ revokedAt: NOW }), authenticator({ expiresAt: NOW }), authenticator({ holder: 'P', holderState: 'disabled', mayAsk: ['status'] }), authenticator({ id: '01KAMV3W5QZ3C1D6X2G7R8S9TB' })].map(
      async ({ byToken, calls }) => {
        const said = [];
        for (let i = 0; i < 2; i++) said.push(await byToken(wrong).catch((error: unknown) => [(error as SignetError).code, (error as SignetError).message]));
        return [said, calls.lookUps, calls.touches];
      },
    ),
  );
  expect(seen).toEqual(seen.map(() => [[['invalid-credential', 'the API token is not known'], ['invalid-credential', 'the API token is not known']], 2, 0]));
});

test('a right secret in the cache does not make a wrong one for the same token any quicker', async () => {
  const { byToken, calls } = authenticator();
  await byToken(`Bearer ${token}`);
  await codeOf(byToken(`Bearer ${token.slice(0, -43)}${'A'.repeat(43)}`));
  expect([calls.lookUps, await codeOf(byToken(`Bearer ${token}`)), calls.lookUps]).toEqual([2, 'accepted', 2]);
});

test('scopes and the registration of a relying party narrow the caller', async () => {
  expect([...((await authenticator({ scopes: 'agents:read jobs:read' }).byToken(`Bearer ${token}`)).narrowedTo ?? [])].toSorted()).toEqual(['agents:read', 'jobs:read', 'own-token:read', 'public']);
  const party = { role: 'relying-party', relyingPartyId: 'P', holder: 'P', holderState: 'active', mayAsk: ['status'] };
  const caller = await authenticator(party).byToken(`Bearer ${token}`);
  expect(caller).toMatchObject({ kind: 'admin', id, role: 'relying-party', relyingParty: { id: 'P', mayAsk: ['status'] } });
  expect(caller.narrowedTo?.has('status:read')).toBe(true);
  expect((await authenticator({ ...party, mayAsk: [] }).byToken(`Bearer ${token}`)).narrowedTo?.has('status:read')).toBe(false);
  expect(await codeOf(authenticator({ ...party, holderState: 'disabled' }).byToken(`Bearer ${token}`))).toBe('relying-party-disabled');
});

test('a token is believed for a second without another look, then a revocation counts', async () => {
  const { byToken, calls, row } = authenticator();
  await byToken(`Bearer ${token}`);
  row.revokedAt = NOW;
  calls.nowMs = 999;
  expect([await codeOf(byToken(`Bearer ${token}`)), calls.lookUps]).toEqual(['accepted', 1]);
  calls.nowMs = 1000;
  expect([await codeOf(byToken(`Bearer ${token}`)), calls.lookUps]).toEqual(['credential-revoked', 2]);
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
