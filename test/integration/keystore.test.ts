import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '../../src/core/clock.ts';
import { createLogger } from '../../src/core/log.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { openKeyStore, resolveKek, type KekSource } from '../../src/keystore/index.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { exportingContract, keyStoreContract } from '../unit/keystore/contract.ts';

let database: TestDatabase;
const folder = mkdtempSync(join(tmpdir(), 'signet-keystore-'));
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true });
});

function source(name: string, firstOctet: number): KekSource {
  const kekFile = join(folder, name);
  writeFileSync(kekFile, Buffer.from(Array.from({ length: 32 }, (_, i) => firstOctet + i)).toString('base64'), { mode: 0o600 });
  return resolveKek({ kekFile, dataDir: folder, nodeEnv: 'production' }, false);
}

const open = (kek: KekSource) => openKeyStore({ db: database.db, random: createSystemRandom(), clock: systemClock, log: createLogger('silent') }, kek);

test('replicas that start at the same instant on an empty database agree on one key-encryption key', async () => {
  const replicas = await Promise.all(Array.from({ length: 8 }, () => open(source('right', 0))));
  const rows = await database.db.keyEncryptionKey.findMany();
  expect(rows).toHaveLength(1);
  const { id } = await replicas[0]?.keyStore.generate('ecdsa-p256', 'issuing') ?? { id: '' };
  for (const { keyStore } of replicas) await expect(keyStore.open(id)).resolves.toMatchObject({ id });
});

test('a wrong key-encryption key is a clear fault and changes no row', async () => {
  await (await open(source('right', 0))).keyStore.generate('ed25519', 'root');
  const rows = async () => [await database.db.keyEncryptionKey.findMany(), await database.db.keystoreKey.findMany({ orderBy: { id: 'asc' } })];
  const before = await rows();
  await expect(open(source('wrong', 100))).rejects.toMatchObject({ name: 'StartupError', exitCode: 78, message: expect.stringContaining('wrong key-encryption key') as unknown });
  expect(await rows()).toEqual(before);
});

const make = async () => ({ keyStore: (await open(source('right', 0))).keyStore, reopen: async () => (await open(source('right', 0))).keyStore });
keyStoreContract('software over Postgres', make, ['rsa-3072', 'rsa-4096']);
exportingContract('software over Postgres', make);
