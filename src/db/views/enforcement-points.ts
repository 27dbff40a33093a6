import { COMPLETE } from '../crls.ts';
import { bytes, Prisma, type Db } from '../client.ts';
import { readFeed, type FollowedEvent } from '../feed.ts';
import { allOf, when } from './conditions.ts';
import { pageOf, readCursor, ULID_KEY, type Page, type PageRequest } from './cursor.ts';
import { bucketOfSerial } from '../../x509/serial.ts';

export type PointState = 'live' | 'lost' | 'left';

/** An enforcement point with how far it is behind. */
export interface EnforcementPointView {
  id: string;
  relyingPartyId: string;
  name: string;
  state: PointState;
  appliedN: bigint;
  appliedAt: Date;
  lagNumbers: bigint;
  /** Age of the oldest event it has not applied; 0 when there is none. */
  lagMs: number;
  leaseUntil: Date;
  createdAt: Date;
}

const stateAt = (now: Date) => Prisma.sql`CASE WHEN p.left_at IS NOT NULL THEN 'left' WHEN p.lease_until < ${now} THEN 'lost' ELSE 'live' END`;

/** One page of enforcement points, oldest first. @throws SignetError `cursor-invalid`, `cursor-mismatch` */
export async function listEnforcementPointViews(db: Db, now: Date, filters: { state?: PointState }, page: PageRequest): Promise<Page<EnforcementPointView>> {
  const query = { list: 'enforcement-points', filters, key: [ULID_KEY] };
  const [after] = readCursor(query, page.cursor) ?? [];
  const conditions = [when(after, (id) => Prisma.sql`p.id > ${id}`), when(filters.state, (state) => Prisma.sql`${stateAt(now)} = ${state}`)];
  const rows = await db.$queryRaw<EnforcementPointView[]>`
    SELECT p.id, p.relying_party_id AS "relyingPartyId", p.name, ${stateAt(now)} AS state, p.applied_n AS "appliedN", p.applied_at AS "appliedAt", f.value - p.applied_n AS "lagNumbers",
      greatest(0, coalesce((SELECT extract(epoch FROM ${now}::timestamptz - e.at) * 1000 FROM feed_events e WHERE e.n = p.applied_n + 1), 0))::float8 AS "lagMs",
      p.lease_until AS "leaseUntil", p.created_at AS "createdAt"
    FROM enforcement_points p JOIN counters f ON f.name = 'feed' WHERE ${allOf(conditions)} ORDER BY p.id LIMIT ${page.limit + 1}`;
  return pageOf(query, rows, page.limit, (point) => [point.id]);
}

/** The largest lag of the live enforcement points, milliseconds; 0 without any. */
export async function slowestLagMs(db: Db, now: Date): Promise<number> {
  const [row] = await db.$queryRaw<{ lag: number | null }[]>`
    SELECT extract(epoch FROM ${now}::timestamptz - e.at)::float8 * 1000 AS lag FROM feed_events e WHERE e.n = (
      SELECT min(p.applied_n) + 1 FROM enforcement_points p WHERE p.left_at IS NULL AND p.lease_until >= ${now})`;
  return Math.max(0, row?.lag ?? 0);
}

/** What an enforcement point did about one event. */
export interface PointOfEvent {
  id: string;
  relyingPartyId: string;
  name: string;
  /** When it acknowledged this number, or a later one. */
  appliedAt: Date | null;
  state: PointState;
}

/** An event, who was to apply it, and what those who follow no feed may still believe. */
export interface EventView {
  event: FollowedEvent;
  /** Empty of an event from before acknowledgements are kept. */
  arePointsKnown: boolean;
  points: PointOfEvent[];
  /** End of the certificate. */
  notAfter: Date | null;
  /** The latest nextUpdate of a list of its issuer that was published without it. */
  crlBy: Date | null;
}

