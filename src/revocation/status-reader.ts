import type { Clock } from '../core/clock.ts';
import { createBatcher } from '../db/batcher.ts';
import type { StatusRow } from '../db/status.ts';
import { createRecentMap } from './recent-map.ts';
import type { RevocationSignals } from './signals.ts';

/** What is told of a certificate, without its serial: as part of a larger buffer that would keep the whole of it in memory. */
export type CertificateState = Omit<StatusRow, 'serial'>;

/** What was found, and whether it may still be said. */
export interface StatusView {
  /** What is stored of the serial at this place of the question; undefined when we never issued it. */
  at(index: number): CertificateState | undefined;
  /** All of it came from memory. */
  readonly fromMemory: boolean;
  /** May outlive this answer: it was read while the feed was followed, so that a later change will be signalled here. */
  readonly cacheable: boolean;
  /**
   * Ask right before the answer leaves: false once a change of one of these serials was signalled after the reading began; and, while the feed is not followed, once
   * the reading itself is old (invariant 13).
   */
  isCurrent(): boolean;
}

/** Status of certificates, from memory while the feed is followed closely, else from the database. */
export interface StatusReader {
  /** @throws SignetError `overloaded`; whatever the database throws when it is away */
  read(serials: readonly Uint8Array[]): Promise<StatusView>;
}

export interface StatusReaderNeeds {
  /** `readStatusRows` of this database. */
  readRows: (serials: readonly Uint8Array[]) => Promise<StatusRow[]>;
  signals: RevocationSignals;
  /** `positionAgeMs` of the feed follower. */
  feed: { positionAgeMs(): number };
  clock: Pick<Clock, 'monotonicMs'>;
  config: { ocspCacheEntries: number; statusBatchMax: number };
}

/** Invariant 13: a replica whose feed position is older than this answers no cached good. */
export const MAX_FEED_AGE_MS = 2_000;

/** Invariant 13: for so long others may call good what was revoked elsewhere. A reading that the feed does not watch over is worth no more. */
const MAX_UNWATCHED_READING_MS = 1_000;

/** Serials are counted in slots by their last random octets: two that share a slot only cause a needless second read. */
const GENERATION_SLOTS = 65_536;
/** Octets of our serials (DESIGN invariant 3). */
export const SERIAL_BYTES = 20;
const SERIAL_VERSION = 1;
/** Whole requests of `statusBatchMax` serials that may wait for the database. */
const QUEUED_BATCHES = 20;

/** Has the form of our serials (DESIGN invariant 3); no other is looked up. */
const isOurs = (serial: Uint8Array): boolean => serial.length === SERIAL_BYTES && serial[0] === SERIAL_VERSION;
const slotOf = (serial: Uint8Array): number => ((serial.at(-2) ?? 0) << 8) | (serial.at(-1) ?? 0);
const keyOf = (serial: Uint8Array): string => (serial instanceof Buffer ? serial : Buffer.from(serial.buffer, serial.byteOffset, serial.byteLength)).toString('latin1');

/**
 * The reader of this process. Concurrent lookups share statements (db/batcher.ts); a lookup never joins a statement that was already
 * under way, so what it finds is at least as new as the question.
 *
 * The generation that a revocation bumps in its own transaction is the number of its feed row (DESIGN invariant 8): what reads the feed up to it counts up the slots
 * here, the process that made the change before it acknowledges, the others when they are woken. A reading compares its slots before and after: what was read
 * before the commit is neither kept nor said after the change was signalled.
 */
export function createStatusReader(needs: StatusReaderNeeds): StatusReader {
  const { readRows, signals, feed, clock, config } = needs;
  const known = createRecentMap<CertificateState>(config.ocspCacheEntries);
  const generations = new Uint32Array(GENERATION_SLOTS);
  const lookups = createBatcher<Uint8Array, CertificateState | undefined>({
    maxBatch: config.statusBatchMax,
    maxQueue: config.statusBatchMax * QUEUED_BATCHES,
    run: async (serials) => {
      const keys = serials.map(keyOf);
      const distinct = new Map(keys.map((key, index) => [key, serials[index] as Uint8Array]));
      const rows = new Map((await readRows([...distinct.values()])).map(({ serial, ...state }) => [keyOf(serial), state]));
      return keys.map((key) => rows.get(key));
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
      const beganAtMs = clock.monotonicMs();
      const cacheable = feedIsFresh();
      const rows: (CertificateState | undefined)[] = [];
      const missing: number[] = [];
      // A revocation is for ever and needs no fresh feed; good and held do.
      let needsFreshFeed = false;
      for (const [index, serial] of serials.entries()) {
        const row = known.get(keyOf(serial));
        if (row && (row.revokedAt !== null || cacheable)) {
          rows[index] = row;
          needsFreshFeed ||= row.revokedAt === null;
        } else if (isOurs(serial)) {
          missing.push(index);
        }
      }
      const unchanged = (index: number): boolean => generations[slotOf(serials[index] as Uint8Array)] === began[index];
      if (missing.length > 0) {
        const found = await Promise.all(missing.map((index) => lookups.submit(serials[index] as Uint8Array)));
        for (const [i, index] of missing.entries()) {
          const row = found[i];
          if (!row) continue;
          rows[index] = row;
          if (cacheable && unchanged(index)) known.set(keyOf(serials[index] as Uint8Array), row);
        }
      }
      const isWatched = (): boolean => feedIsFresh() || (!needsFreshFeed && clock.monotonicMs() - beganAtMs <= MAX_UNWATCHED_READING_MS);
      const isForEver = rows.every((row) => row === undefined || row.revokedAt !== null);
      const isCurrent = (): boolean => serials.every((_, index) => unchanged(index)) && (isForEver || isWatched());
      return { at: (index) => rows[index], fromMemory: missing.length === 0, cacheable, isCurrent };
    },
  };
}
