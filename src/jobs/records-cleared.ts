import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { inTransaction } from '../db/client.ts';

const MS_PER_DAY = 86_400_000;

/** The moment `days` before now. */
export const daysAgo = (ctx: Pick<Context, 'clock'>, days: number): Date => new Date(ctx.clock.now().getTime() - days * MS_PER_DAY);

/** Records that a retention job deleted rows; nothing when there were none. */
export async function recordCleared(ctx: Context, origin: Origin, table: string, rows: number, kind: AuditEvent['kind'] = 'records.cleared'): Promise<void> {
  if (rows === 0) return;
  await inTransaction(ctx.db, (tx) => appendAudit(ctx, tx, origin, ctx.clock.now(), { kind, outcome: 'success', target: table, detail: { rows } }));
}
