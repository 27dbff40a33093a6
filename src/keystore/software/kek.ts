import { scrypt } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { StartupError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { ulid, type Random } from '../../core/random.ts';
import type { Db } from '../../db/client.ts';
import { establishKek, findKek, type KekRow } from '../../db/keystore.ts';
import { isReadableByOthers, makeKek, type GivenKek, type KekSource } from './kek-source.ts';
import { KEK_BYTES, seal, unseal } from './seal.ts';

/** The key-encryption key in memory. */
export interface Kek {
  /** Names it in the database. */
  id: string;
  key: Buffer;
}

export interface KekDeps {
  db: Db;
  random: Random;
  clock: Clock;
  log: Logger;
}

/** RFC 7914 §2: N 2^17, r 8, p 1 costs 128 MiB and a few hundred milliseconds, once a start. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
const SCRYPT_SALT_BYTES = 32;
const CHECK_TEXT = Buffer.from('signet key-encryption key');

const checkContext = (kekId: string) => ['kek-check', kekId];

/** Whether `kek` is the one the row was made with. */
export function opensCheckValue(kek: Kek, row: KekRow): boolean {
  return row.id === kek.id && unseal(kek.key, checkContext(row.id), row.checkValue)?.equals(CHECK_TEXT) === true;
}

/**
 * The key-encryption key of this database. On the first start it is made if it may be, and noted there (its salt and a check value,
 * never itself).
 * @throws StartupError (78) when it is not the one the database is sealed under; nothing is written then
 */
export async function openKek(deps: KekDeps, source: KekSource): Promise<Kek> {
  const known = await findKek(deps.db);
  if (known === undefined) {
    const given = source.kind === 'make' ? make(deps, source.path) : source;
    return unlock(deps, given, await note(deps, given));
  }
  if (source.kind === 'make') {
    throw new StartupError(`the key-encryption key is missing: the private keys in this database are sealed under one, but ${source.path} is not there. Nothing was changed; put it back.`);
  }
  return unlock(deps, source, known);
}

function make(deps: KekDeps, path: string): GivenKek {
  const key = makeKek(path, deps.random);
  deps.log.info({ path }, 'made a key-encryption key: without this file the private keys in the database are lost, so keep a copy of it');
  return { kind: 'file', key, path };
}

/** Notes in the database which key rules, unless another replica just did; returns what is noted. */
async function note(deps: KekDeps, source: GivenKek): Promise<KekRow> {
  const now = deps.clock.now();
  const id = ulid(now, deps.random);
  const scryptSalt = source.kind === 'passphrase' ? Buffer.from(deps.random.bytes(SCRYPT_SALT_BYTES)) : undefined;
  const checkValue = seal(await keyOf(source, scryptSalt), checkContext(id), CHECK_TEXT, deps.random);
  return establishKek(deps.db, { id, source: source.kind, scryptSalt, checkValue, createdAt: now });
}

async function unlock(deps: KekDeps, source: GivenKek, row: KekRow): Promise<Kek> {
  if (isReadableByOthers(source.path)) deps.log.warn({ path: source.path }, 'other users can read the key-encryption key: chmod 600 it');
  if (source.kind !== row.source) {
    throw new StartupError(`wrong key-encryption key: this database is sealed under one from a ${row.source}, but ${source.path} was given as a ${source.kind}. Nothing was changed; give the right one.`);
  }
  const kek = { id: row.id, key: await keyOf(source, row.scryptSalt) };
  if (!opensCheckValue(kek, row)) {
    throw new StartupError(`wrong key-encryption key: ${source.path} is not the one the private keys in this database are sealed under. Nothing was changed; give the right one.`);
  }
  return kek;
}

function keyOf(source: GivenKek, scryptSalt: Buffer | undefined): Promise<Buffer> {
  if (source.kind === 'file') return Promise.resolve(source.key);
  if (scryptSalt === undefined) throw new StartupError('the database holds no salt for the passphrase of the key-encryption key', 70);
  return new Promise((resolve, reject) => {
    scrypt(source.passphrase, scryptSalt, KEK_BYTES, SCRYPT, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
