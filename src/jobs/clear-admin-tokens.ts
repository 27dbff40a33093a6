import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteAdminTokens } from '../db/retention.ts';
import { daysAgo, recordCleared } from './records-cleared.ts';

/** Deletes API tokens `adminTokenRetentionDays` after they expired or were revoked. */
export async function clearAdminTokens(ctx: Context, origin: Origin): Promise<void> {
  await recordCleared(ctx, origin, 'admin_tokens', await deleteAdminTokens(ctx.db, daysAgo(ctx, ctx.config.adminTokenRetentionDays)));
}
