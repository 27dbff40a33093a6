import { SignetError } from '../core/errors.ts';

export interface BatcherOptions<K, R> {
  /** Entries in one run, at most. */
  maxBatch: number;
  /** Entries waiting for a run, at most. */
  maxQueue: number;
  /** Does the work of a batch; the n-th result belongs to the n-th key. A rejection fails every entry of the batch. */
  run: (keys: K[]) => Promise<R[]>;
  /** Two entries that share a conflict key never go into one batch; of such entries the one submitted first runs first. */
  conflictKeys?: (key: K) => string[];
}

export interface Batcher<K, R> {
  /**
   * The result for `key`, from a run that starts after this call. @throws SignetError `overloaded` when `maxQueue` entries wait,
   * and whatever `run` throws
   */
  submit(key: K): Promise<R>;
  /** Entries waiting, without those in the run under way. */
  depth(): number;
}

interface Entry<K, R> {
  key: K;
  resolve: (result: R) => void;
  reject: (error: unknown) => void;
}

const RETRY_AFTER_SECONDS = 1;

/**
 * Coalesces concurrent work into batches: entries queue while a run is under way and leave together when it returns, never by a
 * timer (reference/performance.md C: a 2 ms timer halves throughput). Entries submitted in one turn of the event loop start together.
 */
export function createBatcher<K, R>(options: BatcherOptions<K, R>): Batcher<K, R> {
  const { maxBatch, maxQueue, run, conflictKeys } = options;
  let waiting: Entry<K, R>[] = [];
  let busy = false;

  function takeBatch(): Entry<K, R>[] {
    if (!conflictKeys) return waiting.splice(0, maxBatch);
    const batch: Entry<K, R>[] = [];
    const left: Entry<K, R>[] = [];
    // Keys of entries left behind count as taken too: a later entry must not overtake them.
    const taken = new Set<string>();
    for (const [index, entry] of waiting.entries()) {
      if (batch.length === maxBatch) {
        left.push(...waiting.slice(index));
        break;
      }
      const keys = conflictKeys(entry.key);
      (keys.some((key) => taken.has(key)) ? left : batch).push(entry);
      for (const key of keys) taken.add(key);
    }
    waiting = left;
    return batch;
  }

  async function runBatch(batch: Entry<K, R>[]): Promise<void> {
    try {
      const results = await run(batch.map((entry) => entry.key));
      if (results.length !== batch.length) throw new Error(`a batch of ${batch.length} gave ${results.length} results`);
      for (const [index, entry] of batch.entries()) entry.resolve(results[index] as R);
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    }
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) await runBatch(takeBatch());
    busy = false;
  }

  return {
    submit(key) {
      if (waiting.length >= maxQueue) {
        return Promise.reject(new SignetError('overloaded', 'Too many requests wait for the database.', { retryAfterSeconds: RETRY_AFTER_SECONDS }));
      }
      const { promise, resolve, reject } = Promise.withResolvers<R>();
      waiting.push({ key, resolve, reject });
      if (!busy) {
        busy = true;
        // After the other sockets of this turn of the event loop: they bring company. Over a microtask, batches of two busy workers were 11 certificates instead of 15,
        // and the service and PostgreSQL needed a fifth more for each (docs/performance.md).
        setImmediate(() => void drain());
      }
      return promise;
    },
    depth: () => waiting.length,
  };
}
