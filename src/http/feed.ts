import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type * as api from '../api/feed.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { listEnforcementPointViews, type EnforcementPointView } from '../db/views/enforcement-points.ts';
import { readFeedCursor } from '../revocation/live/cursor.ts';
import * as enforcement from '../revocation/live/enforcement.ts';
import type { FeedReader, FeedSink } from '../revocation/live/live-feed.ts';
import { propagationOf } from '../revocation/live/propagation.ts';
import { assertVouched, writeSnapshot } from '../revocation/live/snapshot.ts';
import { iso, ok, pageSize } from './answers.ts';
import type { Caller, HandlerOf } from './handler.ts';

/** GET /v1/revocations/stream: what is wrong is said before the stream begins. */
export const follow: HandlerOf<typeof api.followRevocations> = async (ctx, { caller, query, lastEventId, peerCertificate }) => {
  const reader = readerOf(caller, peerCertificate);
  // A browser, or any other client that reconnects by itself, repeats its first address and says by the header how far it came.
  const said = lastEventId ?? query.since;
  const after = await ctx.liveFeed.admit(reader, said === undefined ? undefined : readFeedCursor(said, query.epoch));
  return { status: 200, contentType: 'text/event-stream', endless: true, stream: (res) => ctx.liveFeed.serve(reader, after, sinkOf(res)) };
};

function readerOf(caller: Caller, peerCertificate: Buffer | undefined): FeedReader {
  const { id, relyingParty, role } = caller;
  const view = relyingParty?.mayAsk.includes('identity') === false ? 'bare' : 'identity';
  if (role === 'relying-party' && !relyingParty) throw new SignetError('permission-denied', 'the feed is for relying parties that are registered for it');
  if (caller.kind !== 'relying-party') return { callerId: relyingParty?.id ?? id, credential: { token: id }, view };
  if (!peerCertificate) throw new SignetError('client-certificate-required', 'the feed is followed with the certificate that is pinned');
  return { callerId: id, credential: { pin: createHash('sha256').update(peerCertificate).digest('hex') }, view };
}

/** A connection that says nothing is looked at after this all the same. */
const MOVED_MS = 250;

function sinkOf(res: ServerResponse): FeedSink {
  let waiter: (() => void) | undefined;
  const moved = (): void => waiter?.();
  return {
    write(octets) {
      if (!res.destroyed) res.write(octets, moved);
    },
    waiting: () => res.writableLength,
    onceMoved(then) {
      const look = setTimeout(moved, MOVED_MS);
      waiter = () => {
        clearTimeout(look);
        waiter = undefined;
        then();
      };
    },
    end: () => void res.end(),
    destroy: () => void res.destroy(),
    onceClosed(then) {
      if (res.closed) then();
      else res.once('close', then);
    },
  };
}

/** Callers whose snapshots are under way in this process, each as often as it has one. */
const underWay = new WeakMap<Context, string[]>();
/** A reader that takes nothing for so long loses its snapshot: it holds a transaction. Milliseconds. */
const TAKE_MS = 10_000;

/** GET /v1/revocations/snapshot */
export const snapshot: HandlerOf<typeof api.getRevocationSnapshot> = (ctx, { caller, peerCertificate }) => {
  const { callerId, view } = readerOf(caller, peerCertificate);
  assertVouched(ctx);
  const { snapshotsMax } = ctx.config;
  const callers = underWay.get(ctx) ?? [];
  underWay.set(ctx, callers);
  // One that takes its snapshots slowly must not keep the others from theirs.
  const isGreedy = snapshotsMax > 1 && callers.filter((id) => id === callerId).length >= snapshotsMax - 1;
  if (isGreedy || callers.length >= snapshotsMax) throw new SignetError('overloaded', `${callers.length} snapshots are being made, and one caller gets all but one of ${snapshotsMax} (snapshotsMax)`, { retryAfterSeconds: 1 });
  return {
    status: 200,
    contentType: 'application/x-ndjson',
    stream(res) {
      callers.push(callerId);
      writeSnapshot(ctx, view, (octets) => taken(res, octets))
        .then(
          () => res.end(),
          (error: unknown) => {
            if (!res.destroyed) ctx.log.warn({ err: error }, 'a snapshot of the feed was broken off');
            res.destroy();
          },
        )
        .finally(() => callers.splice(callers.indexOf(callerId), 1));
    },
  };
};

