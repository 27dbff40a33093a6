import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { StartupError } from '../../src/core/errors.ts';
import { createListener } from '../../src/db/listen.ts';
import { withStartLock } from '../../src/db/start-lock.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let t: TestDatabase;
beforeAll(async () => {
  t = await testDatabase();
});
afterAll(() => t.drop());

const quiet = { warn: () => undefined, info: () => undefined };

/** A listener and what it heard; `heard` resolves when `count` notifications are in. */
function recorder() {
  const payloads: string[] = [];
  let wake = (): void => undefined;
  return {
    payloads,
    onNotify: (payload: string) => {
      payloads.push(payload);
      wake();
    },
    async heard(count: number): Promise<string[]> {
      while (payloads.length < count) await new Promise<void>((resolve) => (wake = resolve));
      return payloads;
    },
  };
}

test('createListener: says when it listens, hears its channel only, and not after close', async () => {
  const r = recorder();
  const listener = createListener(t.serviceUrl, 'signet_test', r.onNotify, quiet);
  await r.heard(1);
  await t.db.$executeRaw`NOTIFY signet_other, 'no'`;
  await t.db.$executeRaw`NOTIFY signet_test, '42'`;
  expect(await r.heard(2)).toEqual(['', '42']);
  await listener.close();
  await t.db.$executeRaw`NOTIFY signet_test, '43'`;
  expect(r.payloads).toEqual(['', '42']);
});

test('createListener: a killed connection is made again, and the gap is told', async () => {
  const r = recorder();
  const warnings: unknown[] = [];
  const listener = createListener(t.serviceUrl, 'signet_test', r.onNotify, { ...quiet, warn: (...args: unknown[]) => void warnings.push(args) });
  await r.heard(1);
  for (let round = 1; round <= 3; round++) {
    await t.ownerDb.$queryRaw`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signet-listen' AND datname = ${t.name}`;
    expect(await r.heard(round + 1)).toEqual(Array.from({ length: round + 1 }, () => ''));
  }
  await t.db.$executeRaw`NOTIFY signet_test, 'back'`;
  expect((await r.heard(5)).at(-1)).toBe('back');
  expect(warnings).toHaveLength(3);
  await listener.close();
});

test('createListener: closing while the database is away ends', async () => {
  const nowhere = new URL(t.serviceUrl);
  nowhere.port = '9';
  const listener = createListener(nowhere.href, 'signet_test', () => undefined, quiet);
  await new Promise((resolve) => setTimeout(resolve, 250));
  await listener.close();
});

test('withStartLock: four at once run one after another, and a failed one lets go', async () => {
  const log: string[] = [];
  const run = (name: string) =>
    withStartLock(t.ownerUrl, async () => {
      log.push(`${name} in`);
      await new Promise((resolve) => setTimeout(resolve, 30));
      log.push(`${name} out`);
      if (name === 'b') throw new Error('b failed');
      return name;
    });
  const results = await Promise.allSettled(['a', 'b', 'c', 'd'].map(run));
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed'))).toEqual(['a', 'failed', 'c', 'd']);
  for (let i = 0; i < log.length; i += 2) expect(log[i + 1]).toBe(log[i]?.replace(' in', ' out'));
});

test('withStartLock: a lock lost in the middle is a fault; no database is a StartupError 69', async () => {
  const lost = withStartLock(t.ownerUrl, async () => {
    await t.ownerDb.$queryRaw`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signet-start' AND datname = ${t.name}`;
    await new Promise((resolve) => setTimeout(resolve, 100));
  });
  await expect(lost).rejects.toThrow(/lock was lost/);
  const nowhere = new URL(t.ownerUrl);
  nowhere.port = '9';
  const away = await withStartLock(nowhere.href, () => Promise.resolve()).catch((error: unknown) => error);
  expect(away).toBeInstanceOf(StartupError);
  expect((away as StartupError).exitCode).toBe(69);
});
