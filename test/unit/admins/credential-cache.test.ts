import { expect, test } from '@jest/globals';
import { createCredentialCache } from '../../../src/admins/credential-cache.ts';

/** A cache whose look-ups the test answers itself, with a clock of the test's own. */
function cacheOf() {
  const looks: { key: string; answer: (value: string | undefined) => void; fail: (error: Error) => void }[] = [];
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const cache = createCredentialCache<string>({ clock }, (key) => new Promise((answer, fail) => looks.push({ key, answer, fail })));
  return { cache, looks, clock };
}

test('a credential is looked up once for all who ask within a second; forgotten, it is looked up anew', async () => {
  const { cache, looks, clock } = cacheOf();
  const found = [cache.find('a'), cache.find('a')];
  looks[0]?.answer('usable');
  expect(await Promise.all(found)).toEqual(['usable', 'usable']);
  clock.nowMs = 999;
  expect([await cache.find('a'), looks.length]).toEqual(['usable', 1]);
  cache.forget();
  const again = cache.find('a');
  looks[1]?.answer('revoked');
  expect(await again).toBe('revoked');
  clock.nowMs = 999 + 1_000;
  void cache.find('a');
  expect(looks).toHaveLength(3);
});

test('what is forgotten while a look is under way is not remembered when the look ends', async () => {
  const { cache, looks } = cacheOf();
  const before = cache.find('a');
  cache.forget();
  looks[0]?.answer('usable');
  await before;
  const after = cache.find('a');
  expect(looks).toHaveLength(2);
  looks[1]?.answer('revoked');
  expect(await after).toBe('revoked');
  expect([await cache.find('a'), looks.length]).toEqual(['revoked', 2]);
});

test('what was not found and what failed is looked up each time, and makes nobody else look again', async () => {
  const { cache, looks } = cacheOf();
  const known = cache.find('known');
  looks[0]?.answer('usable');
  await known;
  for (const end of ['unknown', 'failed'] as const) {
    const asked = cache.find('guess');
    if (end === 'unknown') looks.at(-1)?.answer(undefined);
    else looks.at(-1)?.fail(new Error('down'));
    expect(await asked.catch(() => 'failed')).toBe(end === 'unknown' ? undefined : 'failed');
  }
  await cache.find('known');
  expect(looks.map(({ key }) => key)).toEqual(['known', 'guess', 'guess']);
});

test('it is bounded', () => {
  const { cache, looks } = cacheOf();
  for (let i = 0; i < 1_001; i++) void cache.find(`${i}`);
  expect(looks).toHaveLength(1_001);
  void cache.find('1000');
  expect(looks).toHaveLength(1_001);
  void cache.find('0');
  expect(looks).toHaveLength(1_002);
});
