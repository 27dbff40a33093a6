import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const MODULE = path.resolve('src/revocation/crl/list-octets.ts');
/** A list of 24 MiB, then the beginning of another one that is given up; says what was kept, what was logged and how many files are open. */
const SCRIPT = `
  import { createHash } from 'node:crypto';
  import { readdirSync, readlinkSync } from 'node:fs';
  const { createOctetsWriter } = await import(${JSON.stringify(MODULE)});
  const said = [];
  const writer = createOctetsWriter({ warn: (_, text) => said.push(text) });
  const pushed = createHash('sha256');
  for (let n = 0; n < 24; n++) {
    const part = Buffer.alloc(1_048_576 - n, n + 1);
    pushed.update(part);
    await writer.push(part);
  }
  const list = writer.finish();
  const kept = createHash('sha256');
  for await (const part of list.read()) kept.update(part);
  const files = readdirSync('/proc/self/fd').filter((fd) => { try { return readlinkSync('/proc/self/fd/' + fd).includes('signet-list-'); } catch { return false; } });
  console.log(JSON.stringify({ length: list.length, isSame: pushed.digest('hex') === kept.digest('hex'), files: files.length, said }));`;

/** `limit`: what of a file the system takes, in KiB; a write that goes beyond it is cut short, and the next one fails, as on a full disk. */
const keep = (limit: string, env: Record<string, string> = {}): unknown =>
  JSON.parse(execFileSync('bash', ['-c', 'ulimit -f "$1"; exec "$2" --input-type=module -e "$3"', 'bash', limit, process.execPath, SCRIPT], { encoding: 'utf8', env: { ...process.env, ...env } }));

const LENGTH = 24 * 1_048_576 - 276;
const SAID = [expect.stringContaining('large lists stay in memory')];

test('a long list lies in a file without a name', () => {
  expect(keep('unlimited')).toEqual({ length: LENGTH, isSame: true, files: 1, said: [] });
});

test('a disk that is full at the first octet, and one that becomes full in the middle: the list is kept in memory, and is whole', () => {
  expect(keep('0')).toEqual({ length: LENGTH, isSame: true, files: 0, said: SAID });
  expect(keep('12001')).toEqual({ length: LENGTH, isSame: true, files: 0, said: SAID });
});

test('without a folder for temporary files it is kept in memory', () => {
  expect(keep('unlimited', { TMPDIR: '/does/not/exist' })).toEqual({ length: LENGTH, isSame: true, files: 0, said: SAID });
});
