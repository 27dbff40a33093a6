/**
 * Judging a whole log: every event against the tree that was published, the tree against every checkpoint that anybody kept. Streams: what is held is one batch, one window
 * and the right edge. Pure: what is read comes in batches from a source.
 */
import type { VerifiedCheckpoint } from './checkpoint.ts';
import { appendLeaf, rootOf, type GrowingTree } from './merkle.ts';

/**
 * What is wrong with a log. `forked`: a checkpoint that was signed is of another history. `other-key`: it is signed by another key than the one that is trusted. `tree`: an upper
 * tile is not what those below it make: proofs from it do not hold, though the leaves may be what was logged.
 */
export type LogFaultKind = 'edited' | 'deleted' | 'inserted' | 'reordered' | 'truncated' | 'forked' | 'other-key' | 'tree';

/** One thing that is wrong. Index and last are leaf indexes (number of the event less 1), both included. */
export interface LogFinding {
  fault: LogFaultKind;
  index: number;
  last: number;
  /** When the events there are said to have happened, as far as it is known. */
  from: string | undefined;
  to: string | undefined;
  detail: string;
}

/** An entry as the source has it now. */
export interface SourceEntry {
  leaf: Uint8Array;
  /** Time that the event says; undefined for one that was purged, of which only the hash is left. */
  at: string | undefined;
  /** What is wrong with it beside its hash: what is shown of it differs from its bytes. */
  differs?: string;
}

/** Where a log is read from. */
export interface LogSource {
  /**
   * Entries from `index` on, in order: at most `limit`, fewer or none at the end. An entry that is missing is undefined: there are later ones.
   */
  entries(index: number, limit: number): Promise<readonly (SourceEntry | undefined)[]>;
  /** Leaf hashes of the tree that was published, from `index` on; fewer or none at its end. */
  leaves(index: number, limit: number): Promise<readonly Uint8Array[]>;
}

/** How far a run has come with nothing found: a later one goes on from here. */
export interface VerifiedPart {
  size: number;
  /** Hashes of the perfect subtrees, the largest first. */
  hashes: readonly Uint8Array[];
}

export interface WholeLogRequest {
  source: LogSource;
  /** Checkpoints to compare with, believed already, in any order: kept ones and the log's own. */
  checkpoints: readonly Pick<VerifiedCheckpoint, 'size' | 'root'>[];
  from?: VerifiedPart;
  /** Told after each batch. `clean`: nothing was found so far. */
  onProgress?: (part: VerifiedPart, clean: boolean) => void;
}

export interface WholeLogReport {
  /** Entries there are. */
  size: number;
  root: Buffer;
  findings: LogFinding[];
  /** Checkpoints that fit. */
  fitting: number;
  /** To go on from, where nothing was found. */
  part: VerifiedPart;
}

const BATCH = 1_024;
/** So far an entry is looked for that is not where it was: one that was taken out or put in moves all that follow. */
const WINDOW = 1_024;
/** Beyond so many findings a log is not worth more words. */
const MAX_FINDINGS = 1_000;

/** So many in a row that are not what was logged, and found nowhere near: it is another log. */
const LOST = 4 * WINDOW;

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Entries and published leaves read ahead, side by side. */
interface Side<T> {
  /** Index of the first one held. */
  at: number;
  held: T[];
  ended: boolean;
}

