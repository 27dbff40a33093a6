import { buffer, type Db, type HotStatement, type Runner, type Tx } from './client.ts';

export type FeedKind =
  | 'revoked' | 'held' | 'released'
  | 'agent-suspended' | 'agent-resumed' | 'agent-retired'
  | 'instance-quarantined' | 'instance-released' | 'instance-revoked'
  | 'owner-suspended' | 'owner-resumed'
  | 'issuance-stopped' | 'issuance-resumed';

export interface FeedRow {
  kind: FeedKind;
  serial?: Uint8Array;
  issuerId?: string;
  shard?: number;
  agentId?: string;
  instanceId?: string;
  reason?: number;
  ownerId?: string;
  /** `everything`, `issuer:<id>` or `profile:<name>`. */
  stop?: string;
  /** The kill that this is part of. */
  killId?: string;
}

/** Postgres channel that carries the feed's newest number. */
export const FEED_CHANNEL = 'signet_feed';

/** Numbers and stores rows, gap-free and in commit order; the counter row stays locked to the commit. Returns the last number. */
export async function appendFeedRows(tx: Tx, at: Date, rows: readonly FeedRow[]): Promise<bigint> {
  const [counter] = await tx.$queryRaw<{ last: bigint; epoch: number }[]>`
    UPDATE counters SET value = value + ${rows.length} WHERE name = 'feed' RETURNING value AS last, (SELECT epoch FROM cluster) AS epoch`;
  if (!counter) throw new Error('the feed counter is missing');
  // One parameter, whatever the number of rows.
  await tx.$executeRaw`
    INSERT INTO feed_events (n, epoch, kind, serial, issuer_id, shard, agent_id, instance_id, reason, owner_id, stop, kill_id, at)
    SELECT ${counter.last - BigInt(rows.length)}::bigint + v.i, ${counter.epoch}::int, v.kind, v.serial, v.issuer_id, v.shard, v.agent_id, v.instance_id, v.reason, v.owner_id, v.stop, v.kill_id, ${at}::timestamptz
    FROM json_to_recordset(${batchOf(rows)}::json) AS v (
      i integer, kind text, serial bytea, issuer_id text, shard integer, agent_id text, instance_id text, reason integer, owner_id text, stop text, kill_id text)`;
  await tx.$executeRaw`SELECT pg_notify(${FEED_CHANNEL}, ${String(counter.last)})`;
  return counter.last;
}

/** The same past Prisma, in one statement. */
export async function appendFeedRowsHot(tx: Runner, at: Date, rows: readonly FeedRow[]): Promise<void> {
  await tx.run(APPEND, [rows.length, at, batchOf(rows), FEED_CHANNEL]);
}

const APPEND: HotStatement = {
  name: 'append-feed-events',
  text: `
    WITH taken AS (UPDATE counters SET value = value + $1::int WHERE name = 'feed' RETURNING value AS last, value - $1::int AS base, (SELECT epoch FROM cluster) AS epoch),
    appended AS (
      INSERT INTO feed_events (n, epoch, kind, serial, issuer_id, shard, agent_id, instance_id, reason, owner_id, stop, kill_id, at)
      SELECT taken.base + v.i, taken.epoch, v.kind, v.serial, v.issuer_id, v.shard, v.agent_id, v.instance_id, v.reason, v.owner_id, v.stop, v.kill_id, $2::timestamptz
      FROM taken, json_to_recordset($3::json) AS v (
        i integer, kind text, serial bytea, issuer_id text, shard integer, agent_id text, instance_id text, reason integer, owner_id text, stop text, kill_id text))
    SELECT pg_notify($4, taken.last::text) FROM taken`,
};

/** One parameter, whatever the number of rows. What is left out is NULL: every octet that is sent costs. */
const batchOf = (rows: readonly FeedRow[]): string =>
  JSON.stringify(
    rows.map((r, i) => ({
      i: i + 1,
      kind: r.kind,
      serial: r.serial ? `\\x${buffer(r.serial).toString('hex')}` : undefined,
      issuer_id: r.issuerId,
      shard: r.shard,
      agent_id: r.agentId,
      instance_id: r.instanceId,
      reason: r.reason,
      owner_id: r.ownerId,
      stop: r.stop,
      kill_id: r.killId,
    })),
  );

/** An event of the feed as it is stored. */
export interface FollowedEvent {
  n: bigint;
  epoch: number;
  kind: FeedKind;
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

/** Events after `n`, in order, at most `limit`. */
export async function readFeed(db: Db | Tx, after: bigint, limit: number): Promise<FollowedEvent[]> {
  const rows = await db.feedEvent.findMany({ where: { n: { gt: after } }, orderBy: { n: 'asc' }, take: limit });
  return rows.map((row) => ({ ...row, kind: row.kind as FeedKind, serial: row.serial ? buffer(row.serial) : null }));
}

/** How far back the feed is kept, and where it ends. */
export interface FeedExtent {
  /** Number of the oldest event that is kept; one more than `last` when none is. */
  oldest: bigint;
  last: bigint;
}

export async function feedExtent(db: Db | Tx): Promise<FeedExtent> {
  const [row] = await db.$queryRaw<FeedExtent[]>`
    SELECT coalesce((SELECT min(n) FROM feed_events), value + 1) AS oldest, value AS last FROM counters WHERE name = 'feed'`;
  if (!row) throw new Error('the feed counter is missing');
  return row;
}

/** Number of the last committed event, 0 for none. */
export async function feedPosition(db: Db | Tx): Promise<bigint> {
  const counter = await db.counter.findUnique({ where: { name: 'feed' } });
  return counter?.value ?? 0n;
}
