export interface BackOffOptions {
  /** Failures within `windowMs` that cost nothing. */
  allowed: number;
  /** Quiet time that forgives `allowed` failures; less forgives as much less. */
  windowMs: number;
  /** Longest wait. */
  maxWaitMs: number;
  maxKeys: number;
}

/** Makes keys that fail again and again wait. Times are milliseconds of one monotonic clock. */
export interface BackOff {
  /** Milliseconds this key has to wait; 0: none. */
  waitMs(key: string, nowMs: number): number;
  /** `count` more failures of `key`. */
  fail(key: string, count: number, nowMs: number): void;
  /** Keys remembered. */
  size(): number;
}

interface Standing {
  /** Failures not forgiven yet, when it failed last. */
  failures: number;
  /** End of its wait, or when it failed last: what comes after is quiet time. */
  untilMs: number;
}

/** What the first failure too many costs; each further one costs twice as much. */
const FIRST_WAIT_MS = 1_000;
/** Failures held against a key beyond the allowed ones: more doublings than any wait has. */
const MAX_OVER = 24;

/**
 * A success changes nothing: failures are forgiven by being quiet only, or who has one good credential could try others for ever. Waiting is not being
 * quiet. At most `maxKeys` are remembered: for a new one, the one that failed longest ago is forgotten.
 */
export function createBackOff({ allowed, windowMs, maxWaitMs, maxKeys }: BackOffOptions): BackOff {
  /** In the order of their last failures. */
  const standings = new Map<string, Standing>();
  /** Stands before the oldest: who fails again moves behind it, who is passed is forgotten. */
  const oldest = standings.keys();

  function failuresOf(standing: Standing | undefined, nowMs: number): number {
    if (standing === undefined) return 0;
    const forgiven = (Math.max(0, nowMs - standing.untilMs) / windowMs) * allowed;
    return Math.max(0, standing.failures - forgiven);
  }

  return {
    waitMs: (key, nowMs) => Math.max(0, (standings.get(key)?.untilMs ?? nowMs) - nowMs),
    fail(key, count, nowMs) {
      const failures = Math.min(failuresOf(standings.get(key), nowMs) + count, allowed + MAX_OVER);
      const over = Math.ceil(failures - allowed);
      const waitMs = over > 0 ? Math.min(maxWaitMs, FIRST_WAIT_MS * 2 ** (over - 1)) : 0;
      if (!standings.delete(key) && standings.size >= maxKeys) standings.delete(oldest.next().value ?? '');
      standings.set(key, { failures, untilMs: nowMs + waitMs });
    },
    size: () => standings.size,
  };
}
