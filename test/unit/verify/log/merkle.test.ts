import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { LogError, type LogFault } from '../../../../src/verify/log/log-error.ts';
import {
  appendLeaf, EMPTY_ROOT, emptyTree, leafHash, makeConsistencyProof, makeInclusionProof, readRoot, rootOf, verifyConsistency, verifyInclusion, type NodeReader,
} from '../../../../src/verify/log/merkle.ts';

/** The leaves and roots that the implementations of RFC 6962 test each other with. */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map((hex) => Buffer.from(hex, 'hex'));
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** RFC 6962 §2.1, word for word. */
function mth(leaves: Buffer[]): Buffer {
  const sha = (...parts: Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
  const [only] = leaves;
  if (!only) return sha();
  if (leaves.length === 1) return sha(Buffer.from([0]), only);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha(Buffer.from([1]), mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}

const readerOf =
  (leaves: Buffer[]): NodeReader =>
  (ids) =>
    Promise.resolve(ids.map(({ level, index }) => mth(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level))));

const hex = (hashes: readonly Uint8Array[]): string[] => hashes.map((hash) => Buffer.from(hash).toString('hex'));
const faultOf = (work: () => unknown): LogFault | undefined => {
  try {
    work();
  } catch (error) {
    if (error instanceof LogError) return error.fault;
    throw error;
  }
  return undefined;
};

describe('hashes', () => {
  test('roots are those of the known vectors, appended one by one and read from subtrees', async () => {
    const tree = emptyTree();
    expect(EMPTY_ROOT.toString('hex')).toBe(ROOTS[0]);
    for (const [i, leaf] of LEAVES.entries()) {
      appendLeaf(tree, leafHash(leaf));
      expect(rootOf(tree).toString('hex')).toBe(ROOTS[i + 1]);
      expect((await readRoot(i + 1, readerOf(LEAVES))).toString('hex')).toBe(ROOTS[i + 1]);
    }
  });

  test('a tree tells each perfect subtree once', () => {
    const tree = emptyTree();
    const told: string[] = [];
    for (const leaf of LEAVES) appendLeaf(tree, leafHash(leaf), ({ level, index }) => told.push(`${level}/${index}`));
    expect(told).toEqual(['0/0', '0/1', '1/0', '0/2', '0/3', '1/1', '2/0', '0/4', '0/5', '1/2', '0/6', '0/7', '1/3', '2/1', '3/0']);
  });
});

describe('proofs', () => {
  test('are the known vectors', async () => {
    const read = readerOf(LEAVES);
    expect(hex(await makeInclusionProof(0, 8, read))).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(hex(await makeConsistencyProof(6, 8, read))).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
  });

  test('hold for every leaf and every pair of sizes up to 40, and for no other leaf, root or order', async () => {
    const leaves = Array.from({ length: 40 }, (_, i) => Buffer.from(`entry ${i}`));
    const roots = Array.from({ length: 41 }, (_, size) => mth(leaves.slice(0, size)));
    const rootAt = (size: number): Buffer => roots[size] ?? Buffer.alloc(0);
    for (let size = 1; size <= 40; size += 1) {
      const read = readerOf(leaves.slice(0, size));
      for (let index = 0; index < size; index += 1) {
        const proof = await makeInclusionProof(index, size, read);
        const claim = { index, size, leaf: leafHash(leaves[index] ?? Buffer.alloc(0)), root: rootAt(size) };
        verifyInclusion(proof, claim);
        expect(faultOf(() => verifyInclusion(proof, { ...claim, leaf: leafHash(Buffer.from('other')) }))).toBe('not-included');
        expect(faultOf(() => verifyInclusion([...proof, claim.leaf], claim))).toBe('not-included');
        if (proof.length > 0) expect(faultOf(() => verifyInclusion(proof.slice(1), claim))).toBe('not-included');
        if (size > 1) expect(faultOf(() => verifyInclusion(proof, { ...claim, index: (index + 1) % size }))).toBe('not-included');
      }
      for (let first = 1; first <= size; first += 1) {
        const proof = await makeConsistencyProof(first, size, read);
        const claim = { first, second: size, firstRoot: rootAt(first), secondRoot: rootAt(size) };
        verifyConsistency(proof, claim);
        expect(faultOf(() => verifyConsistency(proof, { ...claim, firstRoot: EMPTY_ROOT }))).toBe('not-consistent');
        expect(faultOf(() => verifyConsistency(proof, { ...claim, secondRoot: EMPTY_ROOT }))).toBe('not-consistent');
        expect(faultOf(() => verifyConsistency([...proof, EMPTY_ROOT], claim))).toBe('not-consistent');
        if (proof.length > 0) expect(faultOf(() => verifyConsistency(proof.slice(1), claim))).toBe('not-consistent');
      }
    }
  });

  test('of a tree beyond 32 bits are short, and judged', async () => {
    const size = 2 ** 40 + 3;
    const read: NodeReader = (ids) => Promise.resolve(ids.map(({ level, index }) => createHash('sha256').update(`${level}/${index}`).digest()));
    const root = await readRoot(size, read);
    const [leaf] = await read([{ level: 0, index: 2 ** 40 + 2 }]);
    verifyInclusion(await makeInclusionProof(2 ** 40 + 2, size, read), { index: 2 ** 40 + 2, size, leaf: leaf ?? EMPTY_ROOT, root });
    const firstRoot = await readRoot(2 ** 40 + 1, read);
    expect(faultOf(() => verifyConsistency([], { first: 2 ** 40 + 1, second: size, firstRoot, secondRoot: root }))).toBe('not-consistent');
  });

  test.each([
    ['of a tree without leaves', 'size-zero', { index: 0, size: 0 }],
    ['beyond the tree', 'index-beyond-tree', { index: 5, size: 5 }],
    ['of a negative leaf', 'number-too-large', { index: -1, size: 5 }],
    ['of half a leaf', 'number-too-large', { index: 1.5, size: 5 }],
    ['beyond 2^53', 'number-too-large', { index: 2 ** 53, size: 2 ** 53 + 2 }],
  ] as const)('an inclusion proof %s is a fault: %s', async (_, fault, { index, size }) => {
    await expect((async () => await makeInclusionProof(index, size, readerOf(LEAVES)))()).rejects.toMatchObject({ fault });
    expect(faultOf(() => verifyInclusion([], { index, size, leaf: EMPTY_ROOT, root: EMPTY_ROOT }))).toBe(fault);
  });

  test.each([
    ['of nothing', 'size-zero', [0, 4]],
    ['backwards', 'sizes-reversed', [5, 4]],
    ['beyond 2^53', 'number-too-large', [1, 2 ** 53]],
  ] as const)('a consistency proof %s is a fault: %s', async (_, fault, [first, second]) => {
    await expect((async () => await makeConsistencyProof(first, second, readerOf(LEAVES)))()).rejects.toMatchObject({ fault });
    expect(faultOf(() => verifyConsistency([], { first, second, firstRoot: EMPTY_ROOT, secondRoot: EMPTY_ROOT }))).toBe(fault);
  });

  test('of hashes that are none, or too many, are malformed', () => {
    const claim = { index: 0, size: 2, leaf: EMPTY_ROOT, root: EMPTY_ROOT };
    expect(faultOf(() => verifyInclusion([Buffer.alloc(31)], claim))).toBe('malformed-proof');
    expect(faultOf(() => verifyInclusion(Array.from({ length: 65 }, () => EMPTY_ROOT), claim))).toBe('malformed-proof');
  });
});
