import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import { deadBefore } from '../authorities/retire.ts';
import type { Context } from '../context.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { dropPartitions, ensurePartitions } from '../db/partitions.ts';
import { oldestList } from '../db/retention.ts';
import { dropCarried } from '../db/worlds.ts';
import { bucketOf } from '../x509/serial.ts';

const MS_PER_DAY = 86_400_000;
/** One day for the clocks of replicas, one because a life may cross midnight. */
const SPARE_DAYS = 2;

/** Makes the partitions that leaves will need and drops those whose certificates nobody asks about any more. */
export async function partitions(ctx: Context, origin: Origin): Promise<void> {
  const now = ctx.clock.now();
  const today = bucketOf(now);
  const recorded = (kind: 'partition.created' | 'partition.drop-begun' | 'partition.dropped') => (tx: Tx, names: readonly string[]) =>
    appendAudit(ctx, tx, origin, now, ...names.map((target): AuditEvent => ({ kind, outcome: 'success', target })));
  await ensurePartitions(ctx.ownerDb, today - 1, today + daysAhead(ctx), recorded('partition.created'));
  const firstDay = dropBefore(ctx, now, await oldestList(ctx.db));
  const dropped = await dropPartitions(ctx.ownerDb, firstDay, { begin: recorded('partition.drop-begun'), end: recorded('partition.dropped') });
  ctx.metrics.partitionsDropped.inc(dropped.length);
  await inTransaction(ctx.ownerDb, async (tx) => {
    const rows = await dropCarried(tx, new Date(firstDay * MS_PER_DAY));
    if (rows > 0) await appendAudit(ctx, tx, origin, now, { kind: 'records.cleared', outcome: 'success', target: 'carried_revocations', detail: { rows } });
  });
}

/** Days of expiry that must have a partition: as configured, and never fewer than the longest leaf needs. */
export function daysAhead(ctx: Pick<Context, 'config' | 'profiles'>): number {
  const longest = Math.max(0, ...ctx.profiles.names().map((name) => ctx.profiles.get(name)?.maxTtlSeconds ?? 0));
  return Math.max(ctx.config.partitionDaysAhead, Math.ceil((longest * 1000) / MS_PER_DAY) + SPARE_DAYS);
}

/**
 * Partitions of days before this one may go: their certificates are past retention and past renewal after expiry, and every list has been
 * published since, so that each entry stood on one list after its expiry (DESIGN invariant 3, RFC 5280 §3.3).
 */
export function dropBefore(ctx: Pick<Context, 'config' | 'profiles'>, now: Date, oldestListAt: Date | undefined): number {
  if (oldestListAt === undefined) return 0;
  const retained = now.getTime() - ctx.config.certificateRetentionDays * MS_PER_DAY;
  return bucketOf(new Date(Math.min(retained, deadBefore(ctx, now).getTime(), oldestListAt.getTime())));
}
