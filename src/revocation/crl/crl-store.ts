import type { Clock } from '../../core/clock.ts';
import { SignetError } from '../../core/errors.ts';
import type { Db } from '../../db/client.ts';
import { COMPLETE, readCrl, type CrlName, type StoredCrl } from '../../db/crls.ts';
import { noCrlCopies, type CrlCopies } from './crl-copies.ts';

/** A list as it is served; header names in lower case. */
export interface ServedCrl extends StoredCrl {
  etag: string;
}

/** The newest lists as this process serves them. Numbers never go back here. */
export interface CrlStore {
  /** The list, at most a second older than the stored one; the last known one while the database is away. @throws SignetError `authority-not-found` */
  get(name: CrlName): Promise<ServedCrl>;
  /** A list this process has just published. */
  put(name: CrlName, list: StoredCrl): void;
}

interface Held {
  list: ServedCrl;
  /** Monotonic milliseconds of the last look at the database. */
  checkedAt: number;
}

const RECHECK_MS = 1_000;
const keyOf = ({ issuerId, shard }: CrlName): string => `${issuerId}/${shard}`;

export interface CrlStoreNeeds {
  db: Db;
  clock: Clock;
  /** Every list this process comes to know is copied there. */
  copies?: Pick<CrlCopies, 'put'>;
}

export function createCrlStore({ db, clock, copies = noCrlCopies }: CrlStoreNeeds): CrlStore {
  const held = new Map<string, Held>();
  const looking = new Map<string, Promise<ServedCrl>>();

  function put(name: CrlName, list: StoredCrl, checkedAt = clock.monotonicMs()): ServedCrl {
    const before = held.get(keyOf(name));
    if (before && before.list.number >= list.number) {
      before.checkedAt = Math.max(before.checkedAt, checkedAt);
      return before.list;
    }
    // Number and time instead of a hash: hashing a list of a million entries takes longer than serving it.
    const served = { ...list, etag: `"${list.number}-${list.thisUpdate.getTime() / 1000}"` };
    held.set(keyOf(name), { list: served, checkedAt });
    copies.put(name, served);
    return served;
  }

  async function look(name: CrlName): Promise<ServedCrl> {
    const before = held.get(keyOf(name));
    const known = before?.list;
    const began = clock.monotonicMs();
    try {
      const stored = await readCrl(db, name.issuerId, name.shard, known?.number ?? 0n);
      if (stored === 'unchanged' && known) return put(name, known, began);
      if (typeof stored === 'object') return put(name, stored, began);
    } catch (error) {
      // A list speaks for itself until its nextUpdate; an old one is better than none.
      if (!before) throw error;
      before.checkedAt = began;
      return before.list;
    }
    throw new SignetError('authority-not-found', `there is no ${name.shard === COMPLETE ? 'complete list' : `shard ${name.shard}`} of issuer ${name.issuerId}`);
  }

  return {
    async get(name) {
      const key = keyOf(name);
      const known = held.get(key);
      if (known && clock.monotonicMs() - known.checkedAt < RECHECK_MS) return known.list;
      const under = looking.get(key);
      if (under) return under;
      const started = look(name).finally(() => looking.delete(key));
      looking.set(key, started);
      return started;
    },
    put(name, list) {
      put(name, list);
    },
  };
}

/** RFC 9110 and 9111 headers of a list. A cache keeps it no longer than `maxAgeSeconds`, nor past its nextUpdate. */
export function crlHeaders(list: ServedCrl, maxAgeSeconds: number, now: Date): Record<string, string> {
  const left = Math.floor((list.nextUpdate.getTime() - now.getTime()) / 1000);
  return {
    'content-type': 'application/pkix-crl',
    'cache-control': `max-age=${Math.max(0, Math.min(maxAgeSeconds, left))}, public, no-transform, must-revalidate`,
    etag: list.etag,
    'last-modified': list.thisUpdate.toUTCString(),
    expires: list.nextUpdate.toUTCString(),
  };
}
