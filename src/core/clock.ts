/** Where time comes from. Use cases take `now` once per request (DESIGN invariant 15); pure code receives it as an argument. */
export interface Clock {
  /** Wall clock, UTC. */
  now(): Date;
  /** Monotonic milliseconds, for durations and time-outs only. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};