/** Undefined when there is no such event (any more). `keptSince`: from when on acknowledgements are kept. */
export async function findEventView(db: Db, n: bigint, { now, crlValidityMs, keptSince }: { now: Date; crlValidityMs: number; keptSince: Date }): Promise<EventView | undefined> {
  const [event] = await readFeed(db, n - 1n, 1);
  if (event?.n !== n) return undefined;
  const arePointsKnown = event.at >= keptSince;
  const points = !arePointsKnown ? [] : await db.$queryRaw<PointOfEvent[]>`
    SELECT p.id, p.relying_party_id AS "relyingPartyId", p.name, ${stateAt(now)} AS state,
      (SELECT a.at FROM feed_acknowledgements a WHERE a.enforcement_point_id = p.id AND a.n >= ${n} ORDER BY a.n LIMIT 1) AS "appliedAt"
    FROM enforcement_points p
    WHERE p.lease_n < ${n} AND coalesce(p.left_at, p.lease_until) >= ${event.at}
      OR EXISTS (SELECT 1 FROM enforcement_leases l WHERE l.enforcement_point_id = p.id AND l.lease_n < ${n} AND l.lease_until >= ${event.at})
    ORDER BY p.id`;
  if (!event.serial) return { event, arePointsKnown, points, notAfter: null, crlBy: null };
  const [certificate] = await db.$queryRaw<{ not_after: Date }[]>`
    SELECT not_after FROM certificates WHERE bucket = ${bucketOfSerial(event.serial)} AND serial = ${bytes(event.serial)}`;
  return { event, arePointsKnown, points, notAfter: certificate?.not_after ?? null, crlBy: await crlsWithout(db, event, crlValidityMs) };
}

/** The time of an event is taken before its transaction; it is committed within this, or never. */
const COMMIT_MS = 60_000;

/**
 * When the last of the lists that were published without the event ends. Lists are published under increasing numbers, each with all that was committed before it was built:
 * what was published after the first list that has it, has it. The audit log knows when each was, and the latest end of all until then, which an older list may have;
 * of the list in force the row knows what it contains.
 */
async function crlsWithout(db: Db, event: FollowedEvent, crlValidityMs: number): Promise<Date | null> {
  const lists = await db.$queryRaw<{ target: string; latestEnd: Date | null; feedN: bigint }[]>`
    SELECT issuer_id || '/' || CASE WHEN shard = ${COMPLETE} THEN 'complete' ELSE shard::text END AS target, latest_end AS "latestEnd", feed_n AS "feedN"
    FROM crls WHERE issuer_id = ${event.issuerId} AND (shard = ${COMPLETE} OR shard = ${event.shard})`;
  const ends: Date[] = [];
  for (const { target, latestEnd, feedN } of lists) {
    // The list in force still lacks it.
    if (feedN < event.n) {
      if (latestEnd) ends.push(latestEnd);
      continue;
    }
    // Where nothing was published for as long as a list is valid, the last may have been valid for longer than one is today.
    const end = (await lastEndWithout(db, event, target, new Date(event.at.getTime() - crlValidityMs))) ?? (await lastEndWithout(db, event, target, new Date(0)));
    if (end) ends.push(end);
  }
  return ends.length === 0 ? null : new Date(Math.max(...ends.map((end) => end.getTime())));
}

/** The latest end of the lists up to the last one that was published without the event, if that was after `from`. */
async function lastEndWithout(db: Db, event: FollowedEvent, target: string, from: Date): Promise<Date | undefined> {
  const [last] = await db.$queryRaw<{ latestEnd: Date }[]>`
    SELECT coalesce(detail ->> 'latestEnd', detail ->> 'nextUpdate')::timestamptz AS "latestEnd"
    FROM audit_events, LATERAL (SELECT convert_from(event, 'UTF8')::json -> 'detail' AS detail) AS of
    WHERE kind = 'crl.published' AND target = ${target} AND at > ${from} AND at <= ${new Date(event.at.getTime() + COMMIT_MS)}
      AND coalesce((detail ->> 'feedN')::bigint < ${event.n}, true) ORDER BY n DESC LIMIT 1`;
  return last?.latestEnd;
}
