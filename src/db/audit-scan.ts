import { runHot, type Db, type HotStatement } from './client.ts';

/** An event with the columns that are beside its canonical bytes. */
export interface ScannedEvent {
  n: string;
  id: string;
  kind: string;
  outcome: string;
  at: Date;
  actor_kind: string;
  actor_id: string;
  agent_id: string | null;
  instance_id: string | null;
  serial: Buffer | null;
  target: string | null;
  request_id: string | null;
  event: Buffer;
}

const SCAN: HotStatement = {
  name: 'audit-scan',
  text: `SELECT n, id, kind, outcome, at, actor_kind, actor_id, agent_id, instance_id, serial, target, request_id, event FROM audit_events WHERE n > $1 AND n <= $2 ORDER BY n`,
};

/** The events numbered above `after`, up to `last`. */
export const scanEvents = (db: Db, after: number, last: number): Promise<ScannedEvent[]> => runHot<ScannedEvent>(db, SCAN, [after, last]);

const PERSONAL: HotStatement = {
  name: 'audit-scan-personal',
  text: `SELECT e.n, p.field, encode(sha256(p.salt || convert_to(p.value, 'UTF8')), 'hex') AS hash
    FROM audit_events e JOIN audit_personal p ON p.event_id = e.id WHERE e.n > $1 AND e.n <= $2`,
};

/** Personal fields that are kept beside the events numbered above `after`, up to `last`: their salted hashes, as the events have them. */
export const scanPersonal = (db: Db, after: number, last: number): Promise<{ n: string; field: string; hash: string }[]> => runHot(db, PERSONAL, [after, last]);

/** Leaf hashes of a stretch of purged events. */
export interface PurgedStretch {
  first: number;
  last: number;
  /** One after the other. */
  hashes: Buffer;
}

const PURGED: HotStatement = {
  name: 'audit-scan-purged',
  text: `SELECT first_n, last_n, leaf_hashes FROM audit_leaf_hashes WHERE first_n <= $2 AND last_n > $1 ORDER BY first_n`,
};

/** What is left of purged events numbered above `after`, up to `last`. */
export async function scanPurged(db: Db, after: number, last: number): Promise<PurgedStretch[]> {
  const rows = await runHot<{ first_n: string; last_n: string; leaf_hashes: Buffer }>(db, PURGED, [after, last]);
  return rows.map((row) => ({ first: Number(row.first_n), last: Number(row.last_n), hashes: row.leaf_hashes }));
}

/** The largest number of an event that is there or was purged, and the last number that was given out. */
export async function scanEnd(db: Db): Promise<{ last: number; given: number }> {
  const [row] = await db.$queryRaw<{ last: bigint | null; given: bigint | null }[]>`
    SELECT greatest((SELECT max(n) FROM audit_events), (SELECT max(last_n) FROM audit_leaf_hashes)) AS last, (SELECT value FROM counters WHERE name = 'audit') AS given`;
  return { last: Number(row?.last ?? 0), given: Number(row?.given ?? 0) };
}

/** Where a scan of checkpoints goes on. */
export interface CheckpointCursor {
  logId: string;
  size: number;
}

/** Checkpoints that are kept, of every log there was, by log and size: those after the cursor, `limit` at most. */
export async function scanCheckpoints(db: Db, after: CheckpointCursor | undefined, limit: number): Promise<{ logId: string; size: number; root: Buffer; note: string }[]> {
  const { logId, size } = after ?? { logId: '', size: 0 };
  const rows = await db.$queryRaw<{ logId: string; size: bigint; root: Uint8Array; note: string }[]>`
    SELECT log_id AS "logId", size, root, note FROM audit_checkpoints WHERE (log_id, size) > (${logId}, ${size}) ORDER BY log_id, size LIMIT ${limit}::int`;
  return rows.map((row) => ({ ...row, size: Number(row.size), root: Buffer.from(row.root) }));
}
