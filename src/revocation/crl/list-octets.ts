import { randomUUID } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Logger } from '../../core/log.ts';

/** The octets of a list as this process keeps them to serve them. */
export interface ListOctets {
  readonly length: number;
  /** All of them, where they are in memory. */
  readonly bytes: Buffer | undefined;
  /** From the first to the last; many may read at once. @throws Error when it begins long after `release` */
  read(): AsyncIterable<Buffer>;
  /** Nobody is given them from now on; who reads them reads to the end. */
  release(): void;
}

/** Longer lists lie in a file: 160,000 entries. */
const IN_MEMORY_BYTES = 8 * 1_048_576;
/** Read from the file at once. */
const READ_BYTES = 262_144;
/** For who was given the octets and is about to read. Milliseconds. */
const CLOSE_AFTER_MS = 5_000;

/**
 * Keeps a list: a short one in memory, a long one in a file without a name, so that a list of a million entries costs the disk 50 MB and this process
 * nothing. Where no file can be written it stays in memory.
 */
export async function keepOctets(parts: Iterable<Buffer> | AsyncIterable<Buffer>, length: number, log?: Pick<Logger, 'warn'>): Promise<ListOctets> {
  if (length > IN_MEMORY_BYTES) {
    const file = await openSpool(log);
    if (file) return spool(file, parts, length);
  }
  const kept: Buffer[] = [];
  for await (const part of parts) kept.push(part);
  return inMemory(kept, length);
}

function inMemory(parts: readonly Buffer[], length: number): ListOctets {
  const [first] = parts;
  const bytes = parts.length === 1 ? first : length <= IN_MEMORY_BYTES ? Buffer.concat(parts) : undefined;
  return {
    length,
    bytes,
    async *read() {
      yield* await Promise.resolve(bytes ? [bytes] : parts);
    },
    release: () => undefined,
  };
}

let warned = false;

/** A new file, open and without a name; undefined where there is no place for one. */
async function openSpool(log: Pick<Logger, 'warn'> | undefined): Promise<FileHandle | undefined> {
  const name = path.join(os.tmpdir(), `signet-list-${randomUUID()}`);
  try {
    const file = await open(name, 'wx+', 0o600);
    await rm(name);
    return file;
  } catch (error) {
    if (!warned) log?.warn({ err: error, dir: os.tmpdir() }, 'a large list stays in memory: the folder for temporary files cannot be written');
    warned = true;
    return undefined;
  }
}

async function spool(file: FileHandle, parts: Iterable<Buffer> | AsyncIterable<Buffer>, length: number): Promise<ListOctets> {
  try {
    for await (const part of parts) await file.writeFile(part);
  } catch (error) {
    await file.close();
    throw error;
  }
  let readers = 0;
  let released = false;
  const closeIfUnused = (): void => {
    if (released && readers === 0) void file.close().catch(() => undefined);
  };
  return {
    length,
    bytes: undefined,
    async *read() {
      readers++;
      try {
        for (let at = 0; at < length; ) {
          const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(Math.min(READ_BYTES, length - at)), 0, undefined, at);
          if (bytesRead === 0) throw new Error('a list is shorter than it was');
          at += bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
      } finally {
        readers--;
        closeIfUnused();
      }
    },
    release() {
      setTimeout(() => {
        released = true;
        closeIfUnused();
      }, CLOSE_AFTER_MS).unref();
    },
  };
}
