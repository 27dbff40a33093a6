import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { deleteKills, deleteRenewalSteers } from '../db/retention.ts';
import { clearRecords, daysAgo } from './records-cleared.ts';

/** Forgets kills `killRetentionDays` after they were resumed or ended for ever, and moved renewal windows of certificates that are gone; the audit log keeps both. */
export async function clearKills(ctx: Context, origin: Origin, signal: AbortSignal): Promise<void> {
  await clearRecords(ctx, origin, signal, { table: 'kills', clear: (run) => deleteKills(ctx.db, daysAgo(ctx, ctx.config.killRetentionDays), run) });
  await clearRecords(ctx, origin, signal, { table: 'renewal_steers', clear: (run) => deleteRenewalSteers(ctx.db, ctx.clock.now(), run) });
}
