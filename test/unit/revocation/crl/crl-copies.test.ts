import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createCrlCopies, parseCopyName } from '../../../../src/revocation/crl/crl-copies.ts';
import { COMPLETE } from '../../../../src/db/crls.ts';

const [ONE, TWO] = ['01KAMV3W5QZ3C1D6X2G7R8S9TB', '01KAMV3W5QZ3C1D6X2G7R8S9TC'];
let folder: string;
let said: string[];
const log = { warn: (...args: unknown[]) => void said.push(String(args[1])), info: (...args: unknown[]) => void said.push(String(args[1])) };
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'signet-copies-'));
  said = [];
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));
const list = (number: bigint) => ({
  number,
  content: {
    async *read() {
      for (const part of ['list ', String(number)]) yield await Promise.resolve(Buffer.from(part));
    },
  },
});

test('the newest complete list of each issuer, readable by all, and nothing half written', async () => {
  const dir = path.join(folder, 'made', 'now');
  const copies = createCrlCopies(dir, log as never);
  for (const number of [1n, 2n, 9n, 10n, 3n]) copies.put({ issuerId: ONE, shard: COMPLETE }, list(number));
  copies.put({ issuerId: TWO, shard: COMPLETE }, list(4n));
  copies.put({ issuerId: TWO, shard: 0 }, list(7n));
  await copies.close();
  expect(fs.readdirSync(dir).toSorted()).toEqual([`${ONE}.10.crl`, `${TWO}.4.crl`]);
  expect(fs.readFileSync(path.join(dir, `${ONE}.10.crl`), 'utf8')).toBe('list 10');
  expect(fs.statSync(path.join(dir, `${ONE}.10.crl`)).mode & 0o777).toBe(0o644);
});

test('of two processes neither takes a newer list away', async () => {
  const [one, other] = [createCrlCopies(folder, log as never), createCrlCopies(folder, log as never)];
  one.put({ issuerId: ONE, shard: COMPLETE }, list(8n));
  await one.close();
  other.put({ issuerId: ONE, shard: COMPLETE }, list(7n));
  await other.close();
  const numbers = fs.readdirSync(folder).map((file) => parseCopyName(file)?.number);
  expect(numbers).toContain(8n);
});

test('a folder that cannot be written is said once, and its return, too; nothing is thrown', async () => {
  const dir = path.join(folder, 'in-the-way');
  fs.writeFileSync(dir, '');
  const copies = createCrlCopies(dir, log as never);
  for (const number of [1n, 2n]) {
    copies.put({ issuerId: ONE, shard: COMPLETE }, list(number));
    await copies.close();
  }
  expect(said).toEqual([expect.stringContaining('could not be written')]);
  fs.rmSync(dir);
  copies.put({ issuerId: ONE, shard: COMPLETE }, list(3n));
  await copies.close();
  expect(said).toHaveLength(2);
  expect(fs.readdirSync(dir)).toEqual([`${ONE}.3.crl`]);
});

test('a copy that failed half-way leaves nothing behind, nor does a process that was killed over one', async () => {
  const abandoned = path.join(folder, `${ONE}.1.crl.4711.new`);
  const young = path.join(folder, `${ONE}.2.crl.4712.new`);
  for (const draft of [abandoned, young]) fs.writeFileSync(draft, 'half');
  const hoursAgo = new Date(Date.now() - 2 * 3_600_000);
  fs.utimesSync(abandoned, hoursAgo, hoursAgo);
  const copies = createCrlCopies(folder, log as never);
  const broken = {
    async *read() {
      yield await Promise.resolve(Buffer.from('list '));
      throw new Error('the disk is full');
    },
  };
  copies.put({ issuerId: ONE, shard: COMPLETE }, { number: 7n, content: broken });
  await copies.close();
  expect(said).toEqual([expect.stringContaining('could not be written')]);
  expect(fs.readdirSync(folder).toSorted()).toEqual([path.basename(abandoned), path.basename(young)]);
  copies.put({ issuerId: ONE, shard: COMPLETE }, list(8n));
  await copies.close();
  // What is young another process may be about to finish.
  expect(fs.readdirSync(folder).toSorted()).toEqual([path.basename(young), `${ONE}.8.crl`]);
});
