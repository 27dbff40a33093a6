import type { Origin } from '../audit/events.ts';
import { renewDueResponders } from '../authorities/renew-responder.ts';
import type { Context } from '../context.ts';

/** Renews OCSP responders in time. */
export async function rotateResponders(ctx: Context, origin: Origin): Promise<void> {
  await renewDueResponders(ctx, origin);
}
