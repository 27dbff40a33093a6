import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import type { Tx } from '../db/client.ts';
import type { Deletion } from '../db/retention.ts';

/** A deletion of old rows. */
export interface Cleared {
  table: string;
  kind?: 'records.cleared' | 'join-token.cleared';
  /** Deletes in small batches until nothing is left or the signal aborts; each batch is recorded in its own transaction. */
  clear: (run: Deletion) => Promise<number>;
}

const MS_PER_DAY = 86_400_000;

/** The moment `days` before now. */
export const daysAgo = (ctx: Pick<Context, 'clock'>, days: number): Date => new Date(ctx.clock.now().getTime() - days * MS_PER_DAY);

/**
 * Runs the deletion of a retention job; each of its batches is counted and recorded, together with its commit.
 * @throws the reason of `signal` when it was interrupted
 */
export async function clearRecords(ctx: Context, origin: Origin, signal: AbortSignal, { table, kind = 'records.cleared', clear }: Cleared): Promise<void> {
  const record = (tx: Tx, rows: number) => appendAudit(ctx, tx, origin, ctx.clock.now(), { kind, outcome: 'success', target: table, detail: { rows } });
  const rows = await clear({ signal, record });
  ctx.metrics.rowsCleared.inc({ job: origin.actor.id }, rows);
  signal.throwIfAborted();
}
