import { readEvent } from '../../verify/log/event.ts';
import { LogError } from '../../verify/log/log-error.ts';
import { leafHash } from '../../verify/log/merkle.ts';
import { decodeEntries, TILE_WIDTH, tileHashes, tilePath, tileWidth, type TileReader } from '../../verify/log/tiles.ts';
import type { LogSource, SourceEntry } from '../../verify/log/whole-log.ts';
import type { LogDoor } from './tile-door.ts';

/** Tiles of a door. @throws LogError `malformed-tile` for one that is not there */
export const tilesOf =
  (door: LogDoor): TileReader =>
  (tiles) =>
    Promise.all(
      tiles.map(async (tile) => {
        // A partial tile may have been taken away once it was full (C2SP tlog-tiles, "Partial Tiles").
        const octets = (await door.tile(tile)) ?? (tile.width < TILE_WIDTH ? (await door.tile({ ...tile, width: TILE_WIDTH }))?.subarray(0, tile.width * 32) : undefined);
        if (!octets) throw new LogError('malformed-tile', `${tilePath(tile)} is not there`);
        return octets;
      }),
    );

/** The log of a door up to `size`, to be judged as a whole. */
export interface TileSource extends LogSource {
  /** Entries of which only the hash could be had: purged, or not for us. */
  hashesOnly(): number;
}

/** Bundles read at once. */
const AT_ONCE = 4;

export function tileSource(door: LogDoor, size: number): TileSource {
  let hashesOnly = 0;
  const readTiles = tilesOf(door);
  const leavesOf = async (tile: number): Promise<Buffer[]> => {
    const width = tileWidth(0, tile, size);
    const [octets] = await readTiles([{ level: 0, index: tile, width }]);
    return tileHashes(octets ?? new Uint8Array(), width);
  };
  const entriesOf = async (tile: number): Promise<SourceEntry[]> => {
    const width = tileWidth('entries', tile, size);
    const bundle = (await door.tile({ level: 'entries', index: tile, width })) ?? (width < TILE_WIDTH ? await door.tile({ level: 'entries', index: tile, width: TILE_WIDTH }) : undefined);
    if (!bundle) {
      hashesOnly += width;
      return (await leavesOf(tile)).map((leaf) => ({ leaf, at: undefined }));
    }
    return decodeEntries(bundle, width).map(entryOf);
  };
  /** Whole tiles from the one that `index` is in, cut at its front. */
  const stretch = async <T>(index: number, read: (tile: number) => Promise<T[]>): Promise<T[]> => {
    if (index >= size) return [];
    const first = Math.floor(index / TILE_WIDTH);
    const last = Math.min(first + AT_ONCE, Math.ceil(size / TILE_WIDTH));
    const parts = await Promise.all(Array.from({ length: last - first }, (_, i) => read(first + i)));
    return parts.flat().slice(index % TILE_WIDTH);
  };
  return { entries: (index) => stretch(index, entriesOf), leaves: (index) => stretch(index, leavesOf), hashesOnly: () => hashesOnly };
}

function entryOf(bytes: Buffer): SourceEntry {
  const leaf = leafHash(bytes);
  try {
    return { leaf, at: readEvent(bytes).at };
  } catch {
    return { leaf, at: undefined, differs: 'its bytes are no audit event' };
  }
}
