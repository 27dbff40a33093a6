import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from '@jest/globals';
import type { Config } from '../../../src/config/schema.ts';
import { StartupError } from '../../../src/core/errors.ts';
import { createLogger } from '../../../src/core/log.ts';
import { createSystemRandom } from '../../../src/core/random.ts';
import { openKeyStore, resolveKek, type KekSource } from '../../../src/keystore/index.ts';
import { exportingContract, keyStoreContract } from './contract.ts';
import { memoryDb, type MemoryDb } from './memory-db.ts';

const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 5));
const OTHER_KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => 255 - i * 5));
const PASSPHRASE = 'correct horse battery staple';

const root = mkdtempSync(join(tmpdir(), 'signet-kek-'));
afterAll(() => rmSync(root, { recursive: true }));
let dataDir: string;
let logged: string[];
beforeEach(() => {
  dataDir = mkdtempSync(join(root, 'd-'));
  logged = [];
});

function deps(memory: MemoryDb) {
  const clock = { now: () => new Date('2026-11-21T00:00:00Z'), monotonicMs: () => 0 };
  return { db: memory.db, random: createSystemRandom(), clock, log: createLogger('info', { write: (line: string) => void logged.push(line) }) };
}

function file(name: string, content: string, mode = 0o600): string {
  const path = join(dataDir, name);
  writeFileSync(path, content, { mode });
  return path;
}

const config = (given: Partial<Config> = {}) => ({ dataDir, nodeEnv: 'development', ...given });
const fileSource = (key: Buffer = KEY): KekSource => resolveKek(config({ kekFile: file('given', key.toString('base64')) }), false);

async function software() {
  const memory = memoryDb();
  const { keyStore } = await openKeyStore(deps(memory), fileSource());
  return { memory, keyStore, reopen: async () => (await openKeyStore(deps(memory), fileSource())).keyStore };
}

keyStoreContract('software', software);
exportingContract('software', software);

test('software: what rests in the database is not the private key', async () => {
  const { memory, keyStore } = await software();
  const { id } = await keyStore.generate('ecdsa-p256', 'tls');
  const pkcs8 = (await keyStore.exportPrivateKey(id)).export({ type: 'pkcs8', format: 'der' });
  const scalar = pkcs8.subarray(36, 68);
  expect(Buffer.from(memory.keys[0]?.sealedPkcs8 ?? []).includes(scalar)).toBe(false);
});

test.each(['purpose', 'sealedPkcs8', 'spki'] as const)('software: a key whose %s was changed in the database does not open', async (column) => {
  const { memory, keyStore, reopen } = await software();
  const { id } = await keyStore.generate('ecdsa-p256', 'tls');
  await keyStore.generate('ecdsa-p256', 'root');
  const [key, other] = memory.keys;
  if (key === undefined || other === undefined) throw new Error('no keys');
  Object.assign(key, { [column]: other[column] });
  await expect((await reopen()).open(id)).rejects.toMatchObject({ code: 'internal' });
});

test('software: is not ready once the database is sealed under another key', async () => {
  const { memory, keyStore } = await software();
  memory.keks.length = 0;
  await expect(keyStore.check()).rejects.toMatchObject({ code: 'internal' });
});

test('sealer: opens what it sealed, for the same context only', async () => {
  const { sealer } = await openKeyStore(deps(memoryDb()), fileSource());
  const sealed = sealer.seal('caller/route/key', Buffer.from('sgj_secret'));
  expect(sealer.open('caller/route/key', sealed).toString()).toBe('sgj_secret');
  expect(() => sealer.open('other/route/key', sealed)).toThrow(expect.objectContaining({ code: 'internal' }));
});

test('openKeyStore: another key file is a clear fault, and nothing is overwritten', async () => {
  const memory = memoryDb();
  await openKeyStore(deps(memory), fileSource());
  const before = structuredClone(memory.keks);
  const opening = openKeyStore(deps(memory), fileSource(OTHER_KEY));
  await expect(opening).rejects.toBeInstanceOf(StartupError);
  await expect(opening).rejects.toMatchObject({ exitCode: 78, message: expect.stringContaining('wrong key-encryption key') as unknown });
  expect(memory.keks).toEqual(before);
});

