/**
 * Tiles and entry bundles (C2SP tlog-tiles): where they are, what is in them, and the hashes of the tree read from them. A tile is 256 hashes of one level of every eighth;
 * what lies between is hashed from it.
 */
import { LogError } from './log-error.ts';
import { EMPTY_ROOT, HASH_OCTETS, nodeHash, type NodeId, type NodeReader } from './merkle.ts';

/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256;
/** Levels of the tree in one tile. */
export const TILE_HEIGHT = 8;
/** Octets of an entry: its length is two octets in a bundle. */
export const MAX_ENTRY_OCTETS = 65_535;

/** One tile or entry bundle. `width` below 256: a partial one. */
export interface TileId {
  level: number | 'entries';
  index: number;
  width: number;
}

/** Path below the prefix of the log: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`. */
export function tilePath({ level, index, width }: TileId): string {
  const parts = String(index).padStart(Math.ceil(String(index).length / 3) * 3, '0').match(/.{3}/g) ?? [];
  const number = parts.map((part, i) => (i === parts.length - 1 ? part : `x${part}`)).join('/');
  return `tile/${level}/${number}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

// At most 2^53 / 256 tiles at level 0: eleven groups of digits would be beyond; five are 10^15.
const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** Reads such a path: the one spelling that `tilePath` writes, no other. @throws LogError */
export function parseTilePath(path: string): TileId {
  const [, level, number, width] = (path.length <= 64 ? PATH.exec(path) : null) ?? [];
  if (level === undefined || number === undefined) throw new LogError('malformed-tile', 'this is not the path of a tile or an entry bundle');
  const id: TileId = { level: level === 'entries' ? level : Number(level), index: Number(number.replaceAll(/[x/]/g, '')), width: width === undefined ? TILE_WIDTH : Number(width) };
  if (!Number.isSafeInteger(id.index) || (id.level !== 'entries' && id.level > 63)) throw new LogError('number-too-large', 'no tree has such a tile');
  if (tilePath(id) !== path) throw new LogError('malformed-tile', 'the path of the tile is not in its one spelling');
  return id;
}

/** How many hashes of a level of tiles the tree of `size` has: floor(size / 256^level). */
export const hashesAt = (level: number, size: number): number => Math.floor(size / TILE_WIDTH ** level);

/** Width of a tile in the tree of `size`; 0 where the tree has no such tile. */
export function tileWidth(level: number | 'entries', index: number, size: number): number {
  const hashes = hashesAt(level === 'entries' ? 0 : level, size);
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH));
}

/** The hashes of a tile, without copying. @throws LogError for a length that is not `width` hashes */
export function tileHashes(tile: Uint8Array, width: number): Buffer[] {
  if (tile.length !== width * HASH_OCTETS) throw new LogError('malformed-tile', `a tile of ${width} hashes is ${width * HASH_OCTETS} octets, not ${tile.length}`);
  const octets = Buffer.from(tile.buffer, tile.byteOffset, tile.length);
  return Array.from({ length: width }, (_, i) => octets.subarray(i * HASH_OCTETS, (i + 1) * HASH_OCTETS));
}

/** The tile that a perfect subtree is in, and which of its hashes make it. */
function placeOf({ level, index }: NodeId): { level: number; index: number; first: number; count: number } {
  const count = 2 ** (level % TILE_HEIGHT);
  const first = index * count;
  return { level: Math.floor(level / TILE_HEIGHT), index: Math.floor(first / TILE_WIDTH), first: first % TILE_WIDTH, count };
}

/** Gives the octets of tiles, in the order asked for. */
export type TileReader = (tiles: readonly TileId[]) => Promise<readonly Uint8Array[]>;

/** Reads hashes of the tree of `size` from its tiles; each tile is asked for once. */
export function nodesFromTiles(size: number, readTiles: TileReader): NodeReader {
  return async (ids) => {
    const places = ids.map(placeOf);
    const wanted = new Map<string, TileId>();
    for (const { level, index } of places) {
      const width = tileWidth(level, index, size);
      wanted.set(`${level}/${index}`, { level, index, width });
    }
    const tiles = [...wanted.values()];
    const octets = await readTiles(tiles);
    const hashes = new Map(tiles.map((tile, i) => [`${tile.level}/${String(tile.index)}`, tileHashes(octets[i] ?? new Uint8Array(), tile.width)]));
    return places.map(({ level, index, first, count }) => {
      const part = (hashes.get(`${level}/${index}`) ?? []).slice(first, first + count);
      if (part.length !== count) throw new LogError('size-beyond-tree', `the tree of ${size} leaves has no such subtree`);
      return foldPerfect(part);
    });
  };
}

/** Hash of a perfect subtree from 2^n hashes below it. */
export function foldPerfect(hashes: readonly Uint8Array[]): Uint8Array {
  let level = hashes;
  while (level.length > 1) level = Array.from({ length: level.length / 2 }, (_, i) => nodeHash(level[2 * i] ?? EMPTY_ROOT, level[2 * i + 1] ?? EMPTY_ROOT));
  return level[0] ?? EMPTY_ROOT;
}

/** An entry bundle: each entry behind its length in two octets. @throws LogError for an entry that is too long, or none or too many of them */
export function encodeEntries(entries: readonly Uint8Array[]): Buffer {
  if (entries.length < 1 || entries.length > TILE_WIDTH) throw new LogError('malformed-entries', `a bundle holds 1 to ${TILE_WIDTH} entries`);
  const out = Buffer.allocUnsafe(entries.reduce((sum, entry) => sum + 2 + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    if (entry.length > MAX_ENTRY_OCTETS) throw new LogError('malformed-entries', `an entry has at most ${MAX_ENTRY_OCTETS} octets`);
    at = out.writeUInt16BE(entry.length, at);
    out.set(entry, at);
    at += entry.length;
  }
  return out;
}

/** The `width` entries of a bundle, without copying. @throws LogError */
export function decodeEntries(bundle: Uint8Array, width: number): Buffer[] {
  const octets = Buffer.from(bundle.buffer, bundle.byteOffset, bundle.length);
  const entries: Buffer[] = [];
  let at = 0;
  while (at < octets.length && entries.length < width) {
    const start = at + 2;
    if (start > octets.length) throw new LogError('malformed-entries', `the bundle ends in the length of entry ${entries.length}`);
    at = start + octets.readUInt16BE(at);
    if (at > octets.length) throw new LogError('malformed-entries', `the bundle ends within entry ${entries.length}`);
    entries.push(octets.subarray(start, at));
  }
  if (entries.length !== width || at !== octets.length) throw new LogError('malformed-entries', `the bundle does not hold exactly ${width} entries`);
  return entries;
}
