import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteRetiredAgents } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Forgets retired agents `agentRetentionDays` after they were retired, when nothing of theirs is left; the audit log keeps what they were and did. */
export async function clearAgents(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  await clearRecords(ctx, origin, signal, { table: 'agents', clear: (run) => deleteRetiredAgents(ctx.db, daysAgo(ctx, ctx.config.agentRetentionDays), run) });
}
