import { deleteIdempotencyRecords, hasOverdueIdempotencyRecords } from '../db/retention.ts';
import type { Job } from './job.ts';
import { clearRecords } from './records-cleared.ts';

/**
 * Deletes stored answers whose time is over. It looks twice a minute, because sealed secrets are among them: their time (`idempotencySecretTtlSeconds`, 9
 * minutes at most) and the wait for this job stay below 10 minutes.
 */
export const clearIdempotencyRecords: Pick<Job, 'run' | 'isDue'> = {
  isDue: (ctx) => hasOverdueIdempotencyRecords(ctx.db, ctx.clock.now()),
  run: (ctx, origin, signal) => clearRecords(ctx, origin, signal, { table: 'idempotency_records', clear: (run) => deleteIdempotencyRecords(ctx.db, ctx.clock.now(), run) }),
};