/** Judges the whole log, or what follows a part that was judged before. */
export async function verifyWholeLog({ source, checkpoints, from, onProgress }: WholeLogRequest): Promise<WholeLogReport> {
  const start = from?.size ?? 0;
  const tree: GrowingTree = { size: start, hashes: [...(from?.hashes ?? [])] };
  // Once entries differ from what was published, that is a tree of its own: it says whether what was published is what was signed.
  let published: GrowingTree | undefined;
  const entries: Side<SourceEntry | undefined> = { at: start, held: [], ended: false };
  const leaves: Side<Uint8Array> = { at: start, held: [], ended: false };
  const findings = new Findings();
  const judged = new Checkpoints(checkpoints, start);
  judged.at(tree, undefined);
  let before: string | undefined;

  const take = (): SourceEntry | undefined => {
    const entry = entries.held.shift();
    entries.at += 1;
    if (entry) {
      appendLeaf(tree, entry.leaf);
      before = entry.at ?? before;
    }
    return entry;
  };
  const pass = (): void => {
    const leaf = leaves.held.shift();
    leaves.at += 1;
    if (!leaf || !published) return;
    appendLeaf(published, leaf);
    judged.at(published, before);
  };
  for (;;) {
    await fill(entries, (index, limit) => source.entries(index, limit));
    await fill(leaves, (index, limit) => source.leaves(index, limit));
    if (entries.held.length === 0) break;
    const asLogged = sameFrom(entries, leaves);
    for (const [i, entry] of entries.held.slice(0, asLogged).entries()) {
      if (!entry) continue;
      appendLeaf(tree, entry.leaf);
      before = entry.at ?? before;
      if (published && i < leaves.held.length) appendLeaf(published, entry.leaf);
      judged.at(published ?? tree, before);
    }
    drop(entries, asLogged);
    drop(leaves, Math.min(asLogged, leaves.held.length));
    if (asLogged === 0) {
      // What was published is from here on a tree of its own.
      if (leaves.held.length > 0) published ??= { size: leaves.at, hashes: [...tree.hashes] };
      judgeOne({ entries, leaves, findings, take, pass, before: () => before });
    }
    if (findings.isHopeless()) break;
    onProgress?.({ size: tree.size, hashes: tree.hashes }, findings.list.length === 0 && published === undefined);
  }
  const missing = leaves.held.length > 0 && !findings.isHopeless() ? await countRest(leaves, source, pass) : 0;
  if (missing > 0) findings.add({ fault: 'truncated', index: entries.at, last: entries.at + missing - 1, from: before, to: undefined, detail: `the tree that was published holds ${missing} events more than there are` });
  judged.rest(tree, before, missing > 0);
  return { size: tree.size, root: rootOf(tree), findings: [...findings.list, ...judged.findings], fitting: judged.fitting, part: { size: tree.size, hashes: [...tree.hashes] } };
}

async function fill<T>(side: Side<T>, read: (index: number, limit: number) => Promise<readonly T[]>): Promise<void> {
  while (!side.ended && side.held.length < WINDOW * 2) {
    const more = await read(side.at + side.held.length, BATCH);
    side.ended = more.length === 0;
    side.held.push(...more);
  }
}

function drop<T>(side: Side<T>, count: number): void {
  side.held.splice(0, count);
  side.at += count;
}

/** How many of the next entries are as published, or beyond what is published, and as they are shown. A window stays, unless the end is near. */
function sameFrom(entries: Side<SourceEntry | undefined>, leaves: Side<Uint8Array>): number {
  const rounds = entries.held.length;
  for (let i = 0; i < rounds; i += 1) {
    const [entry, leaf] = [entries.held[i], leaves.held[i]];
    if (!entry || entry.differs !== undefined || (leaf && !same(entry.leaf, leaf))) return i;
    if (!leaf && !leaves.ended) return i;
    if (i >= WINDOW && !entries.ended && rounds - i <= WINDOW) return i;
  }
  return rounds;
}

interface Step {
  entries: Side<SourceEntry | undefined>;
  leaves: Side<Uint8Array>;
  findings: Findings;
  take: () => SourceEntry | undefined;
  pass: () => void;
  before: () => string | undefined;
}

/** Judges the next entry, of which something may be wrong, and whatever belongs to the same fault. */
function judgeOne(step: Step): void {
  const { entries, leaves, findings, take, pass, before } = step;
  const [entry, leaf] = [entries.held[0], leaves.held[0]];
  const index = entries.at;
  const at = entry?.at;
  if (!entry) {
    findings.add({ fault: 'deleted', index, last: index, from: before(), to: undefined, detail: 'there is no event of this number, though there are later ones' });
    take();
    pass();
    return;
  }
  if (entry.differs !== undefined) findings.add({ fault: 'edited', index, last: index, from: at, to: at, detail: entry.differs });
  if (!leaf || same(entry.leaf, leaf)) {
    take();
    pass();
    return;
  }
  const inEntries = entries.held.slice(0, WINDOW).findIndex((other, i) => i > 0 && other !== undefined && same(other.leaf, leaf));
  const inLeaves = leaves.held.slice(0, WINDOW).findIndex((other, i) => i > 0 && same(other, entry.leaf));
  if (inEntries > 0 && inLeaves > 0) {
    const other = entries.held[inEntries];
    findings.add({ fault: 'reordered', index, last: index + inEntries, from: at, to: other?.at, detail: `event ${index + 1} stands where event ${leaves.at + inLeaves + 1} was logged` });
    // As it was logged, the rest can be judged.
    entries.held[0] = other;
    entries.held[inEntries] = entry;
    take();
    pass();
  } else if (inLeaves > 0) {
    findings.add({ fault: 'deleted', index: leaves.at, last: leaves.at + inLeaves - 1, from: before(), to: at, detail: 'events that were logged are gone, and later ones have taken their numbers' });
    for (let i = 0; i < inLeaves; i += 1) pass();
  } else if (inEntries > 0) {
    findings.add({ fault: 'inserted', index, last: index + inEntries - 1, from: at, to: entries.held[inEntries - 1]?.at, detail: 'events that were never logged stand among those that were' });
    for (let i = 0; i < inEntries; i += 1) take();
  } else {
    findings.add({ fault: 'edited', index, last: index, from: at, to: at, detail: 'the event is not the one that was logged' });
    take();
    pass();
  }
}

