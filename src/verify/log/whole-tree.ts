/** Judging the tiles above the leaves of a published tree: proofs are made of them. Pure: tiles come from a reader. */
import { LogError } from './log-error.ts';
import { hashesAt, foldPerfect, TILE_WIDTH, tileHashes, tileWidth, type TileId, type TileReader } from './tiles.ts';
import type { LogFinding } from './whole-log.ts';

/** Beyond so many findings a tree is not worth more words. */
const MAX_FINDINGS = 100;

/** Each hash above level 0 against the full tile below it that it stands for, in the tree of `size`. Holds one tile and the 256 below it. */
export async function verifyUpperTiles(size: number, readTiles: TileReader): Promise<LogFinding[]> {
  const findings: LogFinding[] = [];
  for (let level = 1; hashesAt(level, size) > 0; level += 1) {
    for (let index = 0; tileWidth(level, index, size) > 0; index += 1) {
      const wrong = await wrongIn({ level, index, width: tileWidth(level, index, size) }, readTiles);
      for (const { position, detail } of wrong) {
        const [leaves, tile] = [TILE_WIDTH ** level, index * TILE_WIDTH + position];
        findings.push({ fault: 'tree', index: tile * leaves, last: (tile + 1) * leaves - 1, from: undefined, to: undefined, detail });
        if (findings.length >= MAX_FINDINGS) return findings;
      }
    }
  }
  return findings;
}

async function wrongIn(tile: TileId & { level: number }, readTiles: TileReader): Promise<{ position: number; detail: string }[]> {
  const { level, index, width } = tile;
  const hashes = await hashesOf(tile, readTiles);
  if (!hashes) return [{ position: 0, detail: `tile ${index} of level ${level} is missing, or not of ${width} hashes` }];
  const below = Array.from({ length: width }, (_, i) => ({ level: level - 1, index: index * TILE_WIDTH + i, width: TILE_WIDTH }));
  const made: (Buffer[] | undefined)[] = [];
  for (let at = 0; at < below.length; at += AT_ONCE) made.push(...(await Promise.all(below.slice(at, at + AT_ONCE).map((one) => hashesOf(one, readTiles)))));
  return made.flatMap((parts, position) => {
    if (!parts) return [{ position, detail: `tile ${index * TILE_WIDTH + position} of level ${level - 1} is missing, or not of ${TILE_WIDTH} hashes` }];
    if (hashes[position]?.equals(foldPerfect(parts)) === true) return [];
    return [{ position, detail: `hash ${position} of tile ${index} of level ${level} is not that of the tile below it: proofs from it do not hold` }];
  });
}

/** Tiles asked for side by side. */
const AT_ONCE = 8;

/** Undefined for a tile that is not there whole. */
async function hashesOf(tile: TileId, readTiles: TileReader): Promise<Buffer[] | undefined> {
  try {
    const [octets] = await readTiles([tile]);
    return tileHashes(octets ?? new Uint8Array(), tile.width);
  } catch (error) {
    if (error instanceof LogError) return undefined;
    throw error;
  }
}
