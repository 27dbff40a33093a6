import { listLogs, type AuditLogRecord, type CheckpointRecord } from '../db/audit-logs.ts';
import { readTreeSize } from '../db/audit-tree.ts';
import type { Db } from '../db/client.ts';
import type { VerifiedCheckpoint } from '../verify/log/checkpoint.ts';
import { copiedLogs, ForeignCopy, readNewestCopy } from './log-copies.ts';
import { rootAt } from './tree.ts';

/**
 * What shows that the tree in the database does not begin with everything that is known to have been signed: by the copies outside the database, by what this process
 * has seen. Undefined when nothing does.
 */
export async function findFault({ db, copyDir }: { db: Db; copyDir: string | undefined }, log: AuditLogRecord, seen: CheckpointRecord | undefined): Promise<string | undefined> {
  // The copy first: whoever else writes it has made the tree before.
  const copied = await newestCopy(db, copyDir, log);
  if (typeof copied === 'string') return copied;
  const size = await readTreeSize(db, log.treeId);
  const claims = [['the copy outside the database', copied], ['what this process has seen', seen]] as const;
  for (const [who, claim] of claims) {
    if (!claim) continue;
    if (claim.size > size) return `${who} is a checkpoint of ${claim.size} events, the tree in the database has ${size}: the database was set back`;
    const isSame = (await rootAt(db, log.treeId, claim.size)).equals(claim.root);
    if (!isSame) return `${who} is a checkpoint of ${claim.size} events with another root than the tree in the database has: events or tree were changed, or the database was set back`;
  }
  return undefined;
}

/** @returns text where a copy itself is the fault */
async function newestCopy(db: Db, copyDir: string | undefined, log: AuditLogRecord): Promise<VerifiedCheckpoint | string | undefined> {
  const later = (await copiedLogs(copyDir)).filter((id) => id > log.id);
  const known = later.length > 0 ? (await listLogs(db)).map(({ id }) => id) : [];
  const unknown = later.find((id) => !known.includes(id));
  if (unknown !== undefined) return `there are copies of a later log, ${unknown}, which the database does not know: it was set back`;
  try {
    return await readNewestCopy(copyDir, log);
  } catch (error) {
    if (error instanceof ForeignCopy) return error.message;
    throw error;
  }
}
