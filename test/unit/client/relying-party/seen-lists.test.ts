import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openSeenLists, type Seen } from '../../../../src/client/relying-party/seen-lists.ts';
import { temporaryFolder } from '../../../support/postgres.ts';

const list = (number: string | undefined, thisUpdateMs: number, content = `${number}/${thisUpdateMs}`): Seen => ({ number, thisUpdateMs, sha256: Buffer.from(content).toString('hex').padEnd(64, '0') });
let folder: string;
beforeAll(() => void (folder = temporaryFolder('signet-seen-')));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

test.each<[string, Seen, string | undefined]>([
  ['a lower number alone', list('9', 5_000), 'its number 9 is below 10'],
  ['an older thisUpdate alone', list('11', 900), 'older than one that was seen'],
  ['both', list('9', 900), 'its number 9 is below 10'],
  ['none, where there was one', list(undefined, 5_000), 'its number (none) is below 10'],
  ['the same number for another content', list('10', 1_000, 'another'), 'another list of number 10'],
  ['the same list', list('10', 1_000), undefined],
  ['a newer one', list('11', 1_000), undefined],
  ['numbers are compared as numbers', list('100', 1_000), undefined],
])('of one scope: %s', (_, next, why) => {
  const seen = openSeenLists(undefined);
  expect(seen.faultOf('scope', list('10', 1_000))).toBeUndefined();
  seen.saw('scope', list('10', 1_000));
  const fault = seen.faultOf('scope', next);
  expect(why === undefined ? fault : fault?.includes(why)).toBe(why === undefined ? undefined : true);
  expect(seen.faultOf('another scope', next)).toBeUndefined();
});

test('outlives a restart; a file that cannot be written costs nobody a status, and is said', () => {
  const file = path.join(folder, 'seen.json');
  openSeenLists(file).saw('scope', list('10', 1_000));
  expect(openSeenLists(file).faultOf('scope', list('9', 5_000))).toContain('below 10');
  const nowhere = openSeenLists(path.join(folder, 'missing/seen.json'));
  nowhere.saw('scope', list('10', 1_000));
  expect([nowhere.fault(), nowhere.faultOf('scope', list('9', 5_000))]).toEqual([expect.stringContaining('cannot be written'), expect.stringContaining('below 10')]);
  fs.writeFileSync(file, '{"version":2}');
  expect(() => openSeenLists(file)).toThrow('cannot be read');
});
