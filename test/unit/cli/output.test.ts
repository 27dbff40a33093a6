import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import type { CliContext } from '../../../src/cli/command.ts';
import { didYouMean } from '../../../src/cli/did-you-mean.ts';
import { columnsThatFit, draftFile, show, table, writeFileAtomic } from '../../../src/cli/output.ts';

const ID = '01M7YV5B0RBS4E4WP8XD9NKT4E';

function shown(value: unknown, { json = false, columns, width }: { json?: boolean; columns?: string[]; width?: number } = {}): string {
  let said = '';
  const cli = { json, io: { out: { write: (text: string) => (said += text), columns: width } } } as unknown as CliContext;
  show(cli, JSON.stringify(value), columns);
  return said;
}

test('one thing: a line a member; times in UTC without milliseconds, nothing that is PEM', () => {
  expect(shown({ id: ID, createdAt: '2026-11-21T10:41:47.544Z', labels: { team: 'core' }, dnsNames: [], deputyEmail: null, certificate: '-----BEGIN CERTIFICATE-----' })).toBe(
    `id           ${ID}\ncreatedAt    2026-11-21T10:41:47Z\nlabels       team=core\ndnsNames     -\ndeputyEmail  -\n`,
  );
});

test('a list: columns by path, a head, what an actor is, how to go on', () => {
  const items = [{ n: '1', actor: { kind: 'admin', id: 'A' }, lastRun: { outcome: 'succeeded' } }, { n: '22', actor: { kind: 'system', id: 'B' }, lastRun: null }];
  expect(shown({ items, nextCursor: 'abc' }, { columns: ['n', 'actor', 'lastRun.outcome'] })).toBe('N   ACTOR     OUTCOME\n1   admin:A   succeeded\n22  system:B  -\nmore: --cursor abc\n');
  expect(shown({ items: [], nextCursor: null })).toBe('none\n');
});

test('--json is the answer, in one line', () => {
  expect(shown({ id: ID, at: '2026-11-21T10:41:47.544Z' }, { json: true })).toBe(`{"id":"${ID}","at":"2026-11-21T10:41:47.544Z"}\n`);
});

test('a terminal gets lines that fit: long values are cut, ids and times never', () => {
  const items = [{ id: ID, purpose: 'x'.repeat(100), at: '2026-11-21T10:41:47.544Z' }];
  const lines = table(items, ['id', 'purpose', 'at'], { width: 80 }).split('\n');
  expect(lines[1]).toMatch(new RegExp(`^${ID}  x{29}…  2026-11-21T10:41:47Z$`));
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(table(items, ['id', 'purpose', 'at'], { width: 10 })).toContain(ID);
  expect(table(items, ['id', 'purpose', 'at'])).toContain('x'.repeat(100));
});

test('nothing from the server moves the cursor or colours a terminal', () => {
  const hostile = shown({ name: '\u001b[31mred\u0007\r\nnext' });
  expect(hostile).toBe('name   [31mred   next\n');
});

test('what may have been meant: near words only, nearest first', () => {
  expect(didYouMean('agent lsit', ['agent list', 'audit list', 'job list'])).toEqual(['agent list']);
  expect(didYouMean('xyz', ['agent list'])).toEqual([]);
});

test('a file is written whole or not at all, and what lies beside it under a like name stays', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'signet-output-'));
  try {
    const file = path.join(folder, 'key');
    writeFileSync(`${file}.new`, "another program's");
    writeFileAtomic(file, 'secret', 0o600);
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['secret', 0o600]);
    const broken = draftFile(path.join(folder, 'broken'), 0o600);
    mkdirSync(path.join(folder, 'broken'));
    expect(() => broken.keep('secret')).toThrow(/EISDIR|ENOTDIR|EEXIST/);
    draftFile(path.join(folder, 'given-up'), 0o600).discard();
    expect(readdirSync(folder).toSorted()).toEqual(['broken', 'key', 'key.new']);
    expect(readFileSync(`${file}.new`, 'utf8')).toBe("another program's");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a narrow terminal gets the columns that fit, from the left, names whole, and is told what is missing; what is no terminal gets all', () => {
  const items = [{ id: ID, name: 'invoice-reader-of-payment', state: 'suspended', ownerEmail: 'somebody@payments.example.org', environment: 'production' }];
  const columns = ['id', 'name', 'state', 'ownerEmail', 'environment'];
  const narrow = shown({ items }, { columns, width: 80 });
  expect(narrow).toBe(`${'ID'.padEnd(26)}  ${'NAME'.padEnd(25)}  STATE\n${ID}  invoice-reader-of-payment  suspended\nno room for OWNER EMAIL, ENVIRONMENT: widen the terminal, or see --json\n`);
  expect(shown({ items }, { columns, width: 96 })).toMatch(/OWNER EMAIL\n.*org\nno room for ENVIRONMENT:/);
  expect(shown({ items }, { columns })).toMatch(/ENVIRONMENT\n.*production\n$/);
  expect(columnsThatFit(items, columns, 10)).toEqual(['id']);
});
