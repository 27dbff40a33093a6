/**
 * The backup file, version 1: a line that names the format; the header, one line of JSON; for each table a line of JSON, then COPY rows in frames (length in
 * four octets, big-endian, at most 1 MiB; a frame of length 0 ends the table); a last line with the SHA-256 of everything before it. docs/backup.md describes it.
 */
import { createHash, type Hash } from 'node:crypto';
import { lstat, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { draftName } from '../cli/output.ts';
import type { DumpedTable, TableRows } from '../db/dump.ts';
import { cannotCreate, Refused } from './local-command.ts';

const MAGIC = 'SIGNET-BACKUP 1\n';
const FRAME_MAX = 1_048_576;
const LINE_MAX = 4_194_304;
const READ_BYTES = 1_048_576;
/** `sha256 ` and 64 hex digits and a line feed. */
const SEAL_BYTES = 72;

/** What is shown of a file that anybody may have made: printable, without blanks, short. */
const word = z.string().regex(/^[\x21-\x7e]{1,255}$/);
const name = z.string().regex(/^[A-Za-z0-9_]{1,63}$/);
const table = z.object({ name, columns: z.array(name).min(1).max(1_600) });
/** Sixty years of daily partitions: a restore makes a table for each. */
const PARTITIONS_MAX = 22_000;
/** DESIGN invariant 3: three octets of a serial. */
const BUCKET_MAX = 0xffffff;
const LIST_MAX = 10_000;
const count = z.string().regex(/^\d{1,19}$/);

/** What a backup says of itself. */
export const headerSchema = z.object({
  /** Version of the Signet that made it. */
  signet: word,
  createdAt: z.iso.datetime(),
  postgres: z.int(),
  migrations: z.array(z.object({ name: word, checksum: word })).min(1).max(LIST_MAX),
  cluster: z.object({ id: word, epoch: z.int().min(1), trustDomain: word }),
  feedN: count,
  auditN: count,
  lastAuditAt: z.iso.datetime().nullable(),
  keks: z.array(word).max(LIST_MAX),
  partitions: z.array(z.int().min(0).max(BUCKET_MAX)).max(PARTITIONS_MAX),
  tables: z.array(table).max(LIST_MAX),
});
export type BackupHeader = z.output<typeof headerSchema>;

export interface WrittenBackup {
  bytes: number;
  sha256: string;
}

/** Writes a backup beside its place (0600), then renames it: whole and durable, or not there. An existing file is left as it is. @throws StartupError (73), Refused */
export async function writeBackup(file: string, header: BackupHeader, rows: (table: DumpedTable) => AsyncIterable<Buffer>): Promise<WrittenBackup> {
  await refuseExisting(file);
  const draft = draftName(file);
  const handle = await open(draft, 'wx', 0o600).catch((error: unknown) => {
    throw cannotCreate(file, error);
  });
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    const write = async (part: Buffer | string): Promise<void> => {
      const octets = typeof part === 'string' ? Buffer.from(part) : part;
      hash.update(octets);
      bytes += octets.length;
      await handle.writeFile(octets).catch((error: unknown) => {
        throw cannotCreate(file, error);
      });
    };
    await write(`${MAGIC}${JSON.stringify(header)}\n`);
    for (const one of header.tables) {
      await write(`${JSON.stringify(one)}\n`);
      for await (const chunk of rows(one)) {
        for (let at = 0; at < chunk.length; at += FRAME_MAX) await write(frame(chunk.subarray(at, at + FRAME_MAX)));
      }
      await write(frame(Buffer.alloc(0)));
    }
    const sha256 = hash.digest('hex');
    await handle.writeFile(`sha256 ${sha256}\n`);
    await handle.sync();
    await handle.close();
    await refuseExisting(file);
    await rename(draft, file);
    await syncFolder(path.dirname(file));
    return { bytes: bytes + SEAL_BYTES, sha256 };
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(draft, { force: true });
    throw error;
  }
}

function frame(content: Buffer): Buffer {
  const head = Buffer.allocUnsafe(4);
  head.writeUInt32BE(content.length);
  return Buffer.concat([head, content]);
}

