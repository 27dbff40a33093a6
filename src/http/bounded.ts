import { setTimeout as sleep } from 'node:timers/promises';

/** The result of `work`, or a rejection after `ms`: the work itself goes on by its own limits. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new Error(`no answer in ${ms} ms`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}

/** `read` at most once in `ms`: callers in between get the last answer, callers during one share it. A failure is not kept. */
export function atMostOnceIn<T>(ms: number, monotonicMs: () => number, read: () => Promise<T>): () => Promise<T> {
  let last: { atMs: number; answer: Promise<T> } | undefined;
  return () => {
    if (last === undefined || monotonicMs() - last.atMs >= ms) {
      const answer = read();
      const mine = { atMs: monotonicMs(), answer };
      last = mine;
      answer.catch(() => {
        if (last === mine) last = undefined;
      });
    }
    return last.answer;
  };
}
