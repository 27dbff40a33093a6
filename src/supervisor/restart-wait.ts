/** A worker that ends sooner than this after its start has ended quickly. */
export const QUICK_MS = 60_000;
const FIRST_MS = 250;
const LONGEST_MS = 30_000;

/** Milliseconds before a worker is replaced, after so many quick ends in a row: at once for one that had served long, then twice as long each time. */
export const restartWaitMs = (quickEnds: number): number => (quickEnds === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (quickEnds - 1)));
