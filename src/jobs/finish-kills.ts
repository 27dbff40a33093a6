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
    for (const { id } of await abandonedKills(ctx.db, IDLE_SECONDS)) await finishKill(ctx, origin, id, signal);
  },
};
