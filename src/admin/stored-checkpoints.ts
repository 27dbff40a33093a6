import { scanCheckpoints } from '../db/audit-scan.ts';
import type { AuditLogRecord } from '../db/audit-logs.ts';
import type { Db } from '../db/client.ts';
import { openCheckpoint } from '../verify/log/checkpoint.ts';
import { LogError } from '../verify/log/log-error.ts';
import { parseVerifierKey } from '../verify/log/note.ts';
import type { LogFinding } from '../verify/log/whole-log.ts';

/** Read at once: a checkpoint a second, kept for a week, is 600,000 of them. */
const BATCH = 5_000;

/** What of a checkpoint is held against the log. */
export interface StoredCheckpoint {
  size: number;
  root: Buffer;
}

/** The checkpoints that the database keeps above `after` events, each believed by its signature. One that is not is a finding, and counts for nothing. */
export async function believeStored(db: Db, logs: readonly AuditLogRecord[], after: number): Promise<{ checkpoints: StoredCheckpoint[]; findings: LogFinding[] }> {
  const keys = new Map(logs.map(({ id, vkey }) => [id, parseVerifierKey(vkey)]));
  const checkpoints: StoredCheckpoint[] = [];
  const findings: LogFinding[] = [];
  let last: { logId: string; size: number } | undefined;
  for (;;) {
    const rows = await scanCheckpoints(db, last, BATCH);
    for (const { logId, size, root, note } of rows) {
      if (size <= after) continue;
      const key = keys.get(logId);
      const why = key ? whyNot(note, { size, root }, key) : 'it is of a log that the database does not know';
      if (why === undefined) checkpoints.push({ size, root });
      else if (findings.length < MAX_FINDINGS) findings.push({ fault: 'other-key', index: 0, last: size - 1, from: undefined, to: undefined, detail: `the stored checkpoint of ${size} events, log ${logId}: ${why}` });
    }
    if (rows.length < BATCH) return { checkpoints, findings };
    last = rows.at(-1);
  }
}

/** Beyond so many the database is not worth more words. */
const MAX_FINDINGS = 100;

function whyNot(note: string, { size, root }: StoredCheckpoint, logKey: ReturnType<typeof parseVerifierKey>): string | undefined {
  try {
    const signed = openCheckpoint(note, { logKey });
    return signed.size === size && signed.root.equals(root) ? undefined : 'the columns beside the note do not say what was signed';
  } catch (error) {
    if (error instanceof LogError) return error.message;
    throw error;
  }
}
