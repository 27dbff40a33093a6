import { findLiveLog, latestCheckpoint, readCosignatures } from '../db/audit-logs.ts';
import { readEventBytes, readTreeSize } from '../db/audit-tree.ts';
import type { Db } from '../db/client.ts';
import { HASH_OCTETS } from '../verify/log/merkle.ts';
import { encodeEntries, TILE_WIDTH, type TileId } from '../verify/log/tiles.ts';
import { tileReader } from './tree.ts';

/** The newest checkpoint of the log in force that `quorum` witnesses have cosigned, with all their lines. Undefined when there is none. */
export async function newestNote(db: Db, quorum: number): Promise<string | undefined> {
  const log = await findLiveLog(db);
  const checkpoint = log && (await latestCheckpoint(db, log.id, quorum));
  if (!checkpoint) return undefined;
  return checkpoint.note + (await readCosignatures(db, checkpoint.logId, checkpoint.size)).map(({ line }) => `${line}\n`).join('');
}

/** Verifier key of the log in force; undefined from a recovery to the next start. */
export const logKey = async (db: Db): Promise<string | undefined> => (await findLiveLog(db))?.vkey;

/** Hashes of a tile as wide as it is asked for. Undefined when the log has no such tile. */
export async function logTile(db: Db, wanted: TileId): Promise<Buffer | undefined> {
  const log = await findLiveLog(db);
  const [hashes] = log ? await tileReader(db, log.treeId)([wanted]) : [];
  return hashes?.length === wanted.width * HASH_OCTETS ? Buffer.from(hashes) : undefined;
}

/** The events of a bundle. `purged`: not all of them are kept. Undefined when the log has no such bundle. */
export async function logEntries(db: Db, { index, width }: TileId): Promise<Buffer | 'purged' | undefined> {
  const log = await findLiveLog(db);
  const [first, last] = [index * TILE_WIDTH + 1, index * TILE_WIDTH + width];
  if (!log || last > (await readTreeSize(db, log.treeId))) return undefined;
  const events = await readEventBytes(db, first, last);
  return events.length === width ? encodeEntries(events.map(({ event }) => event)) : 'purged';
}
