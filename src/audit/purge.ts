import { inTransaction, type Db } from '../db/client.ts';
import { purgeOldest, tryLockAuditPurge, type PurgedBatch } from '../db/audit-purge.ts';
import { appendAudit, type AuditContext } from './append.ts';
import type { Origin } from './events.ts';

/** One batch and its own event are one short transaction: issuance waits for the audit counter no longer than for any other event. */
const BATCH = 2_000;

export interface PurgeRequest {
  before: Date;
  /** Number of the first event that stays in any case. */
  until: bigint;
  /** The operating-system user who asked. */
  operator: string;
  now(): Date;
  /** Told after each batch. */
  onBatch?(batch: PurgedBatch): void;
}

/**
 * Purges audit events batch by batch, each with its event `audit.purged` in the same transaction: killed anywhere, what is done is done and recorded, and
 * the next run goes on. Returns the events purged. @throws Error when another purge is under way, or the role is not the owner of the table
 */
export async function purgeAuditEvents(ctx: AuditContext & { ownerDb: Db }, origin: Origin, request: PurgeRequest): Promise<bigint> {
  let purged = 0n;
  for (;;) {
    const batch = await inTransaction(ctx.ownerDb, async (tx) => {
      if (!(await tryLockAuditPurge(tx))) throw new PurgeUnderWay();
      const done = await purgeOldest(tx, { before: request.before, until: request.until, limit: BATCH });
      if (done === undefined) return undefined;
      const detail = { first: String(done.firstN), last: String(done.lastN), before: request.before.toISOString(), personalFields: done.personalFields };
      await appendAudit(ctx, tx, origin, request.now(), { kind: 'audit.purged', outcome: 'success', target: 'audit_events', detail, personal: { operator: request.operator } });
      return done;
    });
    if (batch === undefined) return purged;
    purged += batch.lastN - batch.firstN + 1n;
    request.onBatch?.(batch);
  }
}

/** Another process purges at this moment. */
export class PurgeUnderWay extends Error {
  constructor() {
    super('another purge is under way');
  }
}
