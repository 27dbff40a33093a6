import { expect, jest, test } from '@jest/globals';
import { createPrecedence, MAX_WAIT_MS } from '../../../../src/revocation/crl/precedence.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('long work waits until no short work runs, however often that begins anew', async () => {
  const precedence = createPrecedence({ monotonicMs: () => 0 });
  const giveWay = precedence.behind();
  await giveWay();
  const [one, two] = [Promise.withResolvers<number>(), Promise.withResolvers<void>()];
  const first = precedence.first(() => one.promise);
  const second = precedence.first(() => two.promise);
  let waited = false;
  const waiting = giveWay().then(() => void (waited = true));
  one.resolve(1);
  expect(await first).toBe(1);
  await turn();
  expect(waited).toBe(false);
  two.reject(new Error('failed'));
  await expect(second).rejects.toThrow('failed');
  await waiting;
});

test('it stands aside for so long in all, then goes on beside the others', async () => {
  jest.useFakeTimers({ doNotFake: ['setImmediate'] });
  try {
    let nowMs = 0;
    const precedence = createPrecedence({ monotonicMs: () => nowMs });
    const giveWay = precedence.behind();
    void precedence.first(() => new Promise(() => undefined));
    nowMs = 0;
    let waited = false;
    const waiting = giveWay().then(() => void (waited = true));
    await turn();
    expect(waited).toBe(false);
    nowMs = MAX_WAIT_MS;
    await jest.advanceTimersByTimeAsync(MAX_WAIT_MS);
    await waiting;
    await giveWay();
  } finally {
    jest.useRealTimers();
  }
});
