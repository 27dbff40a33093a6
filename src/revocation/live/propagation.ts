import type { PropagationAnswer } from '../../api/feed.ts';
import type { Context } from '../../context.ts';
import { SignetError } from '../../core/errors.ts';
import { findEventView, type EventView, type PointOfEvent } from '../../db/views/enforcement-points.ts';
import { MAX_FEED_AGE_MS } from '../status-reader.ts';
import { tellEvent } from './told.ts';

type Offline = NonNullable<PropagationAnswer['offline']>;

/**
 * Who has applied an event of the feed, and until when somebody who follows no feed may still believe the opposite.
 * @throws SignetError `revocation-not-found`
 */
export async function propagationOf(ctx: Pick<Context, 'db' | 'config' | 'feed'>, n: bigint, now: Date): Promise<PropagationAnswer> {
  const keptSince = new Date(now.getTime() - Math.min(ctx.config.acknowledgementRetentionDays, ctx.config.feedRetentionDays) * 86_400_000);
  const view = await findEventView(ctx.db, n, { now, crlValidityMs: ctx.config.crlValiditySeconds * 1000, keptSince });
  if (!view) throw new SignetError('revocation-not-found', `the feed has no event ${n}, or not any more`);
  const { event, points } = view;
  const delays = points.flatMap(({ appliedAt }) => (appliedAt ? [Math.max(0, appliedAt.getTime() - event.at.getTime())] : []));
  const missing = (state: PointOfEvent['state']) => points.filter((point) => !point.appliedAt && point.state === state).map(({ id, name, relyingPartyId }) => ({ id, name, relyingPartyId }));
  const enforcementPoints = {
    known: view.arePointsKnown,
    expected: points.length,
    applied: delays.length,
    appliedMs: delays.length === 0 ? null : Math.max(...delays),
    pending: missing('live'),
    lost: missing('lost'),
    left: missing('left'),
  };
  const offline = offlineBy(ctx.config, view);
  const { clusterId: cluster, epoch } = ctx.feed.world;
  return { event: tellEvent(event, 'identity'), cluster, epoch, summary: sentence(enforcementPoints, offline), enforcementPoints, offline };
}

/**
 * The formula (docs/revocation.md). Lists: the latest nextUpdate of those of the certificate's issuer (its complete list, its shard) that were published without the
 * event. OCSP: an answer that was read just before the commit, or from memory within the age a feed position may have, plus its validity. The certificate's own
 * end binds both. `by` is the later of the two: then it has come to everybody.
 */
export function offlineBy(config: { ocspValiditySeconds: number }, { event, notAfter, crlBy }: Pick<EventView, 'event' | 'notAfter' | 'crlBy'>): Offline | null {
  if (!event.serial) return null;
  const capped = (at: Date): Date => (notAfter && notAfter < at ? notAfter : at);
  const ocsp = capped(new Date(event.at.getTime() + MAX_FEED_AGE_MS + config.ocspValiditySeconds * 1000));
  const crl = crlBy && capped(crlBy);
  const by = crl && crl > ocsp ? crl : ocsp;
  return { by: by.toISOString(), crlBy: crl?.toISOString() ?? null, ocspBy: ocsp.toISOString(), notAfter: notAfter?.toISOString() ?? null };
}

function sentence({ known, expected, applied, appliedMs, pending, lost, left }: PropagationAnswer['enforcementPoints'], offline: Offline | null): string {
  const missing = [[pending.length, 'pending'], [lost.length, 'lost'], [left.length, 'left']].filter(([count]) => count !== 0).map(([count, what]) => `${count} ${what}`);
  const online = !known ? 'who applied it is not kept any more' : expected === 0 ? 'no enforcement point was registered' : `applied at ${applied} of ${expected}${appliedMs === null ? '' : ` in ${appliedMs} ms`}${missing.length === 0 ? '' : ` (${missing.join(', ')})`}`;
  return `${online}; ${offline ? `offline parties: by ${offline.by} at the latest` : 'offline parties: see the events of its certificates'}`;
}
