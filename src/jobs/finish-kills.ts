import type { Context } from '../context.ts';
import { abandonedKills } from '../db/kills.ts';
import { finishKill } from '../revocation/kill-steps.ts';
import type { Job } from './job.ts';

/** A kill that nobody has touched for so long has lost whoever was at it. Steps take less than a second each. */
const IDLE_SECONDS = 5;

/** Finishes kills, and resumes of kills, that a replica left undone: nothing is issued to what they cover since they began, and now their certificates follow. */
export const finishKills: Pick<Job, 'run' | 'isDue'> = {
  isDue: async (ctx: Context) => (await abandonedKills(ctx.db, IDLE_SECONDS)).length > 0,
  async run(ctx, origin, signal) {
    const failures: unknown[] = [];
    for (const { id } of await abandonedKills(ctx.db, IDLE_SECONDS)) {
      try {
        await finishKill(ctx, origin, id, signal);
      } catch (error) {
        // One that cannot be finished stays the oldest, and must not keep the others from it.
        signal.throwIfAborted();
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  },
};
