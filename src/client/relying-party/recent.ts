/** A map that forgets what was not asked for longest once it is full. */
export interface Recent<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  values(): IterableIterator<V>;
  readonly size: number;
}

export function createRecent<V>(limit: number): Recent<V> {
  const held = new Map<string, V>();
  return {
    get(key) {
      const value = held.get(key);
      if (value === undefined) return undefined;
      held.delete(key);
      held.set(key, value);
      return value;
    },
    set(key, value) {
      held.delete(key);
      held.set(key, value);
      if (held.size <= limit) return;
      const [oldest] = held.keys();
      if (oldest !== undefined) held.delete(oldest);
    },
    values: () => held.values(),
    get size() {
      return held.size;
    },
  };
}