async function countRest(leaves: Side<Uint8Array>, source: LogSource, pass: () => void): Promise<number> {
  let count = 0;
  for (;;) {
    await fill(leaves, (index, limit) => source.leaves(index, limit));
    if (leaves.held.length === 0) return count;
    count += leaves.held.length;
    while (leaves.held.length > 0) pass();
  }
}

/** Findings of one kind that follow one another are one. */
class Findings {
  readonly list: LogFinding[] = [];

  /** What comes after need not be looked at. */
  isHopeless(): boolean {
    const last = this.list.at(-1);
    return this.list.length >= MAX_FINDINGS || (last?.fault === 'edited' && last.last - last.index >= LOST);
  }

  add(finding: LogFinding): void {
    const last = this.list.at(-1);
    if (last && last.fault === finding.fault && last.detail === finding.detail && finding.fault !== 'reordered' && finding.index === last.last + 1) {
      last.last = finding.last;
      last.to = finding.to ?? last.to;
      return;
    }
    this.list.push(finding);
  }
}

/** Checkpoints to be compared with the tree as it grows. */
class Checkpoints {
  readonly findings: LogFinding[] = [];
  fitting = 0;
  private readonly waiting: Pick<VerifiedCheckpoint, 'size' | 'root'>[];
  private lastGood: { size: number; at: string | undefined };
  private told = false;

  constructor(checkpoints: readonly Pick<VerifiedCheckpoint, 'size' | 'root'>[], start: number) {
    this.lastGood = { size: start, at: undefined };
    const sorted = checkpoints.toSorted((a, b) => a.size - b.size);
    for (const [i, checkpoint] of sorted.entries()) {
      const next = sorted[i + 1];
      if (next?.size !== checkpoint.size || next.root.equals(checkpoint.root)) continue;
      this.findings.push({ fault: 'forked', index: 0, last: checkpoint.size - 1, from: undefined, to: undefined, detail: `two checkpoints of ${checkpoint.size} events have different roots: the log key signed both` });
    }
    // One of the size that was judged before is compared with what was remembered.
    this.waiting = sorted.filter(({ size }) => size >= start && size > 0);
  }

  /** Compares those of the size that the tree has now. `at`: time of the last event. */
  at(tree: GrowingTree, at: string | undefined): void {
    while (this.waiting[0]?.size === tree.size) {
      const checkpoint = this.waiting.shift();
      if (!checkpoint) return;
      if (rootOf(tree).equals(checkpoint.root)) {
        this.fitting += 1;
        this.lastGood = { size: tree.size, at };
      } else if (!this.told) {
        // All that follow differ as well: the first one says where.
        this.told = true;
        this.findings.push({
          fault: 'forked', index: this.lastGood.size, last: checkpoint.size - 1, from: this.lastGood.at, to: at,
          detail: `a checkpoint of ${checkpoint.size} events is of another history: something from event ${this.lastGood.size + 1} to event ${checkpoint.size} is not what it was`,
        });
      }
    }
  }

  /** What is larger than all there is. `known`: that events are missing was said already. */
  rest(tree: GrowingTree, at: string | undefined, known: boolean): void {
    const beyond = this.waiting.filter(({ size }) => size > tree.size);
    const largest = beyond.at(-1);
    if (!largest || known) return;
    this.findings.push({ fault: 'truncated', index: tree.size, last: largest.size - 1, from: at, to: undefined, detail: `a checkpoint of ${largest.size} events was signed, and ${largest.size - tree.size} of them are gone` });
  }
}
