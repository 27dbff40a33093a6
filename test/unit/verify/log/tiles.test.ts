import { describe, expect, test } from '@jest/globals';
import { LogError } from '../../../../src/verify/log/log-error.ts';
import { appendLeaf, emptyTree, leafHash, makeConsistencyProof, makeInclusionProof, readRoot, rootOf, verifyConsistency, verifyInclusion } from '../../../../src/verify/log/merkle.ts';
import { decodeEntries, encodeEntries, nodesFromTiles, parseTilePath, tilePath, tileWidth, type TileId, type TileReader } from '../../../../src/verify/log/tiles.ts';

describe('paths', () => {
  test.each<[TileId, string]>([
    [{ level: 0, index: 1_234_067, width: 256 }, 'tile/0/x001/x234/067'],
    [{ level: 0, index: 273, width: 112 }, 'tile/0/273.p/112'],
    [{ level: 'entries', index: 0, width: 1 }, 'tile/entries/000.p/1'],
    [{ level: 63, index: 1000, width: 256 }, 'tile/63/x001/000'],
  ])('%j is %s, both ways', (id, path) => {
    expect(tilePath(id)).toBe(path);
    expect(parseTilePath(path)).toEqual(id);
  });

  test.each([
    'tile/00/000', 'tile/64/000', 'tile/-1/000', 'tile/0/0', 'tile/0/x000/001', 'tile/0/000.p/0', 'tile/0/000.p/256', 'tile/0/000.p/01', 'tile/0/001/002', 'tile/0/x001', 'tile/0/000/', '/tile/0/000',
    'tile/0/x999/x999/x999/x999/x999/999', `tile/0/${'x001/'.repeat(40)}001`, 'tile/0/000.p/1.p/1', 'tile/data/000', 'tile/0/..', 'tile/0/٠٠٠', '',
  ])('%p is none', (path) => {
    expect(() => parseTilePath(path)).toThrow(LogError);
  });

  test('widths are those of the example of the specification: 70,000 leaves', () => {
    const size = 70_000;
    expect([tileWidth(0, 272, size), tileWidth(0, 273, size), tileWidth(0, 274, size)]).toEqual([256, 112, 0]);
    expect([tileWidth(1, 0, size), tileWidth(1, 1, size), tileWidth(2, 0, size), tileWidth(3, 0, size)]).toEqual([256, 17, 1, 0]);
  });
});

const SIZES = [1, 2, 255, 256, 257, 300, 511, 512, 513, 65_535, 65_536, 65_537, 66_000];

/** A log of `size` leaves as its tiles. */
function logOf(size: number): { leaves: Buffer[]; roots: Map<number, Buffer>; read: TileReader; asked: string[] } {
  const tree = emptyTree();
  const nodes = new Map<string, Uint8Array>();
  const roots = new Map<number, Buffer>();
  const leaves = Array.from({ length: size }, (_, i) => leafHash(Buffer.from(`entry ${i}`)));
  for (const leaf of leaves) {
    appendLeaf(tree, leaf, ({ level, index }, hash) => (level % 8 === 0 ? nodes.set(`${level}/${index}`, hash) : undefined));
    if (SIZES.includes(tree.size)) roots.set(tree.size, rootOf(tree));
  }
  const asked: string[] = [];
  const read: TileReader = (tiles) =>
    Promise.resolve(
      tiles.map((tile) => {
        asked.push(tilePath(tile));
        return Buffer.concat(Array.from({ length: tile.width }, (_, i) => nodes.get(`${Number(tile.level) * 8}/${tile.index * 256 + i}`) ?? Buffer.alloc(0)));
      }),
    );
  return { leaves, roots, read, asked };
}

describe('hashes from tiles', () => {
  test('make roots and proofs at every interesting size', async () => {
    const { leaves, roots, read } = logOf(66_000);
    for (const size of SIZES) {
      const root = roots.get(size) ?? Buffer.alloc(0);
      const nodes = nodesFromTiles(size, read);
      expect(await readRoot(size, nodes)).toEqual(root);
      for (const index of [0, 1, 254, 255, 256, 257, 65_535, 65_536, size - 1].filter((i) => i < size)) {
        verifyInclusion(await makeInclusionProof(index, size, nodes), { index, size, leaf: leaves[index] ?? Buffer.alloc(0), root });
      }
      for (const first of [1, 2, 255, 256, 257, 300, 65_536].filter((i) => i <= size)) {
        verifyConsistency(await makeConsistencyProof(first, size, nodes), { first, second: size, firstRoot: roots.get(first) ?? Buffer.alloc(0), secondRoot: root });
      }
    }
  });

  test('ask for each tile once, and never for one that the size does not have', async () => {
    const { read, asked } = logOf(66_000);
    await makeInclusionProof(300, 66_000, nodesFromTiles(66_000, read));
    expect(asked.toSorted()).toEqual(['tile/0/001', 'tile/0/257.p/208', 'tile/1/000', 'tile/1/001.p/1']);
  });

  test('a tile of another length is a fault', async () => {
    const { read } = logOf(600);
    const cut: TileReader = async (tiles) => (await read(tiles)).map((octets) => octets.subarray(1));
    await expect(makeInclusionProof(0, 600, nodesFromTiles(600, cut))).rejects.toMatchObject({ fault: 'malformed-tile' });
    await expect(makeInclusionProof(0, 601, nodesFromTiles(600, read))).rejects.toMatchObject({ fault: 'size-beyond-tree' });
  });
});

describe('entry bundles', () => {
  test('give back what was put in, empty and longest entries too', () => {
    const entries = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(65_535, 7)];
    expect(decodeEntries(encodeEntries(entries), 3)).toEqual(entries);
  });

  test('of the wrong size are faults', () => {
    const bundle = encodeEntries([Buffer.from('one'), Buffer.from('two')]);
    for (const [octets, width] of [[bundle, 1], [bundle, 3], [bundle.subarray(0, -1), 2], [bundle.subarray(0, 6), 2], [Buffer.concat([bundle, Buffer.from([0])]), 2], [Buffer.alloc(0), 1]] as const) {
      expect(() => decodeEntries(octets, width)).toThrow(LogError);
    }
    expect(() => encodeEntries([Buffer.alloc(65_536)])).toThrow(LogError);
    expect(() => encodeEntries([])).toThrow(LogError);
    expect(() => encodeEntries(Array.from({ length: 257 }, () => Buffer.alloc(0)))).toThrow(LogError);
  });
});
