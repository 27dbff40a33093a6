import type { Barrier } from '../core/barrier.ts';
import { SignetError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { createBatcher, type Batcher } from '../db/batcher.ts';
import type { Db } from '../db/client.ts';
import { commitCertificates, storedSerials, type CertificateCommit, type CommitVerdict } from '../db/commit.ts';
import { asServiceError, isRetryable } from '../db/errors.ts';

/** A verdict, or 'unknown' when the database went away with the answer: the certificate is not handed out, and may be asked for again. */
export type CommitOutcome = CommitVerdict | 'unknown';
export type CommitQueue = Batcher<CertificateCommit, CommitOutcome>;

interface Needs {
  db: Db;
  log: Logger;
  metrics: Metrics;
  barrier: Barrier;
  config: { commitBatchMax: number; commitQueueMax: number };
}

/**
 * Group commit: certificates that arrive while a batch is in flight form the next one, which leaves when the previous has returned; never a
 * timer (performance.md §C, ADR 0005). Rows that share a token, an instance, a key or an idempotency key never share a batch.
 */
export function createCommitQueue(needs: Needs): CommitQueue {
  return createBatcher<CertificateCommit, CommitOutcome>({
    maxBatch: needs.config.commitBatchMax,
    maxQueue: needs.config.commitQueueMax,
    conflictKeys: (row) => [
      ...(row.tokenId === null ? [] : [`token ${row.tokenId}`]),
      `instance ${row.instanceId}`,
      `key ${row.keyHash.toString('hex')}`,
      ...(row.idempotency === null ? [] : [`idempotency ${row.idempotency.caller} ${row.idempotency.route} ${row.idempotency.key}`]),
    ],
    run: (rows) => commitBatch(needs, rows),
  });
}

async function commitBatch(needs: Needs, rows: CertificateCommit[]): Promise<CommitOutcome[]> {
  needs.metrics.commitBatch.observe(rows.length);
  await needs.barrier(rows[0]?.kind === 'renew' ? 'renew:before-commit' : 'issue:before-commit');
  try {
    return await commitCertificates(needs.db, rows);
  } catch (error) {
    if (isRetryable(error) || asServiceError(error) === undefined) return commitAlone(needs, rows, error);
    return settle(needs, rows, error);
  }
}

/** A batch that the database refused as a whole (deadlock, a poisoned row) is known not to be there: each row is tried once alone. */
async function commitAlone(needs: Needs, rows: CertificateCommit[], error: unknown): Promise<CommitVerdict[]> {
  if (rows.length === 1 && !isRetryable(error)) throw error;
  const verdicts: CommitVerdict[] = [];
  for (const row of rows) {
    const [verdict] = await commitCertificates(needs.db, [row]);
    if (verdict === undefined) throw new SignetError('internal', 'the commit gave no verdict');
    verdicts.push(verdict);
  }
  return verdicts;
}

/** The connection was lost with the answer: what became of each row is asked by serial. */
async function settle(needs: Needs, rows: CertificateCommit[], error: unknown): Promise<CommitOutcome[]> {
  needs.log.warn({ err: error, rows: rows.length }, 'the outcome of a commit was lost; asking by serial');
  const stored = await storedSerials(needs.db, rows.map((row) => row.serial)).catch(() => new Set<string>());
  return rows.map((row) => (stored.has(row.serial.toString('hex')) ? 'committed' : 'unknown'));
}
