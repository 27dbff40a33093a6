import type { Clock } from '../../core/clock.ts';
import { SignetError } from '../../core/errors.ts';
import { alone, type Siblings } from '../../core/siblings.ts';
import type { Db } from '../../db/client.ts';
import type { Logger } from '../../core/log.ts';
import { COMPLETE, ListReplaced, readCrl, type CrlName, type ListFacts } from '../../db/crls.ts';
import { noCrlCopies, type CrlCopies } from './crl-copies.ts';
import { keepOctets, type ListOctets } from './list-octets.ts';

/** A list as it is served. */
export interface ServedCrl extends ListFacts {
  etag: string;
  content: ListOctets;
}

/** A list that was published, or read from the database. */
type FoundCrl = ListFacts & ({ content: ListOctets } | { parts: AsyncIterable<Buffer> });

/** The newest lists as this replica serves them. Numbers never go back here, whichever worker is asked. */
export interface CrlStore {
  /** The list, at most a second older than the stored one; the last known one while the database is away. @throws SignetError `authority-not-found` */
  get(name: CrlName): Promise<ServedCrl>;
  /** A list this process has just published; its octets are the store's from now on. Resolves when it is served. */
  put(name: CrlName, list: ListFacts & { content: ListOctets }): Promise<void>;
}

interface Held {
  list: ServedCrl;
  /** Monotonic milliseconds of the last look at the database. */
  checkedAt: number;
}

const RECHECK_MS = 1_000;
/** A worker that stays silent so long serves no older list either: it looks at the database before. The rest is for clocks that tick coarsely. */
const CONFIRMED_MS = RECHECK_MS + 250;
/** Looks at a list that is replaced while it is read. */
const MAX_TRIES = 3;
const keyOf = ({ issuerId, shard }: CrlName): string => `${issuerId}/${shard}`;

export interface CrlStoreNeeds {
  db: Db;
  clock: Clock;
  /** Every list this process comes to know is copied there. */
  copies?: Pick<CrlCopies, 'put'>;
  siblings?: Pick<Siblings, 'ask' | 'on'>;
  log: Pick<Logger, 'warn'>;
}

/** A list by its number, as workers tell each other. */
interface NumberedList {
  key: string;
  number: bigint;
}

export function createCrlStore({ db, clock, log, copies = noCrlCopies, siblings = alone }: CrlStoreNeeds): CrlStore {
  const held = new Map<string, Held>();
  const looking = new Map<string, Promise<ServedCrl>>();
  /** Numbers from which on another worker serves, or is about to. */
  const least = new Map<string, bigint>();
  siblings.on('list-served', (message) => {
    const { key, number } = message as NumberedList;
    if (number > (least.get(key) ?? 0n)) least.set(key, number);
  });

  const isOlder = (list: ListFacts, key: string): boolean => list.number < (least.get(key) ?? 0n);

  /** A newer list is served when no other worker serves an older one any more. @throws ListReplaced when it was gone before it was read */
  async function take(name: CrlName, list: FoundCrl, checkedAt: number): Promise<ServedCrl> {
    const key = keyOf(name);
    if (isHeld(key, list.number)) {
      if ('content' in list) list.content.release();
      return confirm(key, checkedAt);
    }
    const content = 'content' in list ? list.content : await keepOctets(list.parts, log);
    await siblings.ask('list-served', { key, number: list.number } satisfies NumberedList, CONFIRMED_MS);
    // Another one may have come meanwhile.
    const before = held.get(key);
    if (isHeld(key, list.number)) {
      content.release();
      return confirm(key, checkedAt);
    }
    const { number, thisUpdate, nextUpdate, entries, octets } = list;
    // Number and time instead of a hash: hashing a list of a million entries takes longer than serving it.
    const served: ServedCrl = { number, thisUpdate, nextUpdate, entries, octets, content, etag: `"${number}-${thisUpdate.getTime() / 1000}"` };
    held.set(key, { list: served, checkedAt });
    before?.list.content.release();
    copies.put(name, served);
    return served;
  }

  const isHeld = (key: string, number: bigint): boolean => (held.get(key)?.list.number ?? -1n) >= number;

  /** The held list is still the newest. */
  function confirm(key: string, checkedAt: number): ServedCrl {
    const { list, checkedAt: before } = held.get(key) as Held;
    held.set(key, { list, checkedAt: Math.max(before, checkedAt) });
    return list;
  }

  async function look(name: CrlName, tries = MAX_TRIES): Promise<ServedCrl> {
    const before = held.get(keyOf(name));
    const began = clock.monotonicMs();
    try {
      const stored = await readCrl(db, name, before?.list.number ?? 0n);
      if (stored === 'unchanged' && before) return confirm(keyOf(name), began);
      if (typeof stored === 'object') return await take(name, stored, began);
    } catch (error) {
      // Large lists that are replaced all the time: at last the one that is known.
      if (error instanceof ListReplaced && tries > 1) return look(name, tries - 1);
      // A list speaks for itself until its nextUpdate; an old one is better than none, even where another worker has a newer one.
      if (!before) throw error;
      least.delete(keyOf(name));
      return confirm(keyOf(name), began);
    }
    throw new SignetError('authority-not-found', `there is no ${name.shard === COMPLETE ? 'complete list' : `shard ${name.shard}`} of issuer ${name.issuerId}`);
  }

  return {
    async get(name) {
      const key = keyOf(name);
      const known = held.get(key);
      if (known && clock.monotonicMs() - known.checkedAt < RECHECK_MS && !isOlder(known.list, key)) return known.list;
      const found = await looking.get(key);
      // A look that began before another worker told of a newer list may not have seen it.
      if (found && !isOlder(found, key)) return found;
      const under = looking.get(key);
      if (under) return under;
      const started = look(name).finally(() => looking.delete(key));
      looking.set(key, started);
      return started;
    },
    async put(name, list) {
      await take(name, list, clock.monotonicMs());
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
