import { endingAdmins } from '../admins/ending.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';

/** Says in the log, once an hour, that nobody will be able to make API tokens before long. /readyz says it as well. */
export async function warnOfLastAdmin(ctx: Context, _origin: Origin): Promise<void> {
  const warning = await endingAdmins(ctx, ctx.clock.now());
  if (warning !== undefined) ctx.log.warn(warning);
}
