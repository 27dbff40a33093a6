import { firstUncovered, latestCheckpoint, listLogs, listWitnesses, readCosignatures, type AuditLogRecord, type CheckpointRecord, type WitnessRecord } from '../audit-logs.ts';
import { readTreeSize } from '../audit-tree.ts';
import type { Db } from '../client.ts';

/** The audit log as a Merkle log, with those that ended before. */
export interface AuditLogView {
  log: AuditLogRecord;
  /** Events in the tree. */
  size: number;
  checkpoint: (CheckpointRecord & { cosignedBy: string[] }) | undefined;
  /** Time of the oldest event that no checkpoint covers. */
  uncoveredSince: Date | undefined;
  witnesses: WitnessRecord[];
  earlier: AuditLogRecord[];
}

/** Undefined while there is no log: from a recovery to the next start. */
export async function auditLogView(db: Db): Promise<AuditLogView | undefined> {
  const logs = await listLogs(db);
  const log = logs.find(({ state }) => state !== 'ended');
  if (!log) return undefined;
  const last = await latestCheckpoint(db, log.id);
  const cosignedBy = last ? (await readCosignatures(db, log.id, last.size)).map(({ witness }) => witness) : [];
  return {
    log,
    size: await readTreeSize(db, log.treeId),
    checkpoint: last && { ...last, cosignedBy },
    uncoveredSince: await firstUncovered(db, last?.size ?? 0),
    witnesses: await listWitnesses(db, log.id),
    earlier: logs.filter(({ state }) => state === 'ended'),
  };
}
