/** The log as the database has it, to be judged as a whole. */
import { scanEvents, scanPersonal, scanPurged, type ScannedEvent } from '../db/audit-scan.ts';
import { readTiles } from '../db/audit-tree.ts';
import type { Db } from '../db/client.ts';
import { readEvent, type LoggedAuditEvent } from '../verify/log/event.ts';
import { HASH_OCTETS, leafHash } from '../verify/log/merkle.ts';
import { TILE_WIDTH } from '../verify/log/tiles.ts';
import type { LogSource, SourceEntry } from '../verify/log/whole-log.ts';

/** What of the database is judged: events up to number `last`, and the first `published` leaves of a tree. */
export interface ScanBounds {
  last: number;
  treeId: number;
  published: number;
}

export function databaseSource(db: Db, { last, treeId, published }: ScanBounds): LogSource {
  return {
    async entries(index, limit) {
      const end = Math.min(index + limit, last);
      if (index >= end) return [];
      const entries: (SourceEntry | undefined)[] = Array.from({ length: end - index });
      for (const { first, last: purgedLast, hashes } of await scanPurged(db, index, end)) {
        for (let n = Math.max(first, index + 1); n <= Math.min(purgedLast, end); n += 1) entries[n - index - 1] = { leaf: hashes.subarray((n - first) * HASH_OCTETS, (n - first + 1) * HASH_OCTETS), at: undefined };
      }
      const personal = Map.groupBy(await scanPersonal(db, index, end), ({ n }) => n);
      for (const row of await scanEvents(db, index, end)) entries[Number(row.n) - index - 1] = entryOf(row, personal.get(row.n) ?? []);
      return entries;
    },
    async leaves(index, limit) {
      const end = Math.min(index + limit, published);
      if (index >= end) return [];
      const [first, lastTile] = [Math.floor(index / TILE_WIDTH), Math.floor((end - 1) / TILE_WIDTH)];
      const tiles = await readTiles(db, treeId, Array.from({ length: lastTile - first + 1 }, (_, i) => ({ level: 0, tile: first + i })));
      const byIndex = new Map(tiles.map(({ tile, hashes }) => [tile, hashes]));
      const leaves: Buffer[] = [];
      for (let i = index; i < end; i += 1) {
        const at = (i % TILE_WIDTH) * HASH_OCTETS;
        const hash = byIndex.get(Math.floor(i / TILE_WIDTH))?.subarray(at, at + HASH_OCTETS);
        // A tile that is missing ends what was published: checkpoints say the rest.
        if (hash?.length !== HASH_OCTETS) break;
        leaves.push(hash);
      }
      return leaves;
    },
  };
}

type PersonalHash = Awaited<ReturnType<typeof scanPersonal>>[number];

function entryOf(row: ScannedEvent, personal: readonly PersonalHash[]): SourceEntry {
  const differs = differenceOf(row, personal);
  return { leaf: leafHash(row.event), at: row.at.toISOString(), ...(differs === undefined ? {} : { differs }) };
}

/** What the columns and the personal fields beside the event say otherwise than the bytes: the interface finds and shows events by them. A field that was erased says nothing. */
function differenceOf(row: ScannedEvent, personal: readonly PersonalHash[]): string | undefined {
  let event: LoggedAuditEvent;
  try {
    event = readEvent(row.event);
  } catch {
    return 'its bytes are no audit event';
  }
  const pairs: [string, string | null, string | undefined][] = [
    ['id', row.id, event.id], ['kind', row.kind, event.kind], ['outcome', row.outcome, event.outcome], ['at', row.at.toISOString(), event.at],
    ['actor_kind', row.actor_kind, event.actor.kind], ['actor_id', row.actor_id, event.actor.id], ['agent_id', row.agent_id, event.agent], ['instance_id', row.instance_id, event.instance],
    ['serial', row.serial && row.serial.toString('hex'), event.serial], ['target', row.target, event.target],
    ['request_id', row.request_id, event.requestId],
  ];
  const other = pairs.find(([, shown, said]) => (shown ?? undefined) !== said);
  if (other) return `column ${other[0]} does not say what its bytes say`;
  const field = personal.find((one) => event.personal?.[one.field] !== one.hash);
  return field && `the personal field ${field.field} beside it is not the one that its bytes have the hash of`;
}
