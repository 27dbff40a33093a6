import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';

/** Lets short work go before long work that is under way. */
export interface Precedence {
  /** Runs short work; whatever is `behind` waits. */
  first<T>(work: () => Promise<T>): Promise<T>;
  /** For one piece of long work: waits, wherever it asks, until no short work runs. In all at most MAX_WAIT_MS, so that it ends however much short work there is. */
  behind(): () => Promise<void>;
}

/** The longest that a piece of long work stands aside in all. Milliseconds. */
export const MAX_WAIT_MS = 5_000;

export function createPrecedence(clock: Pick<Clock, 'monotonicMs'>): Precedence {
  let running = 0;
  let over = Promise.withResolvers<void>();
  return {
    async first(work) {
      if (running++ === 0) over = Promise.withResolvers();
      try {
        return await work();
      } finally {
        if (--running === 0) over.resolve();
      }
    },
    behind() {
      let leftMs = MAX_WAIT_MS;
      return async () => {
        while (running > 0 && leftMs > 0) {
          const beganMs = clock.monotonicMs();
          const limit = new AbortController();
          await Promise.race([over.promise, sleep(leftMs, undefined, { signal: limit.signal, ref: false }).catch(() => undefined)]);
          limit.abort();
          leftMs -= Math.max(1, clock.monotonicMs() - beganMs);
        }
      };
    },
  };
}
