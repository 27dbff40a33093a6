import type { SteerRenewalsBody } from '../api/renewals.ts';
import type { Context } from '../context.ts';
import { ulid } from '../core/random.ts';
import { appendAuditHot } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { inPipelinedTransaction } from '../db/client.ts';
import { readHits } from '../db/kills.ts';
import { insertSteer, type RenewalSteer } from '../db/renewal-steers.ts';
import { MAX_LEAF_SECONDS } from '../profiles/profile.ts';
import { selectionOf, type Selection } from './selection.ts';

type SteerContext = Pick<Context, 'db' | 'config' | 'random' | 'profiles'>;

/** Moves the renewal windows of what a selector means to now. Whoever asks for renewal info learns it; nothing is refused to those that do not. @throws SignetError what `selectionOf` throws */
export async function steerRenewals(ctx: SteerContext, origin: Origin, request: SteerRenewalsBody & { now: Date }): Promise<RenewalSteer & { certificates: number }> {
  const { now, reason, withinSeconds, explanationUrl } = request;
  const selection = await selectionOf(ctx, request.selector, now);
  const { counts } = await readHits(ctx.db, selection, { now, lookMax: ctx.config.killLookMax, limit: 0 });
  const steer = steerOf(ctx, origin, { selection, withinSeconds, reason, explanationUrl, now });
  await inPipelinedTransaction(ctx.db, async (tx) => {
    await insertSteer(tx, steer);
    await appendAuditHot(ctx, tx, origin, now, {
      kind: 'renewals.steered', outcome: 'success', target: steer.id,
      detail: { selector: selection.selector, selected: selection.target, withinSeconds, certificates: counts.certificates },
      personal: { reason },
    });
    return steer;
  });
  return { ...steer, certificates: counts.certificates };
}

interface NewSteer {
  selection: Selection;
  withinSeconds: number;
  reason: string;
  explanationUrl: string | undefined;
  now: Date;
}

/** A steer as it is stored. */
export function steerOf(ctx: Pick<Context, 'random' | 'profiles'>, { actor }: Origin, { selection, withinSeconds, reason, explanationUrl, now }: NewSteer): RenewalSteer {
  return {
    ...selection,
    id: ulid(now, ctx.random),
    spreadSeconds: withinSeconds,
    explanationUrl: explanationUrl ?? null,
    reason,
    createdBy: `${actor.kind}:${actor.id}`,
    createdAt: now,
    expiresAt: new Date(now.getTime() + (MAX_LEAF_SECONDS + ctx.profiles.longestGraceSeconds) * 1000),
  };
}
