import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { dueLists } from '../db/retention.ts';
import { publishCrl, type PublishNeeds } from '../revocation/crl/publish-crl.ts';
import type { Job } from './job.ts';

/** Lists that were never published, or whose last one is `crlIntervalSeconds` old, changed or not (DESIGN §6). */
const due = (ctx: Context & Pick<PublishNeeds, 'databaseTime'>) => dueLists(ctx.db, { now: ctx.clock.now(), intervalSeconds: ctx.config.crlIntervalSeconds, databaseNow: ctx.databaseTime?.() });

/** Publishes every list that is due. @throws AggregateError after all were tried */
export async function publishDueLists(ctx: Context, origin: Origin): Promise<number> {
  const errors: unknown[] = [];
  const lists = await due(ctx);
  for (const name of lists) {
    try {
      const list = await publishCrl(ctx, origin, { ...name, onlyIfStale: false });
      if (list !== undefined) await ctx.crls.put(name, list);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} of ${lists.length} lists could not be published: ${String(errors[0])}`);
  return lists.length;
}

/** Looks often, runs only when a list is due: so a new issuer's lists appear within seconds. */
export const publishCrls: Pick<Job, 'run' | 'isDue'> = {
  isDue: async (ctx) => (await due(ctx)).length > 0,
  run: async (ctx, origin) => void (await publishDueLists(ctx, origin)),
};