/** Writes, and waits until the connection takes more. */
function taken(res: ServerResponse, octets: Buffer): Promise<void> {
  if (res.destroyed) return Promise.reject(new Error('the reader is gone'));
  if (res.write(octets)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      clearTimeout(late);
      res.off('drain', done).off('close', gone);
      if (error) reject(error);
      else resolve();
    };
    const gone = () => done(new Error('the reader is gone'));
    const late = setTimeout(() => done(new Error('the reader is too slow')), TAKE_MS);
    res.once('drain', done).once('close', gone);
  });
}

/** GET /v1/revocations/{number} */
export const propagation: HandlerOf<typeof api.getRevocation> = async (ctx, { params, now }) => ok(await propagationOf(ctx, BigInt(params.number), now));

/** Under whose name an enforcement point stands: nobody speaks in another's. Others than relying parties have none. */
const partyOf = ({ relyingParty }: Caller): string => relyingParty?.id ?? '';

/** POST /v1/enforcement-points */
export const register: HandlerOf<typeof api.registerEnforcementPoint> = async (ctx, { origin, caller, body, now }) => {
  if (!caller.relyingParty) throw new SignetError('permission-denied', 'enforcement points belong to relying parties: use the credential of one');
  return ok(await enforcement.registerEnforcementPoint(ctx, origin, caller.relyingParty.id, body.name, now));
};

/** POST /v1/enforcement-points/{enforcementPointId}/acknowledge */
export const acknowledge: HandlerOf<typeof api.acknowledgeRevocations> = async (ctx, { caller, params, body, now }) =>
  ok(await enforcement.acknowledge(ctx, { enforcementPointId: params.enforcementPointId, relyingPartyId: partyOf(caller), n: BigInt(body.n), cluster: body.cluster, epoch: body.epoch, now }));

/** POST /v1/enforcement-points/{enforcementPointId}/leave */
export const leave: HandlerOf<typeof api.leaveEnforcementPoint> = async (ctx, { origin, caller, params, now }) => {
  await enforcement.leave(ctx, origin, params.enforcementPointId, partyOf(caller), now);
  return { status: 204 };
};

/** GET /v1/enforcement-points */
export const list: HandlerOf<typeof api.listEnforcementPoints> = async (ctx, { query: { cursor, limit, ...filters }, now }) => {
  const { items, nextCursor } = await listEnforcementPointViews(ctx.db, now, filters, { cursor, limit: pageSize(ctx, limit) });
  return ok({ items: items.map((point) => render(point, ctx.config.enforcementLeaseSeconds, now)), nextCursor });
};

function render(point: EnforcementPointView, leaseSeconds: number, now: Date): api.EnforcementPointAnswer {
  const { id, relyingPartyId, name, state, appliedN, appliedAt, lagNumbers, lagMs, leaseUntil, createdAt } = point;
  // A lease is renewed to the same length each time.
  const lastSeenAt = new Date(leaseUntil.getTime() - leaseSeconds * 1000);
  // Renewed three times in the time of a lease: once may be late.
  const connected = state === 'live' && now.getTime() - lastSeenAt.getTime() <= leaseSeconds * 500;
  return { id, relyingPartyId, name, state, connected, appliedN: Number(appliedN), appliedAt: iso(appliedAt), lagNumbers: Number(lagNumbers), lagMs: Math.round(lagMs), leaseUntil: iso(leaseUntil), lastSeenAt: iso(lastSeenAt), registeredAt: iso(createdAt) };
}
