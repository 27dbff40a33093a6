import { expect, test } from '@jest/globals';
import { createAdminTokenCache } from '../../../src/admins/token-cache.ts';
import type { Db } from '../../../src/db/client.ts';

const ID = '01KAMV3W5QZ3C1D6X2G7R8S9TB';

/** A cache over one token whose look-ups the test answers itself, with a clock that stands. */
function cacheOfOne() {
  const looks: ((revokedAt: Date | null) => void)[] = [];
  const row = { id: ID, name: 'ci', role: 'admin', secretHash: new Uint8Array(32), expiresAt: null };
  const findUnique = () => new Promise((resolve) => looks.push((revokedAt) => resolve({ ...row, revokedAt })));
  const cache = createAdminTokenCache({ db: { adminToken: { findUnique } } as unknown as Db, clock: { now: () => new Date(0), monotonicMs: () => 0 } });
  return { cache, looks };
}

test('a token is looked up once for all who ask within a second; forgotten, it is looked up anew', async () => {
  const { cache, looks } = cacheOfOne();
  const found = [cache.find(ID), cache.find(ID)];
  looks[0]?.(null);
  expect((await Promise.all(found)).map((token) => token?.revokedAt)).toEqual([null, null]);
  expect(looks).toHaveLength(1);

  cache.forget(ID);
  const again = cache.find(ID);
  looks[1]?.(new Date(1));
  expect((await again)?.revokedAt).toEqual(new Date(1));
});

test('what is forgotten while a look is under way is not remembered when the look ends', async () => {
  const { cache, looks } = cacheOfOne();
  const before = cache.find(ID);
  cache.forget(ID);
  looks[0]?.(null);
  await before;
  const after = cache.find(ID);
  expect(looks).toHaveLength(2);
  looks[1]?.(new Date(1));
  expect((await after)?.revokedAt).toEqual(new Date(1));
});
