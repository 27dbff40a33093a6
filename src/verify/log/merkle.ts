/**
 * The Merkle tree of a log: hashing (RFC 6962 §2.1, RFC 9162 §2.1.1), inclusion and consistency proofs: which hashes they consist of, and whether they hold
 * (RFC 9162 §2.1.3, §2.1.4). Sizes and indexes are numbers up to 2^53 - 1; bit operations of JavaScript end at 32, so halves are taken by division.
 */
import { hash } from 'node:crypto';
import { LogError } from './log-error.ts';

export const HASH_OCTETS = 32;
/** Root of the tree without leaves: SHA-256 of nothing (RFC 6962 §2.1). */
export const EMPTY_ROOT: Buffer = sha256(Buffer.alloc(0));
/** A tree of 2^53 leaves is 53 high: no proof is longer. */
export const MAX_PROOF_HASHES = 64;

function sha256(data: Uint8Array): Buffer {
  return hash('sha256', data, 'buffer');
}

/** SHA-256(0x00 ‖ entry). The prefix keeps a leaf from being taken for a node. */
export function leafHash(entry: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(entry.length + 1);
  input[0] = 0;
  input.set(entry, 1);
  return sha256(input);
}

// One buffer for all nodes: the hash is taken at once, and nothing else runs in between.
const node = Buffer.alloc(1 + 2 * HASH_OCTETS, 1);

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  node.set(left, 1);
  node.set(right, 1 + HASH_OCTETS);
  return sha256(node);
}

/** A perfect subtree: the 2^level leaves from index · 2^level on. */
export interface NodeId {
  level: number;
  index: number;
}

/** Gives the hashes of perfect subtrees, in the order asked for. */
export type NodeReader = (ids: readonly NodeId[]) => Promise<readonly Uint8Array[]>;

/** Half-open range of leaf indexes. */
type Range = readonly [from: number, to: number];

/** The largest power of two below `count` (RFC 6962 §2.1, its k). `count` ≥ 2. */
function split(count: number): number {
  let k = 1;
  while (k * 2 < count) k *= 2;
  return k;
}

/**
 * The perfect subtrees that a range consists of, from left to right; folded from the right they give the hash of the range. The range must be one that
 * splitting a tree gives: it starts at a multiple of the smallest power of two that is not below its length.
 */
export function perfectNodes([from, to]: Range): NodeId[] {
  const nodes: NodeId[] = [];
  for (let start = from; start < to; ) {
    let level = 0;
    let width = 1;
    while (start % (width * 2) === 0 && start + width * 2 <= to) {
      width *= 2;
      level += 1;
    }
    nodes.push({ level, index: start / width });
    start += width;
  }
  return nodes;
}

/** Hash of what perfect subtrees, the largest first, make together. */
export function foldNodes(hashes: readonly Uint8Array[]): Buffer {
  if (hashes.length === 0) return EMPTY_ROOT;
  return Buffer.from(hashes.reduceRight((right, left) => nodeHash(left, right)));
}

/** The ranges whose hashes are the inclusion proof of leaf `index` in the tree of `size` (RFC 9162 §2.1.3.1), the leaf's sibling first. @throws LogError */
function inclusionRanges(index: number, size: number): Range[] {
  checkSize(size);
  checkNumber(index);
  if (index >= size) throw new LogError('index-beyond-tree', `the tree of ${size} leaves has no leaf ${index}`);
  const ranges: Range[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + split(to - from);
    if (index < middle) {
      ranges.unshift([middle, to]);
      to = middle;
    } else {
      ranges.unshift([from, middle]);
      from = middle;
    }
  }
  return ranges;
}

/** The ranges whose hashes are the consistency proof between two sizes (RFC 9162 §2.1.4.1). @throws LogError */
function consistencyRanges(first: number, second: number): Range[] {
  checkSize(first);
  checkSize(second);
  if (first > second) throw new LogError('sizes-reversed', `a tree of ${first} leaves is not part of one of ${second}`);
  if (first === second) return [];
  const ranges: Range[] = [];
  let [from, to] = [0, second];
  // Whether [from, first) is the whole old tree, whose root the reader has.
  let whole = true;
  while (first !== to) {
    const middle = from + split(to - from);
    if (first <= middle) {
      ranges.unshift([middle, to]);
      to = middle;
    } else {
      ranges.unshift([from, middle]);
      from = middle;
      whole = false;
    }
  }
  return whole ? ranges : [[from, to], ...ranges];
}

/** Proof that leaf `index` is in the tree of `size`. @throws LogError for an index or size that cannot be */
export const makeInclusionProof = (index: number, size: number, read: NodeReader): Promise<Buffer[]> => hashesOf(inclusionRanges(index, size), read);

/** Proof that the tree of `second` leaves begins with the one of `first`. @throws LogError for sizes that cannot be */
export const makeConsistencyProof = (first: number, second: number, read: NodeReader): Promise<Buffer[]> => hashesOf(consistencyRanges(first, second), read);

/** Root of the tree of `size`, from the hashes of its perfect subtrees. */
export async function readRoot(size: number, read: NodeReader): Promise<Buffer> {
  return size === 0 ? EMPTY_ROOT : foldNodes(await read(perfectNodes([0, size])));
}

