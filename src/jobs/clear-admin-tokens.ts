import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteAdminTokens } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Deletes API tokens `adminTokenRetentionDays` after they expired or were revoked. */
export async function clearAdminTokens(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  await clearRecords(ctx, origin, signal, { table: 'admin_tokens', clear: (run) => deleteAdminTokens(ctx.db, daysAgo(ctx, ctx.config.adminTokenRetentionDays), run) });
}
