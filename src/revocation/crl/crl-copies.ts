import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from '../../core/log.ts';
import { COMPLETE, type CrlName } from '../../db/crls.ts';
import type { ListOctets } from './list-octets.ts';

/** What is copied of a list. */
export interface CopiedCrl {
  number: bigint;
  content: Pick<ListOctets, 'read'>;
}

/**
 * Copies of the newest complete lists in a folder, outside the database: when that is set back, they tell what was revoked. Nobody waits for a copy,
 * and one that cannot be written is logged and tried again with the next list.
 */
export interface CrlCopies {
  put(name: CrlName, list: CopiedCrl): void;
  /** Resolves when what was put is written. */
  close(): Promise<void>;
}

/** Nothing is copied. */
export const noCrlCopies: CrlCopies = { put: () => undefined, close: () => Promise.resolve() };

const FILE = /^([0-9A-Z]{26})\.([0-9]{1,20})\.crl$/;
const DRAFT = /^[0-9A-Z]{26}\.[0-9]{1,20}\.crl\.[0-9]+\.new$/;

/** Issuer and number of a copy by its name; undefined for other files. The number inside the list is what counts. */
export function parseCopyName(file: string): { issuerId: string; number: bigint } | undefined {
  const [, issuerId, number] = FILE.exec(file) ?? [];
  return issuerId === undefined || number === undefined ? undefined : { issuerId, number: BigInt(number) };
}

export function createCrlCopies(dir: string | undefined, log: Pick<Logger, 'warn' | 'info'>): CrlCopies {
  if (dir === undefined) return noCrlCopies;
  /** The newest list of each issuer that is yet to be written; a newer one takes its place. */
  const waiting = new Map<string, CopiedCrl>();
  const written = new Map<string, bigint>();
  let running: Promise<void> | undefined;
  let failed = false;

  async function writeAll(): Promise<void> {
    for (let next = waiting.entries().next(); !next.done; next = waiting.entries().next()) {
      const [issuerId, list] = next.value;
      waiting.delete(issuerId);
      try {
        await writeCopy(dir as string, issuerId, list);
        written.set(issuerId, list.number);
        if (failed) log.info({ dir }, 'copies of lists are written again');
        failed = false;
      } catch (error) {
        // It may have been released for the next one.
        if (waiting.has(issuerId)) continue;
        if (!failed) log.warn({ err: error, dir }, 'a copy of a list could not be written: after a restore the newest revocations may be missing');
        failed = true;
      }
    }
  }

  return {
    put({ issuerId, shard }, list) {
      if (shard !== COMPLETE || list.number <= (written.get(issuerId) ?? 0n) || list.number <= (waiting.get(issuerId)?.number ?? 0n)) return;
      waiting.set(issuerId, list);
      running ??= writeAll().finally(() => {
        running = undefined;
      });
    },
    async close() {
      await running;
    },
  };
}

/** Whole or not there. The number is in the name, so that of two processes that write at once neither can put an older list over a newer one. */
async function writeCopy(dir: string, issuerId: string, { number, content }: CopiedCrl): Promise<void> {
  await mkdir(dir, { recursive: true });
  const file = path.join(dir, `${issuerId}.${number}.crl`);
  const draft = `${file}.${process.pid}.new`;
  try {
    const handle = await open(draft, 'w', 0o644);
    try {
      for await (const octets of content.read()) await handle.writeFile(octets);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    // On a full disk each one would take what is left.
    await rm(draft, { force: true });
    throw error;
  }
  const { mtimeMs } = await stat(file);
  for (const other of await readdir(dir)) {
    const parsed = parseCopyName(other);
    if (parsed?.issuerId === issuerId && parsed.number < number) await rm(path.join(dir, other), { force: true });
    if (DRAFT.test(other)) await removeOld(path.join(dir, other), mtimeMs - ABANDONED_MS);
  }
}

/** A draft that nobody has written to for so long belongs to a process that was killed. Milliseconds. */
const ABANDONED_MS = 3_600_000;

/** By the clock of the file system. */
async function removeOld(draft: string, writtenBeforeMs: number): Promise<void> {
  // Its writer may finish it at this moment.
  const found = await stat(draft).catch(() => undefined);
  if (found && found.mtimeMs < writtenBeforeMs) await rm(draft, { force: true });
}
