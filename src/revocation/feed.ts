import { appendFeedRows, appendFeedRowsHot, type FeedKind, type FeedRow } from '../db/feed.ts';
import type { Runner, Tx } from '../db/client.ts';
import type { AffectedCertificate } from './apply.ts';

/** One change that relying parties must learn of. Certificate events name the serial; those of agents, instances, owners and stops stand for later issuance too. */
export type FeedEvent = FeedRow;

/**
 * Appends events to the feed inside the caller's transaction and wakes all replicas at its commit (NOTIFY with the number). The number is
 * taken here and held to the commit (invariant 8): call it second to last, just before `appendAudit`. Returns the last number, or undefined for none.
 */
export async function appendFeed(tx: Tx, at: Date, events: readonly FeedEvent[]): Promise<bigint | undefined> {
  if (events.length === 0) return undefined;
  return appendFeedRows(tx, at, events);
}

/** The same in a transaction past Prisma. */
export async function appendFeedHot(tx: Runner, at: Date, events: readonly FeedEvent[]): Promise<void> {
  if (events.length > 0) await appendFeedRowsHot(tx, at, events);
}

/** Feed events of one kind for certificates a statement affected. */
export function feedOf(kind: FeedKind, certificates: readonly AffectedCertificate[]): FeedEvent[] {
  return certificates.map((c) => ({
    kind,
    serial: c.serial,
    issuerId: c.issuerId,
    shard: c.shard,
    agentId: c.agentId,
    instanceId: c.instanceId,
    ...(c.reason === undefined ? {} : { reason: c.reason }),
  }));
}
