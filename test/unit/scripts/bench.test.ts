import { expect, test } from '@jest/globals';
import { faultsOf, type Run } from '../../../scripts/bench/run.ts';
import type { Figures } from '../../../scripts/bench/measure.ts';

const figures: Figures = { operations: 10, perSecond: 1, p50Ms: 1, p99Ms: 1, cpu: { service: 1, postgres: 1, load: 1 }, floor: 1, timesFloor: { service: 1, serviceAndPostgres: 2 }, shares: {} };
const sound: Run = {
  workers: 2, workerPids: [11, 12], readyMs: 1, idleRssMb: [1, 1],
  issuance: { full: figures, half: figures, batchRows: { full: 1, half: 1 }, served: { 11: 6, 12: 4 } },
  renewal: undefined, ocsp: undefined, status: undefined, kill: undefined, feed: undefined, audit: undefined, crl: undefined, flat: undefined,
  stored: { serials: 10, keys: 10, audits: 10, durability: { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' } },
  answered: 10,
};

test('figures of a run that is sound count', () => {
  expect(faultsOf(sound, 10)).toEqual([]);
});

test.each<[string, Partial<Run>, number, RegExp]>([
  ['an answered certificate is not stored', { stored: { ...sound.stored, serials: 9 } }, 10, /distinct serials 9/],
  ['an audit row is missing', { stored: { ...sound.stored, audits: 9 } }, 10, /audit rows 9/],
  ['a key was sent twice', {}, 9, /keys sent 9/],
  ['a key is stored twice', { stored: { ...sound.stored, keys: 9 } }, 10, /keys stored 9/],
  ['fsync is off', { stored: { ...sound.stored, durability: { ...sound.stored.durability, fsync: 'off' } } }, 10, /fsync is off/],
  ['commits are not waited for', { stored: { ...sound.stored, durability: { ...sound.stored.durability, synchronous_commit: 'local' } } }, 10, /synchronous_commit is local/],
  ['two workers are one process', { workerPids: [11, 11], issuance: { ...sound.issuance, served: { 11: 10 } } }, 10, /1 processes are there/],
  ['a worker served nothing', { issuance: { ...sound.issuance, served: { 11: 10 } } }, 10, /not every worker has served/],
])('they do not when %s', (_, change, keysUsed, fault) => {
  expect(faultsOf({ ...sound, ...change }, keysUsed).join('\n')).toMatch(fault);
});
