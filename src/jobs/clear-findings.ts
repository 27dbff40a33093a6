import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteFindings } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Deletes findings `findingRetentionDays` after they were resolved; the audit log keeps that there was one. */
export async function clearFindings(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  await clearRecords(ctx, origin, signal, { table: 'findings', clear: (run) => deleteFindings(ctx.db, daysAgo(ctx, ctx.config.findingRetentionDays), run) });
}
