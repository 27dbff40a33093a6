import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteJoinTokens } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Deletes join tokens, spent or not, `joinTokenRetentionDays` after their expiry. */
export async function clearJoinTokens(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  await clearRecords(ctx, origin, signal, {
    table: 'join_tokens', kind: 'join-token.cleared', clear: (run) => deleteJoinTokens(ctx.db, daysAgo(ctx, ctx.config.joinTokenRetentionDays), run),
  });
}
