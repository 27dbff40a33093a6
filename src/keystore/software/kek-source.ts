import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../../config/schema.ts';
import { StartupError } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import { KEK_BYTES } from './seal.ts';

/** A key-encryption key that is there. */
export type GivenKek = { kind: 'file'; key: Buffer; path: string } | { kind: 'passphrase'; passphrase: string; path: string };

/** Where the key-encryption key comes from. `make`: it may be made at `path`, if the database does not know one yet. */
export type KekSource = GivenKek | { kind: 'make'; path: string };

/** No key or passphrase is longer; a wrong path (a disk image) is noticed early. */
const MAX_FILE_BYTES = 4_096;
const MIN_PASSPHRASE_CHARACTERS = 16;
/** Random octets repeat; 32 of them hold fewer than 16 different ones with a probability below 2^-60. */
const MIN_DISTINCT_OCTETS = 16;

const DRAFT_NAME_BYTES = 8;

/** Name of the key-encryption key in the data directory, where Signet made it itself. */
const KEK_FILE_NAME = 'kek';

/**
 * Reads the key-encryption key or its passphrase. Writes nothing. `embedded`: the database is Signet's own; only then, and not in
 * production, may a key be made (by `makeKek`).
 * @throws StartupError (78) when it is not given where it must be, cannot be read, or is not one
 */
export function resolveKek(config: Pick<Config, 'kekFile' | 'kekPassphraseFile' | 'dataDir' | 'nodeEnv'>, embedded: boolean): KekSource {
  if (config.kekFile !== undefined) return { kind: 'file', key: readKekFile(config.kekFile), path: config.kekFile };
  if (config.kekPassphraseFile !== undefined) {
    return { kind: 'passphrase', passphrase: readPassphrase(config.kekPassphraseFile), path: config.kekPassphraseFile };
  }
  if (!embedded || config.nodeEnv === 'production') {
    throw new StartupError('no key-encryption key: with DATABASE_URL or NODE_ENV=production give SIGNET_KEK_FILE or SIGNET_KEK_PASSPHRASE_FILE, the same to every replica');
  }
  const path = join(config.dataDir, KEK_FILE_NAME);
  return existsSync(path) ? { kind: 'file', key: readKekFile(path), path } : { kind: 'make', path };
}

/** Whether others than its owner may read a file, which deserves a warning where it holds a key. */
export const isReadableByOthers = (path: string): boolean => (statSync(path).mode & 0o077) !== 0;

/**
 * Makes a key-encryption key at `path` (0600), durable before it is used. An existing file is never overwritten.
 * @throws StartupError (73) when it cannot be written
 */
export function makeKek(path: string, random: Random): Buffer {
  const key = Buffer.from(random.bytes(KEK_BYTES));
  // Not by the process id: in a container that is always the same, and what a killed start left would be in the way of the next.
  const draft = `${path}.${Buffer.from(random.bytes(DRAFT_NAME_BYTES)).toString('hex')}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(draft, 'wx', 0o600);
    try {
      writeSync(file, `${key.toString('base64')}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    try {
      // A link, unlike a rename, fails where a file stands already.
      linkSync(draft, path);
    } finally {
      unlinkSync(draft);
    }
    const directory = openSync(dirname(path), 'r');
    fsyncSync(directory);
    closeSync(directory);
  } catch (error) {
    throw new StartupError(`the key-encryption key could not be written to ${path}: ${(error as Error).message}`, 73, error);
  }
  return key;
}

function readKekFile(path: string): Buffer {
  const text = readSecretFile(path, 'SIGNET_KEK_FILE');
  const key = decodeKek(text);
  if (key === undefined) throw new StartupError(`${path} holds no key-encryption key: wanted are 32 octets as base64 or hex (openssl rand -base64 32)`);
  if (new Set(key).size < MIN_DISTINCT_OCTETS) throw new StartupError(`${path} holds no random key: make one with openssl rand -base64 32`);
  return key;
}

function decodeKek(text: string): Buffer | undefined {
  if (/^[0-9A-Fa-f]{64}$/.test(text)) return Buffer.from(text, 'hex');
  if (!/^[A-Za-z0-9+/]{43}=?$/.test(text)) return undefined;
  const key = Buffer.from(text, 'base64');
  return key.length === KEK_BYTES ? key : undefined;
}

function readPassphrase(path: string): string {
  // NFC: the same words typed on two machines are the same key.
  const passphrase = readSecretFile(path, 'SIGNET_KEK_PASSPHRASE_FILE').normalize('NFC');
  if ([...passphrase].length < MIN_PASSPHRASE_CHARACTERS) throw new StartupError(`the passphrase in ${path} is shorter than ${MIN_PASSPHRASE_CHARACTERS} characters`);
  return passphrase;
}

/** The first line of a small text file, without the line end. */
function readSecretFile(path: string, name: string): string {
  let content: Buffer;
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) throw new Error(`larger than ${MAX_FILE_BYTES} octets`);
    content = readFileSync(path);
  } catch (error) {
    throw new StartupError(`${name}: ${path} cannot be read: ${(error as Error).message}`, 78, error);
  }
  return content.toString('utf8').replace(/\r?\n$/, '');
}
