import type { Siblings } from '../core/siblings.ts';

/** What a worker lets through, told to its siblings. */
export interface SharedCounts {
  /** It happened here once more, to `key` of the limit `name`. */
  note(name: string, key: string): void;
}

/** How long a worker keeps to itself what it has let through: what a message costs is then paid ten times a second at most. */
const TELL_AFTER_MS = 100;

/** By name of the limit and key, how often since it was told last. */
type Told = Map<string, Map<string, number>>;

/** `onTold` gets what the siblings tell. A replica of one worker notes nothing. */
export function createSharedCounts(siblings: Siblings, onTold: (name: string, key: string, count: number) => void): SharedCounts {
  if (siblings.workers <= 1) return { note: () => undefined };
  let untold: Told = new Map();

  function tell(): void {
    const told = untold;
    untold = new Map();
    siblings.tell('rates', told);
  }

  siblings.on('rates', (message) => {
    for (const [name, counts] of message as Told) counts.forEach((count, key) => onTold(name, key, count));
  });
  return {
    note(name, key) {
      // The first one starts the time: a quiet worker says nothing and wakes up for nothing.
      if (untold.size === 0) setTimeout(tell, TELL_AFTER_MS).unref();
      let counts = untold.get(name);
      if (counts === undefined) {
        counts = new Map();
        untold.set(name, counts);
      }
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
  };
}
