import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { createPacedRunner } from '../../../../src/revocation/crl/paced-runner.ts';

let now = 0;
const clock = { now: () => new Date(now), monotonicMs: () => now };

beforeEach(() => {
  now = 10_000;
  jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
});
afterEach(() => {
  jest.useRealTimers();
});

async function pass(ms: number): Promise<void> {
  now += ms;
  await jest.advanceTimersByTimeAsync(ms);
}

/** A run that ends when the test says so; one second from its start to the next. */
function gated(again = false) {
  const starts: { key: string; at: number }[] = [];
  const gates: (() => void)[] = [];
  const run = (key: string) => {
    const at = now;
    starts.push({ key, at });
    return new Promise<{ notBefore: number; again: boolean }>((resolve) => {
      gates.push(() => resolve({ notBefore: at + 1_000, again }));
    });
  };
  return { starts, gates, run };
}

test('createPacedRunner: the first want runs at once, what is wanted meanwhile runs once more and a second after the start', async () => {
  const { starts, gates, run } = gated();
  const runner = createPacedRunner({ clock, maxParallel: 2, run });
  runner.want('a');
  expect(starts).toEqual([{ key: 'a', at: 10_000 }]);
  for (let i = 0; i < 500; i++) runner.want('a');
  await pass(200);
  gates[0]?.();
  await pass(0);
  expect(starts).toHaveLength(1);
  await pass(799);
  expect(starts).toHaveLength(1);
  await pass(1);
  expect(starts).toEqual([{ key: 'a', at: 10_000 }, { key: 'a', at: 11_000 }]);
  gates[1]?.();
  await pass(5_000);
  expect(starts).toHaveLength(2);
});

test('createPacedRunner: a want during a run is never lost, so a run begins after every want', async () => {
  const { starts, gates, run } = gated();
  const runner = createPacedRunner({ clock, maxParallel: 1, run });
  runner.want('a');
  await pass(1_500);
  runner.want('a');
  gates[0]?.();
  await pass(0);
  expect(starts).toHaveLength(2);
  gates[1]?.();
  await runner.idle();
});

test('createPacedRunner: keys do not wait for each other, up to maxParallel at a time', async () => {
  const { starts, gates, run } = gated();
  const runner = createPacedRunner({ clock, maxParallel: 2, run });
  for (const key of ['a', 'b', 'c']) runner.want(key);
  expect(starts.map((start) => start.key)).toEqual(['a', 'b']);
  gates[0]?.();
  await pass(0);
  expect(starts.map((start) => start.key)).toEqual(['a', 'b', 'c']);
});

test('createPacedRunner: a run that failed is tried again without being wanted', async () => {
  let runs = 0;
  const runner = createPacedRunner({
    clock,
    maxParallel: 1,
    run: () => Promise.resolve({ notBefore: now + 1_000, again: ++runs < 3 }),
  });
  runner.want('a');
  const idle = runner.idle();
  await pass(1_000);
  await pass(1_000);
  await idle;
  expect(runs).toBe(3);
});

test('createPacedRunner: close runs what waits for its time, without the delay and only once', async () => {
  const { starts, gates, run } = gated(true);
  const runner = createPacedRunner({ clock, maxParallel: 1, run });
  runner.want('a');
  gates[0]?.();
  await pass(0);
  expect(starts).toHaveLength(1);
  const closed = runner.close();
  await pass(0);
  expect(starts).toEqual([{ key: 'a', at: 10_000 }, { key: 'a', at: 10_000 }]);
  gates[1]?.();
  await closed;
  runner.want('a');
  await pass(10_000);
  expect(starts).toHaveLength(2);
});