async function refuseExisting(file: string): Promise<void> {
  // Looked at, never opened: it may be a pipe nobody writes to.
  const there = await lstat(file).then(() => true, (error: NodeJS.ErrnoException) => error.code !== 'ENOENT');
  if (there) throw new Refused(`${file} is already there`, 'name another file, or take that one away first');
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A backup that was read to its end once and is what it was when it was written. */
export interface OpenBackup {
  header: BackupHeader;
  bytes: number;
  sha256: string;
  /** Its tables, in order, each to be read to its end. @throws Refused when the file has changed meanwhile */
  tables(): AsyncGenerator<TableRows, void, undefined>;
  close(): Promise<void>;
}

const damaged = (file: string, why: string): Refused => new Refused(`${file} is not a whole backup: ${why}`, 'take another copy of it, or an older backup; nothing was changed');

/** Opens a backup after it has read it once, whole, and compared its SHA-256. @throws Refused when it is not one, or damaged */
export async function openBackup(file: string): Promise<OpenBackup> {
  const unreadable = (why: string): Refused => new Refused(`${file} cannot be read: ${why}`, 'check its name, and that you may read it');
  const failed = (error: unknown): never => {
    throw unreadable((error as Error).message);
  };
  if (!(await stat(file).catch(failed)).isFile()) throw unreadable('it is no file');
  const handle = await open(file, 'r').catch(failed);
  try {
    const { size } = await handle.stat();
    if (size < MAGIC.length + SEAL_BYTES) throw damaged(file, 'it is too short');
    const sha256 = await checkSeal(handle, file, size - SEAL_BYTES);
    const reader = createReader(handle, file, size - SEAL_BYTES);
    const header = await readHeader(reader, file);
    const start = reader.position();
    return {
      header, bytes: size, sha256,
      tables: () => readTables(handle, { file, start, end: size - SEAL_BYTES, sha256, header }),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function checkSeal(handle: FileHandle, file: string, end: number): Promise<string> {
  const first = Buffer.alloc(MAGIC.length);
  await handle.read(first, 0, first.length, 0);
  if (first.toString('latin1') !== MAGIC) throw damaged(file, first.toString('latin1').startsWith('SIGNET-BACKUP ') ? 'it has a format that this Signet does not know' : 'it does not begin like one');
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(READ_BYTES);
  for (let at = 0; at < end; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0) throw damaged(file, 'it ends too soon');
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  const seal = Buffer.alloc(SEAL_BYTES);
  await handle.read(seal, 0, SEAL_BYTES, end);
  const sha256 = hash.digest('hex');
  if (seal.toString('latin1') !== `sha256 ${sha256}\n`) throw damaged(file, 'its SHA-256 is not the one at its end (cut off, or changed)');
  return sha256;
}

interface Reader {
  /** Exactly `length` octets. @throws Refused when there are fewer */
  take(length: number): Promise<Buffer>;
  /** Up to a line feed, without it. */
  line(): Promise<string>;
  position(): number;
}

/** Reads [start, end) of a file in order; what is taken is hashed. */
function createReader(handle: FileHandle, file: string, end: number, start = 0, hash?: Hash): Reader {
  let held = Buffer.alloc(0);
  let at = start;
  async function more(): Promise<void> {
    const buffer = Buffer.alloc(Math.min(READ_BYTES, end - at - held.length));
    const { bytesRead } = buffer.length === 0 ? { bytesRead: 0 } : await handle.read(buffer, 0, buffer.length, at + held.length);
    if (bytesRead === 0) throw damaged(file, 'it ends too soon');
    held = Buffer.concat([held, buffer.subarray(0, bytesRead)]);
  }
  async function take(length: number): Promise<Buffer> {
    while (held.length < length) await more();
    const taken = held.subarray(0, length);
    held = held.subarray(length);
    at += length;
    hash?.update(taken);
    return taken;
  }
  return {
    take,
    async line() {
      let stop: number;
      while ((stop = held.indexOf(0x0a)) < 0) {
        if (held.length > LINE_MAX) throw damaged(file, 'a line is too long');
        await more();
      }
      return (await take(stop + 1)).toString('utf8', 0, stop);
    },
    position: () => at,
  };
}

async function readHeader(reader: Reader, file: string): Promise<BackupHeader> {
  await reader.take(MAGIC.length);
  const parsed = headerSchema.safeParse(parseJson(await reader.line()));
  if (!parsed.success) throw damaged(file, 'its header cannot be read');
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface Body {
  file: string;
  start: number;
  end: number;
  sha256: string;
  header: BackupHeader;
}

async function* readTables(handle: FileHandle, { file, start, end, sha256, header }: Body): AsyncGenerator<TableRows, void, undefined> {
  const hash = createHash('sha256').update(await createReader(handle, file, end).take(start));
  const reader = createReader(handle, file, end, start, hash);
  for (const expected of header.tables) {
    const said = table.safeParse(parseJson(await reader.line()));
    if (!said.success || said.data.name !== expected.name || said.data.columns.join() !== expected.columns.join()) throw damaged(file, `table ${expected.name} is not where it should be`);
    let atEnd = false;
    const rows = (async function* () {
      for (;;) {
        const length = (await reader.take(4)).readUInt32BE(0);
        if (length > FRAME_MAX) throw damaged(file, 'a part of it is too long');
        if (length === 0) break;
        yield await reader.take(length);
      }
      atEnd = true;
    })();
    yield { table: expected, rows };
    if (!atEnd) throw new Error(`table ${expected.name} was not read to its end`);
  }
  if (reader.position() !== end || hash.digest('hex') !== sha256) throw damaged(file, 'it has changed while it was read');
}