test('openKeyStore: a passphrase opens again; another one, or a key file instead, does not', async () => {
  const memory = memoryDb();
  const passphrase = (text: string) => resolveKek(config({ kekPassphraseFile: file('passphrase', `${text}\n`) }), false);
  const first = await openKeyStore(deps(memory), passphrase(PASSPHRASE));
  const { id } = await first.keyStore.generate('ed25519', 'root');
  const second = await openKeyStore(deps(memory), passphrase(PASSPHRASE));
  await expect(second.keyStore.open(id)).resolves.toMatchObject({ id });
  await expect(openKeyStore(deps(memory), passphrase('wrong horse battery staple'))).rejects.toThrow('wrong key-encryption key');
  await expect(openKeyStore(deps(memory), fileSource())).rejects.toThrow('sealed under one from a passphrase');
  expect(memory.keks).toHaveLength(1);
});

test('openKeyStore: with the embedded database a key is made once, 0600, and said so', async () => {
  const memory = memoryDb();
  const source = resolveKek(config(), true);
  expect(source).toEqual({ kind: 'make', path: join(dataDir, 'kek') });
  expect(readdirSync(dataDir)).toEqual([]);
  const { keyStore } = await openKeyStore(deps(memory), source);
  const { id } = await keyStore.generate('ed25519', 'root');
  expect(statSync(join(dataDir, 'kek')).mode & 0o777).toBe(0o600);
  expect(readdirSync(dataDir)).toEqual(['kek']);
  expect(logged.join('')).toContain('made a key-encryption key');
  const again = await openKeyStore(deps(memory), resolveKek(config(), true));
  await expect(again.keyStore.open(id)).resolves.toMatchObject({ id });
});

test('openKeyStore: a made key that was lost is not made anew over a sealed database', async () => {
  const memory = memoryDb();
  await openKeyStore(deps(memory), resolveKek(config(), true));
  rmSync(join(dataDir, 'kek'));
  await expect(openKeyStore(deps(memory), resolveKek(config(), true))).rejects.toThrow('the key-encryption key is missing');
  expect(existsSync(join(dataDir, 'kek'))).toBe(false);
});

test('openKeyStore: a key that cannot be written is a fault of the start, and the database stays empty', async () => {
  const memory = memoryDb();
  const path = join(file('in-the-way', ''), 'kek');
  await expect(openKeyStore(deps(memory), { kind: 'make', path })).rejects.toMatchObject({ exitCode: 73 });
  expect(memory.keks).toEqual([]);
});

test('openKeyStore: an existing file is never overwritten', async () => {
  const path = file('kek', KEY.toString('base64'));
  await expect(openKeyStore(deps(memoryDb()), { kind: 'make', path })).rejects.toMatchObject({ exitCode: 73 });
  expect(readFileSync(path, 'utf8')).toBe(KEY.toString('base64'));
  expect(readdirSync(dataDir)).toEqual(['kek']);
});

test('openKeyStore warns of a key file that others can read', async () => {
  const source = fileSource();
  chmodSync(join(dataDir, 'given'), 0o644);
  await openKeyStore(deps(memoryDb()), source);
  expect(logged.join('')).toContain('other users can read the key-encryption key');
});

test.each([['base64', KEY.toString('base64')], ['base64 with a line end', `${KEY.toString('base64')}\r\n`], ['base64 without padding', KEY.toString('base64').replace('=', '')], ['hex', KEY.toString('hex')], ['upper-case hex', KEY.toString('hex').toUpperCase()]])(
  'resolveKek reads a key as %s',
  (_, content) => {
    expect(resolveKek(config({ kekFile: file('k', content) }), false)).toMatchObject({ kind: 'file', key: KEY });
  },
);

test.each([['empty', ''], ['short', KEY.subarray(1).toString('base64')], ['long', Buffer.concat([KEY, KEY]).toString('hex')], ['raw octets', KEY.toString('latin1')], ['two lines', `${KEY.toString('hex')}\n\n`], ['zeros', '0'.repeat(64)], ['huge', 'a'.repeat(5000)]])(
  'resolveKek refuses a key file that is %s',
  (_, content) => {
    expect(() => resolveKek(config({ kekFile: file('k', content) }), false)).toThrow(StartupError);
  },
);

test('resolveKek refuses a short passphrase and a file that is not there', () => {
  expect(() => resolveKek(config({ kekPassphraseFile: file('p', 'fifteen charact') }), false)).toThrow('shorter than 16 characters');
  expect(() => resolveKek(config({ kekFile: join(dataDir, 'none') }), true)).toThrow('cannot be read');
});

test.each([['a given database', false, 'development'], ['production', true, 'production']])('resolveKek makes no key with %s', (_, embedded, nodeEnv) => {
  file('kek', KEY.toString('base64'));
  expect(() => resolveKek(config({ nodeEnv }), embedded)).toThrow('no key-encryption key');
});
