import { COMPLETE, type ListBuild } from '../../db/crls.ts';

/** Least time between two lists of one name after the leading edge (DESIGN §2, §6). */
const LIST_INTERVAL_MS = 1_000;
/** The same for the complete list of an issuer with shards. */
const COALESCED_INTERVAL_MS = 5_000;
/** From so many entries on what a list costs decides how often it is made. */
const LARGE_ENTRIES = 100_000;
/** A large list may take a tenth of the time. */
const BUILD_SHARE = 10;

/**
 * Least milliseconds between two lists of one name that differ, over all publishers: what a revocation may wait for its list when another has just been
 * published. The scheduled lists in between are not held up by it. How long others may believe the list before, GET /v1/revocations/{n} says (live/propagation.ts).
 */
export function listIntervalMs({ shard, shardCount }: { shard: number; shardCount: number }, last: ListBuild): number {
  const least = shard === COMPLETE && shardCount > 1 ? COALESCED_INTERVAL_MS : LIST_INTERVAL_MS;
  return last.entries > LARGE_ENTRIES ? Math.max(COALESCED_INTERVAL_MS, BUILD_SHARE * last.buildMs) : least;
}
