/** A worker as the watchdog sees it. */
export interface Probed {
  /** Asks again, and returns how many earlier probes in a row have had no answer. */
  readonly probe: () => number;
}

export interface Watchdog {
  stop(): void;
}

const PROBE_MS = 1_000;

/**
 * Asks each of `workers()` once a second whether it still does anything, and calls `hangs` with one that has let `silenceSeconds` probes in a row go by, once.
 * Seconds are counted by the probes made, never by a clock: while this process stands still together with its workers it makes none, and what it makes when
 * it goes on is one. 0: never.
 */
export function createWatchdog<W extends Probed>(silenceSeconds: number, workers: () => readonly W[], hangs: (worker: W) => void): Watchdog {
  if (silenceSeconds === 0) return { stop: () => undefined };
  const timer = setInterval(() => {
    for (const worker of workers()) if (worker.probe() === silenceSeconds) hangs(worker);
  }, PROBE_MS).unref();
  return { stop: () => clearInterval(timer) };
}
