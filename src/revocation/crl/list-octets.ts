import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Logger } from '../../core/log.ts';

/** The octets of a list as this process keeps them. */
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

/** Takes octets as they are made. Call `finish`, or `abandon`. */
export interface OctetsWriter {
  push(octets: Buffer): Promise<void>;
  finish(): ListOctets;
  abandon(): void;
}

/**
 * Keeps a short list in memory, a long one in a file without a name: one of a million entries costs the disk 50 MB and this process nothing. Where no file can
 * be written, or the disk is full, it stays in memory.
 */
export function createOctetsWriter(log: Pick<Logger, 'warn'>): OctetsWriter {
  let kept: Buffer[] = [];
  let length = 0;
  let spool: FileHandle | 'no place' | undefined;
  /** Octets that are in the file; what it took of a part beyond them does not count. */
  let spooled = 0;

  async function moveToFile(file: FileHandle): Promise<void> {
    for (let next = kept[0]; next; next = kept[0]) {
      await file.writeFile(next);
      spooled += next.length;
      kept.shift();
    }
  }

  async function moveToMemory(file: FileHandle): Promise<void> {
    const before: Buffer[] = [];
    for await (const octets of readFile(file, spooled)) before.push(octets);
    kept = [...before, ...kept];
    spool = 'no place';
    await file.close().catch(() => undefined);
  }

  return {
    async push(octets) {
      kept.push(octets);
      length += octets.length;
      if (length <= IN_MEMORY_BYTES || spool === 'no place') return;
      spool ??= await openSpool(log);
      if (spool === 'no place') return;
      try {
        await moveToFile(spool);
      } catch (error) {
        // A full disk must not keep a list from being published, or served.
        warnOnce(log, error);
        await moveToMemory(spool);
      }
    },
    finish: () => (typeof spool === 'object' ? inFile(spool, length) : inMemory(kept, length)),
    abandon() {
      if (typeof spool === 'object') void spool.close().catch(() => undefined);
    },
  };
}

/** Keeps what is there already, or comes from elsewhere. */
export async function keepOctets(parts: AsyncIterable<Buffer>, log: Pick<Logger, 'warn'>): Promise<ListOctets> {
  const writer = createOctetsWriter(log);
  try {
    for await (const part of parts) await writer.push(part);
  } catch (error) {
    writer.abandon();
    throw error;
  }
  return writer.finish();
}

/** Octets with others before and behind them, which are few. They are released together. */
export function frameOctets(before: Buffer, octets: ListOctets, behind: Buffer): ListOctets {
  const length = before.length + octets.length + behind.length;
  if (octets.bytes) return { ...inMemory([before, octets.bytes, behind], length), release: () => octets.release() };
  return {
    length,
    bytes: undefined,
    async *read() {
      yield before;
      yield* octets.read();
      yield behind;
    },
    release: () => octets.release(),
  };
}

function inMemory(parts: readonly Buffer[], length: number): ListOctets {
  const [first] = parts;
  const bytes = parts.length === 1 ? first : length <= 2 * IN_MEMORY_BYTES ? Buffer.concat(parts) : undefined;
  return {
    length,
    bytes,
    async *read() {
      for (const part of bytes ? [bytes] : parts) yield await Promise.resolve(part);
    },
    release: () => undefined,
  };
}

let warned = false;

/** A new file, open and without a name. */
async function openSpool(log: Pick<Logger, 'warn'>): Promise<FileHandle | 'no place'> {
  try {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'signet-list-'));
    const file = await open(path.join(folder, 'list'), 'wx+', 0o600);
    await rm(folder, { recursive: true });
    return file;
  } catch (error) {
    warnOnce(log, error);
    return 'no place';
  }
}

function warnOnce(log: Pick<Logger, 'warn'>, error: unknown): void {
  if (!warned) log.warn({ err: error, dir: os.tmpdir() }, 'large lists stay in memory: the folder for temporary files cannot be written');
  warned = true;
}

/** The first `length` octets of a file. */
async function* readFile(file: FileHandle, length: number): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < length; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(Math.min(READ_BYTES, length - at)), 0, undefined, at);
    if (bytesRead === 0) throw new Error('a list is shorter than it was');
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function inFile(file: FileHandle, length: number): ListOctets {
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
        yield* readFile(file, length);
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
