import { StatementError, type Heartbeat } from '../../verify/feed-statement.ts';

/** How old what is known is, by heartbeats: told without trusting that they came at once. */
export interface Freshness {
  /**
   * Takes a heartbeat into account. `nowMs`: monotonic; `wallMs`: this machine's clock.
   * @throws StatementError for one that was said before, or is older than it may be
   */
  heard(heartbeat: Heartbeat, nowMs: number, wallMs: number): void;
  /** Milliseconds since the moment the newest heartbeat speaks of; Infinity before the first. */
  ageMs(nowMs: number, wallMs: number): number;
  /** What follows may begin anew: another connection's heartbeats need only be no older than the newest. */
  reconnected(): void;
  /** Forgets how clocks related: after a snapshot, which was signed when it was asked for. */
  reset(): void;
}

export interface FreshnessLimits {
  stalenessMs: number;
  /** How far the service's clock may be from this machine's. */
  clockToleranceMs: number;
}

/** Further than this the wall clock leaves the monotonic one behind only when the machine slept, or somebody set it. */
const SLEPT_MS = 1_000;

/**
 * The service's clock (its database's) and this machine's monotonic one go at the same pace. The heartbeat that came quickest tells how they relate; every other one
 * is as old as it is behind that. So one that was held up or recorded counts from when it was made, not from when it came.
 * The monotonic clock stands while the machine sleeps: what the wall clock went on meanwhile counts as well. One that was put forward is taken for that, and denies
 * until a snapshot begins anew.
 */
export function createFreshness({ stalenessMs, clockToleranceMs }: FreshnessLimits): Freshness {
  let newest = -Infinity;
  let onThisConnection = -Infinity;
  /** Service time less `elapsed`, of the quickest. */
  let offset = -Infinity;
  /** Wall clock less monotonic time at the last heartbeat; undefined before the first. */
  let wallLead: number | undefined;
  let sleptMs = 0;

  /** Monotonic time that also went on while the machine slept. */
  const elapsed = (nowMs: number, wallMs: number): number => {
    const ahead = wallLead === undefined ? 0 : wallMs - nowMs - wallLead;
    return nowMs + sleptMs + (ahead > SLEPT_MS ? ahead : 0);
  };

  return {
    heard({ time }, nowMs, wallMs) {
      const at = Date.parse(time);
      if (at <= onThisConnection) throw new StatementError(`the heartbeat of ${time} does not come after the one before it: it is a replay`);
      if (at < newest - stalenessMs) throw new StatementError(`the heartbeat of ${time} is older than one that came before`);
      if (Math.abs(at - wallMs) > clockToleranceMs) throw new StatementError(`the heartbeat of ${time} is ${Math.round(Math.abs(at - wallMs) / 1000)} s away from this machine's clock`);
      const elapsedMs = elapsed(nowMs, wallMs);
      const quickest = Math.max(offset, at - elapsedMs);
      if (elapsedMs + quickest - at > stalenessMs) throw new StatementError(`the heartbeat of ${time} came too late`);
      offset = quickest;
      sleptMs = elapsedMs - nowMs;
      wallLead = wallMs - nowMs;
      onThisConnection = at;
      newest = Math.max(newest, at);
    },
    ageMs: (nowMs, wallMs) => (newest === -Infinity ? Infinity : elapsed(nowMs, wallMs) + offset - newest),
    reconnected() {
      onThisConnection = -Infinity;
    },
    reset() {
      newest = -Infinity;
      onThisConnection = -Infinity;
      offset = -Infinity;
      wallLead = undefined;
      sleptMs = 0;
    },
  };
}
