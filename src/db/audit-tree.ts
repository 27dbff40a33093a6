import { HASH_OCTETS } from '../verify/log/merkle.ts';
import { buffer, inHotTransaction, runHot, type Db, type HotStatement, type Tx } from './client.ts';

/** Levels above this one would need more than 2^64 leaves. */
export const TOP_LEVEL = 7;

/** A tile in the tree: full, or of the right edge. */
export interface StoredTile {
  level: number;
  tile: number;
  /** Hashes one after the other. */
  hashes: Buffer;
}

/** The tree as it stands: its size and, of each level, the hashes that do not fill a tile yet. */
export interface TreeEdge {
  treeId: number;
  size: number;
  /** By level, from 0. */
  edges: Buffer[];
}

const EDGE: HotStatement = {
  name: 'audit-tree-edge',
  text: 'SELECT t.size, e.level, e.hashes FROM audit_trees t LEFT JOIN audit_tree_edges e ON e.tree_id = t.id WHERE t.id = $1 ORDER BY e.level',
};

/** @throws Error when there is no such tree */
export async function readTreeEdge(db: Db, treeId: number): Promise<TreeEdge> {
  const rows = await runHot<{ size: string; level: number | null; hashes: Buffer | null }>(db, EDGE, [treeId]);
  const [first] = rows;
  if (!first) throw new Error(`there is no audit tree ${treeId}`);
  const edges = Array.from({ length: TOP_LEVEL + 1 }, (_, level) => rows.find((row) => row.level === level)?.hashes ?? Buffer.alloc(0));
  return { treeId, size: Number(first.size), edges };
}

/** Leaves hashed into a tree; what is below it is durable. */
export async function readTreeSize(db: Db | Tx, treeId: number): Promise<number> {
  const [row] = await db.$queryRaw<{ size: bigint }[]>`SELECT size FROM audit_trees WHERE id = ${treeId}::int`;
  if (!row) throw new Error(`there is no audit tree ${treeId}`);
  return Number(row.size);
}

/** A tile that a reader asks for, with as many of its hashes as it wants. */
export interface WantedTile {
  level: number;
  tile: number;
}

const TILES: HotStatement = {
  name: 'audit-tiles',
  text: `
    SELECT w.level, w.tile::text AS tile, coalesce(f.hashes, CASE WHEN w.tile = t.size >> least(8 * (w.level + 1), 63) THEN e.hashes END) AS hashes
    FROM audit_trees t CROSS JOIN unnest($2::int[], $3::bigint[]) AS w (level, tile)
    LEFT JOIN audit_tiles f ON f.tree_id = t.id AND f.level = w.level AND f.tile = w.tile
    LEFT JOIN audit_tree_edges e ON e.tree_id = t.id AND e.level = w.level
    WHERE t.id = $1`,
};

/** Tiles of a tree as they are now, full or as far as they go; one that is not there is left out. One statement: all are of one moment. */
export async function readTiles(db: Db, treeId: number, wanted: readonly WantedTile[]): Promise<StoredTile[]> {
  if (wanted.length === 0) return [];
  const rows = await runHot<{ level: number; tile: string; hashes: Buffer | null }>(db, TILES, [treeId, wanted.map(({ level }) => level), wanted.map(({ tile }) => tile)]);
  return rows.flatMap(({ level, tile, hashes }) => (hashes === null || hashes.length === 0 ? [] : [{ level, tile: Number(tile), hashes }]));
}

const GROW: HotStatement = { name: 'audit-tree-grow', text: 'UPDATE audit_trees SET size = $3 WHERE id = $1 AND size = $2 RETURNING id' };
const PUT_TILES: HotStatement = {
  name: 'audit-tiles-put',
  text: 'INSERT INTO audit_tiles (tree_id, level, tile, hashes) SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bytea[])',
};
const PUT_EDGES: HotStatement = {
  name: 'audit-tree-edges-put',
  text: 'INSERT INTO audit_tree_edges (tree_id, level, hashes) SELECT $1, * FROM unnest($2::int[], $3::bytea[]) ON CONFLICT (tree_id, level) DO UPDATE SET hashes = excluded.hashes',
};

/** What one batch of leaves changes. */
export interface TreeGrowth {
  treeId: number;
  from: number;
  to: number;
  tiles: readonly StoredTile[];
  /** Edges that changed. */
  edges: readonly { level: number; hashes: Buffer }[];
}

