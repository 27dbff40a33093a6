/** A bounded map that forgets what was least recently used. */
export interface RecentMap<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  delete(key: string): void;
}

/**
 * Two generations instead of a linked list: an entry used in the younger half stays, the older half goes at once when the younger
 * one is full. Holds at most `capacity` entries, at least half of that; 0 holds nothing.
 */
export function createRecentMap<V>(capacity: number): RecentMap<V> {
  const half = Math.floor(capacity / 2);
  let young = new Map<string, V>();
  let old = new Map<string, V>();

  function set(key: string, value: V): void {
    if (half === 0) return;
    if (young.size >= half && !young.has(key)) {
      old = young;
      young = new Map();
    }
    old.delete(key);
    young.set(key, value);
  }

  return {
    get(key) {
      const fresh = young.get(key);
      if (fresh !== undefined) return fresh;
      const value = old.get(key);
      if (value !== undefined) set(key, value);
      return value;
    },
    set,
    delete(key) {
      young.delete(key);
      old.delete(key);
    },
  };
}
