import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../cli/output.ts';
import type { Logger } from '../core/log.ts';
import type { Db } from '../db/client.ts';
import { readStanding, type Standing } from '../db/worlds.ts';

/** What this machine last saw of the database, beside it: when the database is set back, this file is not. Nothing in it is secret. */
const WORLD_FILE = 'world.json';
const WRITE_EVERY_MS = 60_000;

const worldSchema = z.object({
  clusterId: z.string(),
  epoch: z.int(),
  feedN: z.string().regex(/^\d{1,19}$/).transform(BigInt),
  auditN: z.string().regex(/^\d{1,19}$/).transform(BigInt),
  auditId: z.string().nullable(),
});

/** What a standing is compared by. */
export type SeenWorld = z.output<typeof worldSchema>;

/** Undefined when there is no such file, or it is not whole. */
export function readWorldFile(dataDir: string, log: Pick<Logger, 'warn'>): SeenWorld | undefined {
  const file = path.join(dataDir, WORLD_FILE);
  try {
    return worldSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') log.warn({ err: error, file }, 'what was last seen of the database cannot be read');
    return undefined;
  }
}

export function writeWorldFile(dataDir: string, { clusterId, epoch, feedN, auditN, auditId }: Standing): void {
  writeFileAtomic(path.join(dataDir, WORLD_FILE), `${JSON.stringify({ clusterId, epoch, feedN: String(feedN), auditN: String(auditN), auditId })}\n`, 0o644);
}

/** Writes the file now, every minute and at the end. What cannot be written is logged and does not stop anything. */
export async function keepWorldFile({ db, dataDir, log }: { db: Db; dataDir: string; log: Pick<Logger, 'warn'> }): Promise<{ close(): Promise<void> }> {
  let failed = false;
  let last: Standing | undefined;
  const write = async (): Promise<void> => {
    try {
      const standing = await readStanding(db);
      // Should it have gone back, what the file says must stay.
      if (standing && !(last && isBehind(standing, last))) {
        writeWorldFile(dataDir, standing);
        last = standing;
      }
      failed = false;
    } catch (error) {
      if (!failed) log.warn({ err: error }, 'what was seen of the database could not be noted in the data folder');
      failed = true;
    }
  };
  await write();
  const timer = setInterval(() => void write(), WRITE_EVERY_MS).unref();
  return {
    async close() {
      clearInterval(timer);
      await write();
    },
  };
}

const isBehind = (now: Standing, before: Standing): boolean =>
  now.clusterId === before.clusterId && (now.epoch < before.epoch || (now.epoch === before.epoch && (now.auditN < before.auditN || now.feedN < before.feedN)));
