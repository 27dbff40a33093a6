import { describe, expect, test } from '@jest/globals';
import { parseCheckpoint } from '../../../../src/verify/log/checkpoint.ts';
import { leafHash } from '../../../../src/verify/log/merkle.ts';
import { parseNote } from '../../../../src/verify/log/note.ts';
import { verifyWholeLog, type LogSource, type VerifiedPart, type WholeLogReport, type WholeLogRequest } from '../../../../src/verify/log/whole-log.ts';
import { MemoryLog } from '../../../support/log.ts';

const entriesOf = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `entry ${from + i}`);
const timeOf = (entry: string): string => `at ${entry.replace('entry ', '')}`;

const hashes = new Map<string, Buffer>();
const hashOf = (entry: string): Buffer => {
  const hash = hashes.get(entry) ?? leafHash(Buffer.from(entry));
  hashes.set(entry, hash);
  return hash;
};

/** A source that says `entries` now, and published `published`. Undefined: an entry that is missing. */
const sourceOf = (entries: readonly (string | undefined)[], published: readonly string[]): LogSource => ({
  entries: (index, limit) => Promise.resolve(entries.slice(index, index + limit).map((entry) => (entry === undefined ? undefined : { leaf: hashOf(entry), at: timeOf(entry) }))),
  leaves: (index, limit) => Promise.resolve(published.slice(index, index + limit).map(hashOf)),
});

/** The checkpoint of a log of these entries. */
const kept = (entries: readonly string[]) => parseCheckpoint(parseNote(new MemoryLog(entries).checkpoint()).text);

const judge = (entries: readonly (string | undefined)[], published: readonly string[], more: Partial<WholeLogRequest> = {}): Promise<WholeLogReport> =>
  verifyWholeLog({ source: sourceOf(entries, published), checkpoints: [], ...more });

const told = ({ findings }: WholeLogReport) => findings.map(({ fault, index, last }) => [fault, index, last]);

const whole = entriesOf(10_000);

describe('a log that is whole', () => {
  test('has the root of its checkpoints, and nothing to say', async () => {
    const checkpoints = [1, 2, 255, 256, 257, 4_096, 4_097, 9_999, 10_000].map((size) => kept(whole.slice(0, size)));
    const report = await judge(whole, whole, { checkpoints });
    expect([report.size, report.findings, report.fitting]).toEqual([10_000, [], 9]);
    expect(report.root).toEqual(checkpoints.at(-1)?.root);
  });

  test('may have events that are not published yet, and be empty', async () => {
    expect((await judge(whole, whole.slice(0, 9_000))).findings).toEqual([]);
    expect(await judge([], [])).toMatchObject({ size: 0, findings: [] });
  });

  test('is judged on from where it was left, with the same root', async () => {
    const parts: VerifiedPart[] = [];
    const report = await judge(whole, whole, { onProgress: ({ size, hashes }) => parts.push({ size, hashes: [...hashes] }) });
    expect(parts.length).toBeGreaterThan(1);
    for (const from of parts) {
      const rest = await judge(whole, whole, { from, checkpoints: [kept(whole)] });
      expect([rest.root, rest.findings]).toEqual([report.root, []]);
    }
  });
});

describe('what an administrator of the database can do is found where it was done', () => {
  const others = [1, 5_000, 9_998];
  test.each(others)('an edit of event %i', async (i) => {
    const report = await judge(whole.with(i, 'another'), whole);
    expect(report.findings).toMatchObject([{ fault: 'edited', index: i, last: i, from: 'at another' }]);
  });

  test.each(others)('a deletion at %i that leaves a gap', async (i) => {
    const report = await judge([...whole.slice(0, i), undefined, ...whole.slice(i + 1)], whole);
    expect(report.findings).toMatchObject([{ fault: 'deleted', index: i, last: i, from: `at ${i - 1}` }]);
  });

  test.each(others)('a deletion of 3 at %i with later events moved up', async (i) => {
    const at = Math.min(i, 9_990);
    const report = await judge([...whole.slice(0, at), ...whole.slice(at + 3)], whole);
    expect(report.findings).toMatchObject([{ fault: 'deleted', index: at, last: at + 2, from: `at ${at - 1}`, to: `at ${at + 3}` }]);
  });

  test.each(others)('an insertion of 2 at %i', async (i) => {
    const report = await judge([...whole.slice(0, i), 'forged', 'more', ...whole.slice(i)], whole);
    expect(told(report)).toEqual([['inserted', i, i + 1]]);
  });

  test.each(others)('a swap at %i', async (i) => {
    const report = await judge(whole.with(i, `entry ${i + 1}`).with(i + 1, `entry ${i}`), whole);
    expect(report.findings).toMatchObject([{ fault: 'reordered', index: i, last: i + 1 }]);
  });

  test('several faults at once', async () => {
    const bad = [...whole.slice(0, 100), 'forged', ...whole.slice(100, 3_000), ...whole.slice(3_005, 8_000), 'edited', ...whole.slice(8_001)];
    expect(told(await judge(bad, whole))).toEqual([['inserted', 100, 100], ['deleted', 3_000, 3_004], ['edited', 7_996, 7_996]]);
  });

  test('a truncation: by the tree, and by a checkpoint where the tree was cut as well', async () => {
    expect(told(await judge(whole.slice(0, 9_000), whole))).toEqual([['truncated', 9_000, 9_999]]);
    expect(told(await judge(whole.slice(0, 9_000), whole.slice(0, 9_000), { checkpoints: [kept(whole.slice(0, 8_000)), kept(whole)] }))).toEqual([['truncated', 9_000, 9_999]]);
  });

  test('a tree that was rebuilt over an edit: between the checkpoints around it', async () => {
    const bad = whole.with(5_000, 'another');
    const checkpoints = [4_000, 4_999, 6_000, 7_000].map((size) => kept(whole.slice(0, size)));
    const report = await judge(bad, bad, { checkpoints });
    expect(report.findings).toMatchObject([{ fault: 'forked', index: 4_999, last: 5_999, from: 'at 4998', to: 'at 5999' }]);
  });

  test('a database that was set back and went on', async () => {
    const other = [...whole.slice(0, 8_000), ...entriesOf(3_000, 50_000)];
    const report = await judge(other, other, { checkpoints: [kept(whole.slice(0, 7_000)), kept(whole)] });
    expect(told(report)).toEqual([['forked', 7_000, 9_999]]);
  });

  test('two checkpoints of one size', async () => {
    const report = await judge(whole, whole, { checkpoints: [kept(whole), kept(whole.with(3, 'another'))] });
    expect(told(report)).toContainEqual(['forked', 0, 9_999]);
  });

  test('with what was published still there, an edit is found at its place and the checkpoints fit what was published', async () => {
    const report = await judge(whole.with(5_000, 'another'), whole, { checkpoints: [4_000, 6_000, 10_000].map((size) => kept(whole.slice(0, size))) });
    expect([told(report), report.fitting]).toEqual([[['edited', 5_000, 5_000]], 3]);
  });

  test('a log that is another altogether does not fill memory with words', async () => {
    const report = await judge(entriesOf(5_000, 100_000), whole);
    expect(report.findings.map(({ fault, index }) => [fault, index])).toEqual([['edited', 0]]);
  });
});
