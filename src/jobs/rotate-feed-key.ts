import type { Origin } from '../audit/events.ts';
import { renewFeedKeyIfDue } from '../authorities/renew-feed-key.ts';
import type { Context } from '../context.ts';

/** Renews the key of the live feed in time. */
export async function rotateFeedKey(ctx: Context, origin: Origin): Promise<void> {
  await renewFeedKeyIfDue(ctx, origin);
}
