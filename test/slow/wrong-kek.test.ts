/** A start with a key-encryption key that is not the right one, or none at all: it ends with 78, says what to do, and nothing is overwritten. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { createClient } from '../support/https-client.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { stateOf } from '../support/refusals.ts';
import { startSignet, type SignetOptions, type SignetProcess } from '../support/signet-process.ts';

const LONG = 120_000;
const EX_CONFIG = 78;

let folder: string;
beforeAll(() => {
  folder = temporaryFolder('signet-kek-');
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

let sequence = 0;
/** A file with this content, readable by its owner alone. */
function secretFile(content: string | Buffer): string {
  const file = path.join(folder, `secret-${++sequence}`);
  fs.writeFileSync(file, content, { mode: 0o600 });
  return file;
}
const freshKek = (): string => randomBytes(32).toString('base64');

/** Everything sealed, and everything a first start makes. */
async function sealedIn(database: TestDatabase): Promise<unknown> {
  const tables = ['key_encryption_keys', 'keystore_keys', 'authority_certificates', 'admin_tokens', 'cluster'];
  const rows = await Promise.all(tables.map((table) => database.ownerDb.$queryRawUnsafe<object[]>(`SELECT to_jsonb(t) - 'last_used_at' AS r FROM ${table} t ORDER BY 1`)));
  return { rows, state: await stateOf(database) };
}

/** Expects that this start ends with 78 and these words, without having become ready, and without a secret in what it says. */
async function expectRefusedStart(options: SignetOptions, says: RegExp): Promise<SignetProcess> {
  const signet = await startSignet({ ...options, ready: false });
  expect((await signet.exited).code).toBe(EX_CONFIG);
  expect(signet.stderr()).toMatch(says);
  expect(signet.stderr()).toMatch(/^signet: /);
  expect(signet.stderr()).not.toMatch(/\n +at /);
  expect(signet.stdout()).not.toContain('Signet is ready');
  expect(fs.existsSync(path.join(signet.dataDir, 'bootstrap-admin-token'))).toBe(options.dataDir !== undefined && fs.existsSync(path.join(options.dataDir, 'bootstrap-admin-token')));
  await signet.stop();
  return signet;
}

describe('over a given database', () => {
  let database: TestDatabase;
  let right: string;
  let running: SignetProcess;
  beforeAll(async () => {
    database = await testDatabase();
    right = secretFile(freshKek());
    running = await startSignet({ database, env: { SIGNET_KEK_FILE: right } });
  }, LONG);
  afterAll(() => database.drop());

  /** A start beside the running replica that must fail and leave all as it was. */
  async function refusedBeside(env: Record<string, string | undefined>, says: RegExp): Promise<void> {
    const before = [await sealedIn(database), fs.readFileSync(right, 'utf8')];
    const content = env.SIGNET_KEK_FILE !== undefined && fs.existsSync(env.SIGNET_KEK_FILE) && fs.statSync(env.SIGNET_KEK_FILE).isFile() ? fs.readFileSync(env.SIGNET_KEK_FILE, 'utf8') : '';
    const signet = await expectRefusedStart({ database, env }, says);
    if (content.length > 20) expect(signet.stderr()).not.toContain(content.trim());
    expect([await sealedIn(database), fs.readFileSync(right, 'utf8')]).toEqual(before);
  }

  test('another key', () => refusedBeside({ SIGNET_KEK_FILE: secretFile(freshKek()) }, /wrong key-encryption key: .* is not the one .* Nothing was changed; give the right one/), LONG);

  test('a passphrase instead of the key', () =>
    refusedBeside({ SIGNET_KEK_FILE: undefined, SIGNET_KEK_PASSPHRASE_FILE: secretFile('correct horse battery staple') }, /wrong key-encryption key: this database is sealed under one from a file/), LONG);

  test('none at all', () => refusedBeside({ SIGNET_KEK_FILE: undefined }, /SIGNET_KEK_FILE.* must be given.*openssl rand -base64 32/s), LONG);

  test.each([
    ['that is not there', () => path.join(folder, 'nowhere'), /cannot be read/],
    ['of 31 octets', () => secretFile(randomBytes(31).toString('base64')), /holds no key-encryption key: wanted are 32 octets.*openssl rand -base64 32/],
  ])('a file %s', (_, file, says) => refusedBeside({ SIGNET_KEK_FILE: file() }, says), LONG);

  test('after all of these the running replica serves, and another one starts with the right key', async () => {
    const client = createClient({ url: running.urls.api, ca: running.rootPem, token: running.adminToken });
    const json = { name: 'still-served', purpose: 'testing', ownerEmail: 'owner@example.com' };
    expect((await client.send('POST', '/v1/agents', { json })).status).toBe(201);
    const second = await startSignet({ database, env: { SIGNET_KEK_FILE: secretFile(`${fs.readFileSync(right, 'utf8')}\n`) } });
    expect(second.rootPem).toBe(running.rootPem);
    await Promise.all([second.stop(), running.stop()]);
  }, LONG);
});

test('a wrong passphrase', async () => {
  const database = await testDatabase();
  const env = (passphrase: string) => ({ SIGNET_KEK_FILE: undefined, SIGNET_KEK_PASSPHRASE_FILE: secretFile(passphrase) });
  const right = 'Tr0ub4dor & three hundred bees';
  const first = await startSignet({ database, env: env(right) });
  await first.stop();
  const before = await sealedIn(database);
  await expectRefusedStart({ database, env: env(`${right}!`) }, /wrong key-encryption key/);
  await expectRefusedStart({ database, env: { SIGNET_KEK_FILE: secretFile(freshKek()) } }, /sealed under one from a passphrase/);
  expect(await sealedIn(database)).toEqual(before);
  const again = await startSignet({ database, env: env(`${right}\n`) });
  expect(again.rootPem).toBe(first.rootPem);
  await again.stop();
  await database.drop();
}, LONG);

describe('with the embedded database', () => {
  test('the key is lost or another one: it is not made anew; put back, all is as it was', async () => {
    const dataDir = temporaryFolder('signet-data-');
    const file = path.join(dataDir, 'kek');
    const first = await startSignet({ dataDir });
    const token = first.adminToken;
    await first.stop();
    const kek = fs.readFileSync(file);

    fs.rmSync(file);
    await expectRefusedStart({ dataDir }, /key-encryption key is missing: .*kek is not there\. Nothing was changed; put it back/);
    expect(fs.existsSync(file)).toBe(false);

    const other = freshKek();
    fs.writeFileSync(file, other, { mode: 0o600 });
    await expectRefusedStart({ dataDir }, /wrong key-encryption key/);
    expect(fs.readFileSync(file, 'utf8')).toBe(other);

    fs.writeFileSync(file, kek, { mode: 0o600 });
    const again = await startSignet({ dataDir });
    expect([again.rootPem, again.adminToken]).toEqual([first.rootPem, token]);
    await again.stop();
    fs.rmSync(dataDir, { recursive: true, force: true });
  }, LONG);

  test('in production none is made', async () => {
    const signet = await expectRefusedStart({ env: { NODE_ENV: 'production' } }, /SIGNET_KEK_FILE|key-encryption key/);
    expect(fs.existsSync(path.join(signet.dataDir, 'kek'))).toBe(false);
  }, LONG);
});
