import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteJoinTokens } from '../db/retention.ts';
import { daysAgo, recordCleared } from './records-cleared.ts';

/** Deletes join tokens, spent or not, `joinTokenRetentionDays` after their expiry. */
export async function clearJoinTokens(ctx: Context, origin: Origin): Promise<void> {
  await recordCleared(ctx, origin, 'join_tokens', await deleteJoinTokens(ctx.db, daysAgo(ctx, ctx.config.joinTokenRetentionDays)), 'join-token.cleared');
}
