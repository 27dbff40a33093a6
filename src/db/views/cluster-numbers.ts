import type { Db } from '../client.ts';
import { COMPLETE } from '../crls.ts';

/** What the whole cluster counts: the same on every replica. */
export interface ClusterNumbers {
  /** Unexpired certificates by state, as the job last counted them. */
  certificates: { good: number; held: number; revoked: number };
  countedAt: Date;
  /** Since the counting began. */
  events: { issued: number; renewed: number; expired: number };
  feedEnd: number;
  auditEnd: number;
}

interface Row {
  good: bigint;
  held: bigint;
  revoked: bigint;
  counted_at: Date;
  issued: bigint;
  renewed: bigint;
  expired: bigint;
  feed: bigint;
  audit: bigint;
}

/** Three rows by their keys, whatever the number of certificates. */
export async function clusterNumbers(db: Db): Promise<ClusterNumbers> {
  const [row] = await db.$queryRaw<Row[]>`
    SELECT c.*, (SELECT value FROM counters WHERE name = 'feed') AS feed, (SELECT value FROM counters WHERE name = 'audit') AS audit FROM certificate_numbers c`;
  if (!row) throw new Error('the row of certificate numbers is missing');
  return {
    certificates: { good: Number(row.good), held: Number(row.held), revoked: Number(row.revoked) },
    countedAt: row.counted_at,
    events: { issued: Number(row.issued), renewed: Number(row.renewed), expired: Number(row.expired) },
    feedEnd: Number(row.feed),
    auditEnd: Number(row.audit),
  };
}

/** The published lists of an issuer that is not retired. */
export interface IssuerLists {
  issuerId: string;
  oldestThisUpdate: Date;
  nearestNextUpdate: Date;
  /** Of the complete list. */
  number: bigint;
  entries: number;
}

/** One row an issuer, however many shards; issuers of which nothing is published yet are left out. */
export const issuerLists = (db: Db): Promise<IssuerLists[]> =>
  db.$queryRaw`
    SELECT l.issuer_id AS "issuerId", min(l.this_update) AS "oldestThisUpdate", min(l.next_update) AS "nearestNextUpdate",
      coalesce(max(l.number) FILTER (WHERE l.shard = ${COMPLETE}), 0) AS number, coalesce(max(l.entries) FILTER (WHERE l.shard = ${COMPLETE}), 0) AS entries
    FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id WHERE a.state <> 'retired' AND l.this_update IS NOT NULL GROUP BY l.issuer_id`;
