import type { Clock } from '../core/clock.ts';

/** How long a credential found in the database is believed: one that another replica revoked works this much longer at most. */
export const BELIEVED_MS = 1_000;
const MAX_ENTRIES = 1_000;

/** Credentials as this process knows them, by a key that only their holder knows: whoever guesses always costs a look into the database, right id or not. */
export interface CredentialCache<T> {
  /** What the key stands for, as it was at most a second ago. */
  find(key: string): Promise<T | undefined>;
  /** The next `find` of each looks into the database: call it once a change is committed. */
  forget(): void;
}

export function createCredentialCache<T>({ clock }: { clock: Pick<Clock, 'monotonicMs'> }, look: (key: string) => Promise<T | undefined>): CredentialCache<T> {
  const cache = new Map<string, { atMs: number; found: Promise<T | undefined> }>();
  return {
    find(key) {
      const nowMs = clock.monotonicMs();
      const known = cache.get(key);
      if (known && nowMs - known.atMs < BELIEVED_MS) return known.found;
      if (cache.size >= MAX_ENTRIES) cache.clear();
      // Kept from before the look on: what is forgotten while it is under way stays forgotten.
      const entry = { atMs: nowMs, found: look(key) };
      cache.set(key, entry);
      const drop = () => cache.get(key) === entry && cache.delete(key);
      // Only what was found stays: wrong credentials and failures are looked up anew.
      entry.found.then((found) => found === undefined && drop(), drop);
      return entry.found;
    },
    forget: () => cache.clear(),
  };
}
