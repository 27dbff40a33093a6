import type { Clock } from '../core/clock.ts';
import { findAdminToken, type AdminTokenRecord } from '../db/admin-tokens.ts';
import type { Db } from '../db/client.ts';

/** How long a token found in the database is believed: one that another replica revoked works this much longer at most. */
export const BELIEVED_MS = 1_000;
const MAX_ENTRIES = 1_000;

/** API tokens as this process knows them. */
export interface AdminTokenCache {
  /** The token as it was at most a second ago, revoked and expired ones included. */
  find(id: string): Promise<AdminTokenRecord | undefined>;
  /** The next `find` looks into the database: call it once a change of the token is committed. */
  forget(id: string): void;
}

export function createAdminTokenCache({ db, clock }: { db: Db; clock: Clock }): AdminTokenCache {
  const cache = new Map<string, { atMs: number; record: Promise<AdminTokenRecord | undefined> }>();
  return {
    find(id) {
      const nowMs = clock.monotonicMs();
      const known = cache.get(id);
      if (known && nowMs - known.atMs < BELIEVED_MS) return known.record;
      if (cache.size >= MAX_ENTRIES) cache.clear();
      // Kept from before the look on: what is forgotten while it is under way stays forgotten.
      const record = findAdminToken(db, id);
      cache.set(id, { atMs: nowMs, record });
      // Only what was found stays: unknown ids and failures are looked up anew.
      record.then((found) => found ?? cache.delete(id), () => cache.delete(id));
      return record;
    },
    forget: (id) => void cache.delete(id),
  };
}