async function hashesOf(ranges: readonly Range[], read: NodeReader): Promise<Buffer[]> {
  const nodes = ranges.map(perfectNodes);
  const hashes = await read(nodes.flat());
  let at = 0;
  return nodes.map((part) => foldNodes(hashes.slice(at, (at += part.length))));
}

function checkNumber(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new LogError('number-too-large', 'indexes and sizes are integers from 0 to 2^53 - 1');
}

function checkSize(size: number): void {
  checkNumber(size);
  if (size === 0) throw new LogError('size-zero', 'there is no proof in a tree without leaves');
}

function checkHashes(proof: readonly Uint8Array[]): void {
  if (proof.length > MAX_PROOF_HASHES || proof.some((hash) => hash.length !== HASH_OCTETS)) throw new LogError('malformed-proof', `a proof is at most ${MAX_PROOF_HASHES} hashes of ${HASH_OCTETS} octets`);
}

/** RFC 9162 §2.1.3.2. @throws LogError `not-included` where the proof does not lead from the leaf to the root */
export function verifyInclusion(proof: readonly Uint8Array[], claim: { index: number; size: number; leaf: Uint8Array; root: Uint8Array }): void {
  checkHashes([...proof, claim.leaf, claim.root]);
  checkSize(claim.size);
  checkNumber(claim.index);
  if (claim.index >= claim.size) throw new LogError('index-beyond-tree', `the tree of ${claim.size} leaves has no leaf ${claim.index}`);
  let [fn, sn] = [claim.index, claim.size - 1];
  let r: Uint8Array = claim.leaf;
  for (const p of proof) {
    if (sn === 0) throw new LogError('not-included', 'the proof is longer than the way from the leaf to the root');
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      r = nodeHash(r, p);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw new LogError('not-included', 'the proof is shorter than the way from the leaf to the root');
  if (!same(r, claim.root)) throw new LogError('not-included', 'the proof does not lead from the leaf to the root');
}

/** RFC 9162 §2.1.4.2. @throws LogError `not-consistent` where the larger tree does not begin with the smaller one */
export function verifyConsistency(proof: readonly Uint8Array[], claim: { first: number; second: number; firstRoot: Uint8Array; secondRoot: Uint8Array }): void {
  const { first, second, firstRoot, secondRoot } = claim;
  checkHashes([...proof, firstRoot, secondRoot]);
  checkSize(first);
  checkSize(second);
  if (first > second) throw new LogError('sizes-reversed', `a tree of ${first} leaves is not part of one of ${second}`);
  if (first === second) {
    if (proof.length > 0) throw new LogError('not-consistent', 'between a tree and itself there is nothing to prove');
    if (!same(firstRoot, secondRoot)) throw new LogError('not-consistent', `two trees of ${first} leaves have different roots`);
    return;
  }
  const path = isPowerOfTwo(first) ? [firstRoot, ...proof] : proof;
  let [fn, sn] = [first - 1, second - 1];
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  const [start, ...rest] = path;
  if (!start || proof.length === 0) throw new LogError('not-consistent', 'the proof is empty');
  let [fr, sr] = [start, start];
  for (const c of rest) {
    if (sn === 0) throw new LogError('not-consistent', 'the proof is longer than the way to the root');
    if (fn % 2 === 1 || fn === sn) {
      [fr, sr] = [nodeHash(c, fr), nodeHash(c, sr)];
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      sr = nodeHash(sr, c);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw new LogError('not-consistent', 'the proof is shorter than the way to the root');
  if (!same(fr, firstRoot) || !same(sr, secondRoot)) throw new LogError('not-consistent', `the tree of ${second} leaves does not begin with the one of ${first}`);
}

const half = (value: number): number => Math.floor(value / 2);
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function isPowerOfTwo(value: number): boolean {
  let rest = value;
  while (rest % 2 === 0) rest /= 2;
  return rest === 1;
}

/**
 * A tree as it grows: the hashes of the perfect subtrees that its leaves make, the largest first, one for each bit of the size. All that is needed to append, and for
 * the root; what comes of a crash or a pause is this.
 */
export interface RightEdge {
  readonly size: number;
  readonly hashes: readonly Uint8Array[];
}

/** The same, to append to without copying. */
export interface GrowingTree {
  size: number;
  hashes: Uint8Array[];
}

export const emptyTree = (): GrowingTree => ({ size: 0, hashes: [] });

/** Appends a leaf. `onNode`: told each perfect subtree that this completes, the leaf itself first. */
export function appendLeaf(tree: GrowingTree, leaf: Uint8Array, onNode?: (id: NodeId, hash: Uint8Array) => void): void {
  let hash = leaf;
  let index = tree.size;
  onNode?.({ level: 0, index }, hash);
  for (let level = 1; index % 2 === 1; level += 1) {
    const left = tree.hashes.pop();
    if (!left) throw new Error('the edge of the tree lacks a hash');
    hash = nodeHash(left, hash);
    index = half(index);
    onNode?.({ level, index }, hash);
  }
  tree.hashes.push(hash);
  tree.size += 1;
}

/** Root of the tree so far. */
export const rootOf = (tree: RightEdge): Buffer => foldNodes(tree.hashes);
