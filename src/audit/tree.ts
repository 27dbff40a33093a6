import type { Db } from '../db/client.ts';
import { readTiles, TOP_LEVEL, type StoredTile, type TreeEdge, type TreeGrowth } from '../db/audit-tree.ts';
import { EMPTY_ROOT, HASH_OCTETS, nodeHash, readRoot, type NodeReader } from '../verify/log/merkle.ts';
import { nodesFromTiles, TILE_WIDTH, type TileReader } from '../verify/log/tiles.ts';

/**
 * What appending leaves changes: tiles that become full, each once and for ever, and the right edge. `leaves` are leaf hashes one after the other.
 * Returns with it the edge as it is afterwards. Costs one hash a leaf.
 */
export function appendLeaves(tree: TreeEdge, leaves: Buffer): { growth: TreeGrowth; edge: TreeEdge } {
  const tiles: StoredTile[] = [];
  const edges = [...tree.edges];
  const changed: TreeGrowth['edges'][number][] = [];
  let added = leaves;
  /** Hashes of the level before the added ones. */
  let before = tree.size;
  for (let level = 0; added.length > 0; level++) {
    if (level > TOP_LEVEL) throw new Error('the tree is too high');
    const hashes = Buffer.concat([edges[level] ?? Buffer.alloc(0), added]);
    const full = Math.floor(hashes.length / TILE_OCTETS);
    const roots: Buffer[] = [];
    for (let i = 0; i < full; i++) {
      const tile = hashes.subarray(i * TILE_OCTETS, (i + 1) * TILE_OCTETS);
      tiles.push({ level, tile: Math.floor(before / TILE_WIDTH) + i, hashes: tile });
      roots.push(listRoot(split(tile)));
    }
    edges[level] = hashes.subarray(full * TILE_OCTETS);
    changed.push({ level, hashes: edges[level] ?? Buffer.alloc(0) });
    added = Buffer.concat(roots);
    before = Math.floor(before / TILE_WIDTH);
  }
  const size = tree.size + leaves.length / HASH_OCTETS;
  return { growth: { treeId: tree.treeId, from: tree.size, to: size, tiles, edges: changed }, edge: { treeId: tree.treeId, size, edges } };
}

const TILE_OCTETS = TILE_WIDTH * HASH_OCTETS;

const split = (hashes: Buffer): Buffer[] => Array.from({ length: hashes.length / HASH_OCTETS }, (_, i) => hashes.subarray(i * HASH_OCTETS, (i + 1) * HASH_OCTETS));

/** RFC 6962 §2.1 over hashes that stand for subtrees of one size; the last one may stand for a smaller one. */
function listRoot(hashes: readonly Buffer[]): Buffer {
  let level = hashes;
  while (level.length > 1) {
    const above: Buffer[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = [level[i] ?? EMPTY_ROOT, level[i + 1]];
      // The odd one out moves up as it is: it is the smaller part of a later split.
      above.push(right === undefined ? left : nodeHash(left, right));
    }
    level = above;
  }
  return level[0] ?? EMPTY_ROOT;
}

/** Root of the whole tree, from its edge alone: what is left of it is in the hashes of the levels above. */
export function edgeRoot({ edges }: Pick<TreeEdge, 'edges'>): Buffer {
  let right: Buffer | undefined;
  for (const edge of edges) {
    const hashes = right === undefined ? split(edge) : [...split(edge), right];
    if (hashes.length > 0) right = listRoot(hashes);
  }
  return right ?? EMPTY_ROOT;
}

/** Octets of tiles, each as wide as it is asked for. One that the tree does not have (yet) comes shorter. */
export function tileReader(db: Db, treeId: number): TileReader {
  return async (wanted) => {
    const found = await readTiles(db, treeId, wanted.map(({ level, index }) => ({ level: level === 'entries' ? 0 : level, tile: index })));
    return wanted.map(({ level, index, width }) => (found.find((tile) => tile.level === level && tile.tile === index)?.hashes ?? Buffer.alloc(0)).subarray(0, width * HASH_OCTETS));
  };
}

/** Hashes of the tree as it was when it had `size` leaves. */
export const nodeReader = (db: Db, treeId: number, size: number): NodeReader => nodesFromTiles(size, tileReader(db, treeId));

/** Root of the tree as it was when it had `size` leaves. @throws LogError when it is smaller */
export const rootAt = (db: Db, treeId: number, size: number): Promise<Buffer> => (size === 0 ? Promise.resolve(EMPTY_ROOT) : readRoot(size, nodeReader(db, treeId, size)));
