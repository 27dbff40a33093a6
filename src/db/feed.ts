import { bytes, buffer, Prisma, type Db, type Tx } from './client.ts';

export type FeedKind =
  | 'revoked' | 'held' | 'released'
  | 'agent-suspended' | 'agent-resumed' | 'agent-retired'
  | 'instance-quarantined' | 'instance-released' | 'instance-revoked';

export interface FeedRow {
  kind: FeedKind;
  serial?: Uint8Array;
  issuerId?: string;
  shard?: number;
  agentId?: string;
  instanceId?: string;
  reason?: number;
}

/** Postgres channel that carries the feed's newest number. */
export const FEED_CHANNEL = 'signet_feed';

/** Rows an INSERT carries at most: Postgres takes 65,535 parameters. */
const CHUNK = 4_000;

/** Numbers and stores rows, gap-free and in commit order; the counter row stays locked to the commit. Returns the last number. */
export async function appendFeedRows(tx: Tx, at: Date, rows: readonly FeedRow[]): Promise<bigint> {
  const [counter] = await tx.$queryRaw<{ last: bigint; epoch: number }[]>`
    UPDATE counters SET value = value + ${rows.length} WHERE name = 'feed' RETURNING value AS last, (SELECT epoch FROM cluster) AS epoch`;
  if (!counter) throw new Error('the feed counter is missing');
  const first = counter.last - BigInt(rows.length) + 1n;
  for (let start = 0; start < rows.length; start += CHUNK) {
    const values = rows.slice(start, start + CHUNK).map(
      (r, i) => Prisma.sql`(${first + BigInt(start + i)}, ${counter.epoch}, ${r.kind}, ${r.serial ? bytes(r.serial) : null}, ${r.issuerId ?? null}, ${r.shard ?? null}, ${r.agentId ?? null}, ${r.instanceId ?? null}, ${r.reason ?? null}, ${at})`,
    );
    await tx.$executeRaw`INSERT INTO feed_events (n, epoch, kind, serial, issuer_id, shard, agent_id, instance_id, reason, at) VALUES ${Prisma.join(values)}`;
  }
  await tx.$executeRaw`SELECT pg_notify(${FEED_CHANNEL}, ${String(counter.last)})`;
  return counter.last;
}

/** A certificate event of the feed, as the follower needs it. */
export interface FollowedEvent {
  n: bigint;
  serial: Buffer | null;
  issuerId: string | null;
  shard: number | null;
}

/** Events after `n`, in order, at most `limit`. */
export async function readFeed(db: Db | Tx, after: bigint, limit: number): Promise<FollowedEvent[]> {
  const rows = await db.feedEvent.findMany({
    where: { n: { gt: after } },
    orderBy: { n: 'asc' },
    take: limit,
    select: { n: true, serial: true, issuerId: true, shard: true },
  });
  return rows.map((row) => ({ ...row, serial: row.serial ? buffer(row.serial) : null }));
}

/** Number of the last committed event, 0 for none. */
export async function feedPosition(db: Db | Tx): Promise<bigint> {
  const counter = await db.counter.findUnique({ where: { name: 'feed' } });
  return counter?.value ?? 0n;
}
