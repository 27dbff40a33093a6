import { createBatcher } from '../db/batcher.ts';
import type { Db } from '../db/client.ts';
import { readStatusRows, type StatusRow } from '../db/status.ts';
import { createRecentMap } from './recent-map.ts';
import type { RevocationSignals } from './signals.ts';

export type { StatusRow };

/** What was found, and whether it may still be said. */
export interface StatusView {
  /** What is stored of a serial; undefined when we never issued it. */
  get(serial: Uint8Array): StatusRow | undefined;
  /** All of it came from memory. */
  readonly fromMemory: boolean;
  /** May outlive this answer: it was read while the feed was followed, so that a later change will be signalled here. */
  readonly cacheable: boolean;
  /** Ask right before the answer leaves: false once a change of one of these serials was signalled after the reading began (invariant 13). */
  isCurrent(): boolean;
}

/** Status of certificates, from memory while the feed is followed closely, else from the database. */
export interface StatusReader {
  /** @throws SignetError `overloaded`; whatever the database throws when it is away */
  read(serials: readonly Uint8Array[]): Promise<StatusView>;
}

export interface StatusReaderNeeds {
  db: Db;
  signals: RevocationSignals;
  /** `positionAgeMs` of the feed follower. */
  feed: { positionAgeMs(): number };
  config: { ocspCacheEntries: number; statusBatchMax: number };
}

/** Invariant 13: a replica whose feed position is older than this answers no cached good. */
export const MAX_FEED_AGE_MS = 2_000;

/** Serials are counted in slots by their last random octets: two that share a slot only cause a needless second read. */
const GENERATION_SLOTS = 65_536;
const SERIAL_BYTES = 20;
const SERIAL_VERSION = 1;
/** Whole requests of `statusBatchMax` serials that may wait for the database. */
const QUEUED_BATCHES = 20;

/** Has the form of our serials (DESIGN invariant 3); no other is looked up. */
const isOurs = (serial: Uint8Array): boolean => serial.length === SERIAL_BYTES && serial[0] === SERIAL_VERSION;
const slotOf = (serial: Uint8Array): number => ((serial.at(-2) ?? 0) << 8) | (serial.at(-1) ?? 0);
const keyOf = (serial: Uint8Array): string => Buffer.from(serial.buffer, serial.byteOffset, serial.byteLength).toString('latin1');

/**
 * The reader of this process. Concurrent lookups share statements (db/batcher.ts); a lookup never joins a statement that was already
 * under way, so what it finds is at least as new as the question.
 */
export function createStatusReader(needs: StatusReaderNeeds): StatusReader {
  const { db, signals, feed, config } = needs;
  const known = createRecentMap<StatusRow>(config.ocspCacheEntries);
  const generations = new Uint32Array(GENERATION_SLOTS);
  const lookups = createBatcher<Uint8Array, StatusRow | undefined>({
    maxBatch: config.statusBatchMax,
    maxQueue: config.statusBatchMax * QUEUED_BATCHES,
    run: async (serials) => {
      const distinct = new Map(serials.map((serial) => [keyOf(serial), serial]));
      const rows = new Map((await readStatusRows(db, [...distinct.values()])).map((row) => [keyOf(row.serial), row]));
      return serials.map((serial) => rows.get(keyOf(serial)));
    },
  });
  const feedIsFresh = (): boolean => feed.positionAgeMs() <= MAX_FEED_AGE_MS;

  signals.subscribe((changed) => {
    for (const { serial } of changed) {
      const slot = slotOf(serial);
      generations[slot] = (generations[slot] ?? 0) + 1;
      known.delete(keyOf(serial));
    }
  });

  return {
    async read(serials) {
      // A change signalled from here on is seen by isCurrent; one signalled earlier was committed before the statement begins.
      const began = serials.map((serial) => generations[slotOf(serial)]);
      const cacheable = feedIsFresh();
      const found = new Map<string, StatusRow | undefined>();
      const missing: number[] = [];
      // A revocation is for ever and needs no fresh feed; good and held do.
      let needsFreshFeed = false;
      for (const [index, serial] of serials.entries()) {
        const row = known.get(keyOf(serial));
        if (row && (row.revokedAt !== null || cacheable)) {
          found.set(keyOf(serial), row);
          needsFreshFeed ||= row.revokedAt === null;
        } else if (isOurs(serial)) {
          missing.push(index);
        }
      }
      const unchanged = (index: number): boolean => generations[slotOf(serials[index] as Uint8Array)] === began[index];
      const rows = await Promise.all(missing.map((index) => lookups.submit(serials[index] as Uint8Array)));
      for (const [i, index] of missing.entries()) {
        const row = rows[i];
        if (!row) continue;
        found.set(keyOf(row.serial), row);
        if (cacheable && unchanged(index)) known.set(keyOf(row.serial), row);
      }
      const isCurrent = (): boolean => serials.every((_, index) => unchanged(index)) && (!needsFreshFeed || feedIsFresh());
      return { get: (serial) => found.get(keyOf(serial)), fromMemory: missing.length === 0, cacheable, isCurrent };
    },
  };
}
