import type { LeaseAnswer } from '../../api/feed.ts';
import { appendAudit } from '../../audit/append.ts';
import type { Origin } from '../../audit/events.ts';
import type { Context } from '../../context.ts';
import { SignetError } from '../../core/errors.ts';
import { ulid } from '../../core/random.ts';
import { inTransaction } from '../../db/client.ts';
import { countOtherPoints, forgetEndedPoint, leavePoint, upsertEnforcementPoint } from '../../db/enforcement-points.ts';
import { lockRelyingParty } from '../../db/relying-parties.ts';
import { assertWorld } from './cursor.ts';

type EnforcementContext = Pick<Context, 'db' | 'config' | 'random' | 'feed' | 'acknowledgements'>;

const leaseEnd = (ctx: Pick<Context, 'config'>, now: Date): Date => new Date(now.getTime() + ctx.config.enforcementLeaseSeconds * 1000);

function answer(ctx: EnforcementContext, id: string, appliedN: bigint, leaseUntil: Date): LeaseAnswer {
  const { clusterId: cluster, epoch } = ctx.feed.world;
  return { id, cluster, epoch, appliedN: Number(appliedN), leaseUntil: leaseUntil.toISOString(), leaseSeconds: ctx.config.enforcementLeaseSeconds };
}

/**
 * Registers an enforcement point of a relying party, or takes over the one of this name (a program that was started again). From the answer on it is counted.
 * @throws SignetError `enforcement-point-full`, `enforcement-point-not-found` when the relying party is gone
 */
export async function registerEnforcementPoint(ctx: EnforcementContext, origin: Origin, relyingPartyId: string, name: string, now: Date): Promise<LeaseAnswer> {
  const { enforcementPointsMax } = ctx.config;
  const point = await inTransaction(ctx.db, async (tx) => {
    if (!(await lockRelyingParty(tx, relyingPartyId))) throw notFound();
    // Programs that get a name for each start (pods) leave places behind.
    const isFull = (await countOtherPoints(tx, relyingPartyId, name)) >= enforcementPointsMax;
    if (isFull && !(await forgetEndedPoint(tx, relyingPartyId, name, now))) {
      throw new SignetError('enforcement-point-full', `a relying party has at most ${enforcementPointsMax} live enforcement points (enforcementPointsMax)`);
    }
    const id = ulid(now, ctx.random);
    const stored = await upsertEnforcementPoint(tx, { id, relyingPartyId, name, epoch: ctx.feed.world.epoch, now, leaseUntil: leaseEnd(ctx, now) });
    if (stored.isNew) await appendAudit(ctx, tx, origin, now, { kind: 'enforcement-point.registered', outcome: 'success', target: stored.id, detail: { name, relyingParty: relyingPartyId } });
    return stored;
  });
  return answer(ctx, point.id, point.appliedN, point.leaseUntil);
}

export interface AcknowledgementRequest {
  enforcementPointId: string;
  relyingPartyId: string;
  n: bigint;
  cluster: string;
  epoch: number;
  now: Date;
}

/**
 * Records that an enforcement point of this relying party has applied everything up to `n`, and renews its lease. A lower number than before only renews.
 * @throws SignetError `feed-other-world`, `enforcement-point-not-found`, `acknowledgement-not-sent`, `overloaded`
 */
export async function acknowledge(ctx: EnforcementContext, { enforcementPointId: id, relyingPartyId, n, cluster, epoch, now }: AcknowledgementRequest): Promise<LeaseAnswer> {
  assertWorld(ctx.feed.world, { clusterId: cluster, epoch });
  const { found, last, appliedN, leaseUntil } = await ctx.acknowledgements.submit({ id, relyingPartyId, n, at: now, leaseUntil: leaseEnd(ctx, now) });
  if (!found || appliedN === null || leaseUntil === null) throw notFound();
  if (n > last) throw new SignetError('acknowledgement-not-sent', `the feed ends with ${last}: ${n} was never sent`);
  return answer(ctx, id, appliedN, leaseUntil);
}

/** Ends the lease of an enforcement point that goes: it is not missed. @throws SignetError `enforcement-point-not-found` */
export async function leave(ctx: EnforcementContext, origin: Origin, id: string, relyingPartyId: string, now: Date): Promise<void> {
  await inTransaction(ctx.db, async (tx) => {
    if (!(await leavePoint(tx, id, relyingPartyId, now))) throw notFound();
    await appendAudit(ctx, tx, origin, now, { kind: 'enforcement-point.left', outcome: 'success', target: id, detail: { relyingParty: relyingPartyId } });
  });
}

const notFound = () => new SignetError('enforcement-point-not-found', 'this relying party has no such enforcement point');
