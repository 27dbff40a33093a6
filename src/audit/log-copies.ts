import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { AuditLogRecord, CheckpointRecord } from '../db/audit-logs.ts';
import { openCheckpoint, type VerifiedCheckpoint } from '../verify/log/checkpoint.ts';
import { parseVerifierKey } from '../verify/log/note.ts';

/**
 * Copies of checkpoints in a folder outside the database, one folder a log: when the database is set back or edited, they are not. A checkpoint is copied before it is
 * shown: what anybody was shown is here. Kept are the newest one and the last of each day.
 */
const FILE = /^([1-9]\d{0,15})\.(\d{4}-\d\d-\d\d)\.checkpoint$/;
const LOG_FOLDER = /^[0-9A-Z]{26}$/;
const DRAFT = /\.[0-9A-Z]{26}\.new$/;
/** Days of which the last checkpoint is kept; later ones push out earlier ones. */
const DAYS_KEPT = 1_000;
/** A draft that nobody has written to for so long belongs to a process that was killed. Milliseconds. */
const ABANDONED_MS = 3_600_000;
/** A note of ours with all its cosignatures is smaller. Octets. */
const COPY_MAX_OCTETS = 65_536;

/** Something in the folder is not what the log has written there. */
export class ForeignCopy extends Error {}

/** Ids of the logs that have copies. */
export async function copiedLogs(dir: string | undefined): Promise<string[]> {
  if (dir === undefined) return [];
  return (await listFolder(dir)).filter((name) => LOG_FOLDER.test(name));
}

/** The newest copy of a log; undefined when there is none. @throws ForeignCopy when it was not signed by the key of the log, or is not whole */
export async function readNewestCopy(dir: string | undefined, log: Pick<AuditLogRecord, 'id' | 'vkey'>): Promise<VerifiedCheckpoint | undefined> {
  const [newest] = dir === undefined ? [] : await copiesOf(dir, log.id);
  if (dir === undefined || newest === undefined) return undefined;
  const file = path.join(dir, log.id, newest.name);
  try {
    if ((await stat(file)).size > COPY_MAX_OCTETS) throw new Error('it is too large');
    const checkpoint = openCheckpoint(await readFile(file), { logKey: parseVerifierKey(log.vkey) });
    if (checkpoint.size !== newest.size) throw new Error(`it is of size ${checkpoint.size}`);
    return checkpoint;
  } catch (error) {
    // Another replica that shares the folder may have written a newer one, and taken this one away.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return readNewestCopy(dir, log);
    throw new ForeignCopy(`the copy ${file} is no checkpoint of this log: ${(error as Error).message}`);
  }
}

/** Writes a copy, durable when the promise resolves. `writer`: a ULID of whoever writes, for processes that share the folder. The size is in the name, so that of two that write at once neither can put an older one over a newer one. */
export async function writeCopy(dir: string, writer: string, { logId, size, note, at }: Pick<CheckpointRecord, 'logId' | 'size' | 'note' | 'at'>): Promise<void> {
  const folder = path.join(dir, logId);
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `${size}.${at.toISOString().slice(0, 10)}.checkpoint`);
  const draft = `${file}.${writer}.new`;
  try {
    const handle = await open(draft, 'w', 0o644);
    try {
      await handle.writeFile(note);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
    await syncFolder(folder);
  } catch (error) {
    // On a full disk each one would take what is left.
    await rm(draft, { force: true });
    throw error;
  }
}

/** Takes away what is neither the newest copy nor the last of its day, and drafts of processes that were killed. */
export async function pruneCopies(dir: string, logId: string, nowMs: number): Promise<void> {
  const copies = await copiesOf(dir, logId);
  const days = new Set<string>();
  for (const [i, { name, day }] of copies.entries()) {
    const isKept = i === 0 || (!days.has(day) && days.size < DAYS_KEPT);
    days.add(day);
    if (!isKept) await rm(path.join(dir, logId, name), { force: true });
  }
  for (const name of (await listFolder(path.join(dir, logId))).filter((one) => DRAFT.test(one))) {
    const draft = path.join(dir, logId, name);
    const found = await stat(draft).catch(() => undefined);
    if (found && found.mtimeMs < nowMs - ABANDONED_MS) await rm(draft, { force: true });
  }
}

/** Newest first. */
async function copiesOf(dir: string, logId: string): Promise<{ name: string; size: number; day: string }[]> {
  const found = (await listFolder(path.join(dir, logId))).flatMap((name) => {
    const [, size, day] = FILE.exec(name) ?? [];
    return size === undefined || day === undefined ? [] : [{ name, size: Number(size), day }];
  });
  return found.toSorted((a, b) => b.size - a.size);
}

async function listFolder(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** A name is durable when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