/** Grows a tree in one transaction, durable when the promise resolves. False when it is no longer of size `from`: another has done it. */
export function growTree(db: Db, { treeId, from, to, tiles, edges }: TreeGrowth, beforeCommit: () => Promise<void> | undefined): Promise<boolean> {
  return inHotTransaction(db, async (tx) => {
    if ((await tx.run(GROW, [treeId, from, to])).length === 0) return false;
    if (tiles.length > 0) await tx.run(PUT_TILES, [treeId, tiles.map(({ level }) => level), tiles.map(({ tile }) => tile), tiles.map(({ hashes }) => hashes)]);
    if (edges.length > 0) await tx.run(PUT_EDGES, [treeId, edges.map(({ level }) => level), edges.map(({ hashes }) => hashes)]);
    await beforeCommit();
    return true;
  });
}

/** Leaf hashes of consecutive events. */
export interface LeafHashes {
  first: number;
  /** One after the other. */
  hashes: Buffer;
  /** No later event was committed when they were read. */
  isLast: boolean;
}

const LEAVES: HotStatement = {
  name: 'audit-leaf-hashes',
  text: `
    SELECT min(n)::text AS first, max(n)::text AS last, string_agg(sha256('\\x00'::bytea || event), ''::bytea ORDER BY n) AS hashes,
      (SELECT value FROM counters WHERE name = 'audit')::text AS "end"
    FROM (SELECT n, event FROM audit_events WHERE n > $1 ORDER BY n LIMIT $2) e`,
};
const PURGED_LEAVES: HotStatement = {
  name: 'audit-leaf-hashes-purged',
  text: `
    SELECT substr(leaf_hashes, (($1::bigint + 1 - first_n) * 32 + 1)::int, least(last_n - $1::bigint, $2)::int * 32) AS hashes
    FROM (SELECT * FROM audit_leaf_hashes WHERE first_n <= $1::bigint + 1 ORDER BY first_n DESC LIMIT 1) h WHERE last_n > $1::bigint`,
};

/** An event is missing where there must be one: numbers are without gaps, and none is taken back. */
export class MissingEvent extends Error {
  readonly n: number;
  constructor(n: number, why: string) {
    super(`audit event ${n} is not there, ${why}`);
    this.n = n;
  }
}

/**
 * RFC 6962 leaf hashes of the events after `n`, `limit` at most, in the order of their numbers; of purged ones those that were kept. What is committed is settled:
 * numbers are given in commit order (DESIGN invariant 8). Undefined when there is no later event. @throws MissingEvent
 */
export async function readLeafHashes(db: Db, n: number, limit: number): Promise<LeafHashes | undefined> {
  const [found] = await runHot<{ first: string | null; last: string | null; hashes: Buffer | null; end: string }>(db, LEAVES, [n, limit]);
  if (!found) throw new Error('the audit counter is missing');
  if (found.first === String(n + 1) && found.hashes !== null) {
    const [count, last] = [found.hashes.length / HASH_OCTETS, Number(found.last)];
    if (last - n !== count) throw new MissingEvent(await firstGap(db, n), 'though later ones are');
    if (count < limit && last !== Number(found.end)) throw new MissingEvent(last + 1, 'though its number was given');
    return { first: n + 1, hashes: found.hashes, isLast: last === Number(found.end) };
  }
  if (Number(found.end) === n && found.first === null) return undefined;
  if (Number(found.end) < n) throw new MissingEvent(n, `and the last number that was given is ${found.end}`);
  const [purged] = await runHot<{ hashes: Buffer }>(db, PURGED_LEAVES, [n, limit]);
  if (!purged) throw new MissingEvent(n + 1, 'though its number was given');
  return { first: n + 1, hashes: purged.hashes, isLast: false };
}

async function firstGap(db: Db, n: number): Promise<number> {
  const [row] = await db.$queryRaw<{ n: bigint }[]>`
    SELECT e.n + 1 AS n FROM audit_events e WHERE e.n > ${n} AND NOT EXISTS (SELECT FROM audit_events f WHERE f.n = e.n + 1) ORDER BY e.n LIMIT 1`;
  return Number(row?.n ?? n + 1);
}

/** Canonical bytes of the events from `first` to `last` that were not purged. */
export async function readEventBytes(db: Db, first: number, last: number): Promise<{ n: number; event: Buffer }[]> {
  const rows = await db.$queryRaw<{ n: bigint; event: Uint8Array }[]>`SELECT n, event FROM audit_events WHERE n BETWEEN ${first} AND ${last} ORDER BY n`;
  return rows.map((row) => ({ n: Number(row.n), event: buffer(row.event) }));
}
