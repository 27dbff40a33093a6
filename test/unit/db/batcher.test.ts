import { expect, test } from '@jest/globals';
import { createBatcher } from '../../../src/db/batcher.ts';

/** A run that ends when the test says so, and remembers its batches. */
function gatedRun() {
  const batches: string[][] = [];
  const gates: { open: () => void; fail: (error: Error) => void }[] = [];
  const run = (keys: string[]) => {
    batches.push(keys);
    return new Promise<string[]>((resolve, reject) => {
      gates.push({ open: () => resolve(keys.map((key) => key.toUpperCase())), fail: reject });
    });
  };
  return { batches, gates, run };
}
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('createBatcher: entries of one tick start together, later ones leave together when the run returns', async () => {
  const { batches, gates, run } = gatedRun();
  const batcher = createBatcher<string, string>({ maxBatch: 10, maxQueue: 10, run });
  const first = [batcher.submit('a'), batcher.submit('b')];
  await turn();
  expect(batches).toEqual([['a', 'b']]);
  const second = [batcher.submit('c'), batcher.submit('d')];
  await turn();
  expect(batches).toHaveLength(1);
  expect(batcher.depth()).toBe(2);
  gates[0]?.open();
  expect(await Promise.all(first)).toEqual(['A', 'B']);
  await turn();
  expect(batches).toEqual([['a', 'b'], ['c', 'd']]);
  expect(batcher.depth()).toBe(0);
  gates[1]?.open();
  expect(await Promise.all(second)).toEqual(['C', 'D']);
});

test('createBatcher: an entry submitted during a run never joins it, so what it reads is newer than its submission', async () => {
  const { batches, gates, run } = gatedRun();
  const batcher = createBatcher<string, string>({ maxBatch: 10, maxQueue: 10, run });
  const early = batcher.submit('same');
  await turn();
  const late = batcher.submit('same');
  gates[0]?.open();
  await early;
  await turn();
  expect(batches).toEqual([['same'], ['same']]);
  gates[1]?.open();
  expect(await late).toBe('SAME');
});

test('createBatcher: a batch holds at most maxBatch entries, in order of submission', async () => {
  const batches: number[][] = [];
  const batcher = createBatcher<number, number>({
    maxBatch: 3,
    maxQueue: 100,
    run: (keys) => {
      batches.push(keys);
      return Promise.resolve(keys);
    },
  });
  await Promise.all([1, 2, 3, 4, 5, 6, 7].map((key) => batcher.submit(key)));
  expect(batches).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
});

test('createBatcher: entries that share a conflict key go into different batches, the earlier one first', async () => {
  const batches: string[][] = [];
  const batcher = createBatcher<string, string>({
    maxBatch: 10,
    maxQueue: 100,
    // Keys are letters; "ab" conflicts with everything that holds a or b.
    conflictKeys: (key) => [...key],
    run: (keys) => {
      batches.push(keys);
      return Promise.resolve(keys);
    },
  });
  await Promise.all(['a', 'ab', 'b', 'c', 'a'].map((key) => batcher.submit(key)));
  // "b" does not share a key with "a", but must not overtake "ab".
  expect(batches).toEqual([['a', 'c'], ['ab'], ['b', 'a']]);
});

test('createBatcher: a full batch leaves the rest of a conflicting queue waiting in order', async () => {
  const batches: string[][] = [];
  const batcher = createBatcher<string, string>({
    maxBatch: 2,
    maxQueue: 100,
    conflictKeys: (key) => [key],
    run: (keys) => {
      batches.push(keys);
      return Promise.resolve(keys);
    },
  });
  await Promise.all(['a', 'a', 'b', 'c', 'b', 'd'].map((key) => batcher.submit(key)));
  expect(batches).toEqual([['a', 'b'], ['a', 'c'], ['b', 'd']]);
});

test('createBatcher: over maxQueue the entry is refused with overloaded and a retry time, the waiting ones are served', async () => {
  const { gates, run } = gatedRun();
  const batcher = createBatcher<string, string>({ maxBatch: 10, maxQueue: 2, run });
  const running = batcher.submit('a');
  await turn();
  const waiting = [batcher.submit('b'), batcher.submit('c')];
  await expect(batcher.submit('d')).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
  gates[0]?.open();
  await running;
  await turn();
  gates[1]?.open();
  expect(await Promise.all(waiting)).toEqual(['B', 'C']);
});

test('createBatcher: a failed run fails its own entries only', async () => {
  const { gates, run } = gatedRun();
  const batcher = createBatcher<string, string>({ maxBatch: 10, maxQueue: 10, run });
  const doomed = batcher.submit('a');
  await turn();
  const spared = batcher.submit('b');
  gates[0]?.fail(new Error('connection lost'));
  await expect(doomed).rejects.toThrow('connection lost');
  await turn();
  gates[1]?.open();
  expect(await spared).toBe('B');
});

test('createBatcher: a run that throws at once, or gives too few results, fails its entries and the next run starts', async () => {
  let call = 0;
  const batcher = createBatcher<string, string>({
    maxBatch: 1,
    maxQueue: 10,
    run: (keys) => {
      call += 1;
      if (call === 1) throw new Error('thrown');
      return Promise.resolve(call === 2 ? [] : keys);
    },
  });
  const results = await Promise.allSettled([batcher.submit('a'), batcher.submit('b'), batcher.submit('c')]);
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected', 'fulfilled']);
});
