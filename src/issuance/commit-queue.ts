import { setTimeout as sleep } from 'node:timers/promises';
import type { Barrier } from '../core/barrier.ts';
import { SignetError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { createBatcher, type Batcher } from '../db/batcher.ts';
import type { Db } from '../db/client.ts';
import { commitCertificates as commitToDatabase, storedSerials, type CertificateCommit, type CommitVerdict } from '../db/commit.ts';
import { asServiceError, isRetryable } from '../db/errors.ts';

/** A verdict, or 'unknown' when the database went away with the answer: the certificate is not handed out, and may be asked for again. */
export type CommitOutcome = CommitVerdict | 'unknown';
export type CommitQueue = Batcher<CertificateCommit, CommitOutcome>;

/** An agent that is being changed is asked for again, a little later each time: about five seconds in all. */
const BUSY_ATTEMPTS = 30;
const BUSY_STEP_MS = 10;
const BUSY_MAX_MS = 250;

interface Needs {
  db: Db;
  log: Logger;
  metrics: Pick<Metrics, 'commitBatch' | 'commitQueue'>;
  barrier: Barrier;
  config: { commitBatchMax: number; commitQueueMax: number };
}

type Commit = typeof commitToDatabase;
interface Committing extends Needs {
  commitCertificates: Commit;
}

/**
 * Group commit: certificates that arrive while a batch is in flight form the next one, which leaves when the previous has returned; never a
 * timer (performance.md §C, ADR 0005). Rows that share a token, an instance, a key or an idempotency key never share a batch.
 */
export function createCommitQueue(needs: Needs, commitCertificates: Commit = commitToDatabase): CommitQueue {
  const batcher = createBatcher<CertificateCommit, CommitOutcome | RowFault>({
    maxBatch: needs.config.commitBatchMax,
    maxQueue: needs.config.commitQueueMax,
    conflictKeys: (row) => [
      ...(row.tokenId === null ? [] : [`token ${row.tokenId}`]),
      `instance ${row.instanceId}`,
      `key ${row.keyHash.toString('hex')}`,
      ...(row.idempotency === null ? [] : [`idempotency ${row.idempotency.caller} ${row.idempotency.route} ${row.idempotency.key}`]),
    ],
    run: (rows) => {
      needs.metrics.commitBatch.observe(rows.length);
      needs.metrics.commitQueue.set(batcher.depth());
      return commitBatch({ ...needs, commitCertificates }, rows);
    },
  });
  return {
    async submit(row) {
      for (let attempt = 1; ; attempt++) {
        const outcome = await batcher.submit(row);
        if (outcome instanceof RowFault) throw outcome.fault;
        if (outcome !== 'agent-busy' || attempt === BUSY_ATTEMPTS) return outcome;
        await sleep(Math.min(BUSY_STEP_MS * attempt, BUSY_MAX_MS));
      }
    },
    depth: () => batcher.depth(),
  };
}

/** What befell one row of a batch: its caller is told, the others get their verdicts. */
class RowFault {
  readonly fault: Error;
  constructor(fault: unknown) {
    this.fault = fault instanceof Error ? fault : new Error(String(fault));
  }
}

async function commitBatch(needs: Committing, rows: CertificateCommit[]): Promise<(CommitOutcome | RowFault)[]> {
  await needs.barrier(rows[0]?.kind === 'renew' ? 'renew:before-commit' : 'issue:before-commit');
  try {
    return await needs.commitCertificates(needs.db, rows);
  } catch (error) {
    const fault = asServiceError(error);
    if (isRetryable(error) || fault === undefined) return commitAlone(needs, rows, error);
    // The server itself has said no: nothing of the batch is there, and each row alone would be refused as well.
    if (fault.code === 'storage-full') throw fault;
    return settle(needs, rows, error);
  }
}

/** A batch that the database refused as a whole (deadlock, a poisoned row) is known not to be there: each row is tried once alone, and fails alone. */
async function commitAlone(needs: Committing, rows: CertificateCommit[], error: unknown): Promise<(CommitOutcome | RowFault)[]> {
  if (rows.length === 1 && !isRetryable(error)) throw error;
  const outcomes: (CommitOutcome | RowFault)[] = [];
  for (const [index, row] of rows.entries()) {
    try {
      const [verdict] = await needs.commitCertificates(needs.db, [row]);
      outcomes.push(verdict ?? new RowFault(new SignetError('internal', 'the commit gave no verdict')));
    } catch (fault) {
      const known = asServiceError(fault);
      // The server has answered: this row is not there.
      if (isRetryable(fault) || known === undefined || known.code === 'storage-full') {
        outcomes.push(new RowFault(known ?? fault));
        continue;
      }
      // The database went away: this row is asked for, the others were never sent alone.
      return [...outcomes, ...(await settle(needs, [row], fault)), ...rows.slice(index + 1).map(() => new RowFault(fault))];
    }
  }
  return outcomes;
}

/** The connection was lost with the answer: what became of each row is asked by serial. */
async function settle(needs: Needs, rows: CertificateCommit[], error: unknown): Promise<CommitOutcome[]> {
  needs.log.warn({ err: error, rows: rows.length }, 'the outcome of a commit was lost; asking by serial');
  const stored = await storedSerials(needs.db, rows.map((row) => row.serial)).catch(() => new Set<string>());
  return rows.map((row) => (stored.has(row.serial.toString('hex')) ? 'committed' : 'unknown'));
}
