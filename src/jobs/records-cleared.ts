import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { inTransaction } from '../db/client.ts';

/** A deletion of old rows. */
export interface Cleared {
  table: string;
  kind?: 'records.cleared' | 'join-token.cleared';
  /** Deletes in small batches until nothing is left or the signal aborts; resolves to the rows deleted. */
  clear(signal: AbortSignal): Promise<number>;
}

const MS_PER_DAY = 86_400_000;

/** The moment `days` before now. */
export const daysAgo = (ctx: Pick<Context, 'clock'>, days: number): Date => new Date(ctx.clock.now().getTime() - days * MS_PER_DAY);

/**
 * Runs the deletion of a retention job and counts and records what it deleted; nothing when there was nothing.
 * @throws the reason of `signal` when it was interrupted: after what was deleted until then is recorded
 */
export async function clearRecords(ctx: Context, origin: Origin, signal: AbortSignal, what: Cleared): Promise<void> {
  await recordCleared(ctx, origin, what, await what.clear(signal));
  signal.throwIfAborted();
}

async function recordCleared(ctx: Context, origin: Origin, { table, kind = 'records.cleared' }: Cleared, rows: number): Promise<void> {
  if (rows === 0) return;
  ctx.metrics.rowsCleared.inc({ job: origin.actor.id }, rows);
  await inTransaction(ctx.db, (tx) => appendAudit(ctx, tx, origin, ctx.clock.now(), { kind, outcome: 'success', target: table, detail: { rows } }));
}
