import { runHot, type Db, type HotStatement } from './client.ts';
import type { FeedKind, FollowedEvent } from './feed.ts';
import type { FeedStanding } from './worlds.ts';

interface Row {
  clusterId: string | null;
  epoch: number | null;
  feedN: string;
  auditN: string;
  standingAt: Date | null;
  unrecovered: boolean;
  now: Date;
  n: string | null;
  eventEpoch: number;
  kind: string;
  serial: Buffer | null;
  issuerId: string | null;
  shard: number | null;
  agentId: string | null;
  instanceId: string | null;
  reason: number | null;
  at: Date;
  ownerId: string | null;
  stop: string | null;
  killId: string | null;
}

/** Plans are made once; there is always one row. */
const PAGE: HotStatement = {
  name: 'feed-page',
  text: `
    SELECT s.*, e.n, e.epoch AS "eventEpoch", e.kind, e.serial, e.issuer_id AS "issuerId", e.shard, e.agent_id AS "agentId", e.instance_id AS "instanceId", e.reason, e.at,
      e.owner_id AS "ownerId", e.stop, e.kill_id AS "killId"
    FROM (
      SELECT c.id AS "clusterId", c.epoch, f.value AS "feedN", a.value AS "auditN", (SELECT x.at FROM feed_events x WHERE x.n = $1::bigint) AS "standingAt",
        EXISTS (SELECT FROM worlds w WHERE w.recovered_at IS NULL) AS unrecovered, now() AS now
      FROM counters f JOIN counters a ON a.name = 'audit' LEFT JOIN cluster c ON true WHERE f.name = 'feed') s
    LEFT JOIN LATERAL (SELECT * FROM feed_events x WHERE x.n > $1::bigint ORDER BY x.n LIMIT $2) e ON true
    ORDER BY e.n`,
};

/** Events after `n`, in order, at most `limit`, and how the feed stands with `n`: one moment of the database, in one statement. */
export async function readFeedPage(db: Db, n: bigint, limit: number): Promise<{ standing: FeedStanding; events: FollowedEvent[] }> {
  const rows = await runHot<Row>(db, PAGE, [n, limit]);
  const [row] = rows;
  if (!row) throw new Error('the feed counter is missing');
  const { clusterId, epoch, feedN, auditN, standingAt, unrecovered, now } = row;
  return {
    standing: { clusterId, epoch, feedN: BigInt(feedN), auditN: BigInt(auditN), at: standingAt, unrecovered, now },
    events: rows.flatMap((e) => (e.n === null ? [] : [event(e, BigInt(e.n))])),
  };
}

const event = ({ eventEpoch: epoch, kind, serial, issuerId, shard, agentId, instanceId, reason, at, ownerId, stop, killId }: Row, n: bigint): FollowedEvent => ({
  n, epoch, kind: kind as FeedKind, serial, issuerId, shard, agentId, instanceId, reason, at, ownerId, stop, killId,
});
