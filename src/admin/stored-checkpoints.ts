import { scanCheckpoints } from '../db/audit-scan.ts';
import type { AuditLogRecord } from '../db/audit-logs.ts';
import type { Db } from '../db/client.ts';
import { openCheckpoint } from '../verify/log/checkpoint.ts';
import { LogError } from '../verify/log/log-error.ts';
import { parseVerifierKey, type NoteKey } from '../verify/log/note.ts';
import type { LogFinding } from '../verify/log/whole-log.ts';

/** Read at once: a checkpoint a second, kept for a week, is 600,000 of them. */
const BATCH = 5_000;

/** What of a checkpoint is held against the log. */
export interface StoredCheckpoint {
  size: number;
  root: Buffer;
}

/**
 * The checkpoints that the database keeps of at least `from` events, as their notes say them: its columns are signed by nobody. One that is not signed by its log is a
 * finding, and counts for nothing. `leftOut`: how many are smaller.
 */
export async function believeStored(db: Db, logs: readonly AuditLogRecord[], from: number): Promise<{ checkpoints: StoredCheckpoint[]; leftOut: number; findings: LogFinding[] }> {
  const known = new Map(logs.map(({ id, origin, vkey }) => [id, { origin, logKey: parseVerifierKey(vkey) }]));
  const checkpoints: StoredCheckpoint[] = [];
  const findings: LogFinding[] = [];
  let leftOut = 0;
  let last: { logId: string; size: number } | undefined;
  for (;;) {
    const rows = await scanCheckpoints(db, last, BATCH);
    for (const row of rows) {
      if (row.size < from) {
        leftOut++;
        continue;
      }
      const { signed, fault } = judge(row, known.get(row.logId));
      if (signed) checkpoints.push(signed);
      if (fault && findings.length < MAX_FINDINGS) findings.push(fault);
    }
    if (rows.length < BATCH) return { checkpoints, leftOut, findings };
    last = rows.at(-1);
  }
}

/** Beyond so many the database is not worth more words. */
const MAX_FINDINGS = 100;

function judge(row: StoredCheckpoint & { logId: string; note: string }, log: { origin: string; logKey: NoteKey } | undefined): { signed?: StoredCheckpoint; fault?: LogFinding } {
  const finding = (fault: LogFinding['fault'], why: string): LogFinding => ({
    fault, index: 0, last: Math.max(0, row.size - 1), from: undefined, to: undefined, detail: `the checkpoint of ${row.size} events of log ${log?.origin ?? row.logId} that the database shows is not what was signed: ${why}`,
  });
  if (!log) return { fault: finding('other-key', 'the database does not know this log') };
  try {
    const { size, root } = openCheckpoint(row.note, { logKey: log.logKey });
    const isSame = size === row.size && root.equals(row.root);
    return { signed: { size, root }, ...(isSame ? {} : { fault: finding('forked', 'its columns do not say what was signed') }) };
  } catch (error) {
    if (error instanceof LogError) return { fault: finding('other-key', error.message) };
    throw error;
  }
}
