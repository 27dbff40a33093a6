import type { Origin } from '../audit/events.ts';
import { retireAuthorities } from '../authorities/retire.ts';
import { dueRotation, rotateIssuer } from '../authorities/rotate-issuer.ts';
import type { Context } from '../context.ts';
import { liveAuthorities } from '../db/authorities.ts';
import { publishDueLists } from './publish-crls.ts';

/** Prepares the next issuer, activates it and retires old ones, each when the calendar asks for it (DESIGN: issuer rotation). */
export async function rotateIssuers(ctx: Context, origin: Origin): Promise<void> {
  const due = dueRotation(ctx.config, ctx.profiles, await liveAuthorities(ctx.db), ctx.clock.now());
  if (due.rootTooShort) ctx.log.error('the active issuer must be replaced, but the root ends too soon to carry another: run `signet authority rollover-root`');
  if (due.prepare) await rotateIssuer(ctx, origin, 'prepare');
  // An issuer without lists may not be activated; usually they were published long before.
  if (due.prepare && due.activate) await publishDueLists(ctx, origin);
  if (due.activate) await rotateIssuer(ctx, origin, 'activate');
  await retireAuthorities(ctx, origin);
}
