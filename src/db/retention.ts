import { inTransaction, type Db, type Tx } from './client.ts';
import { deleteEndedKills } from './kills.ts';
import { deleteExpiredSteers } from './renewal-steers.ts';

/** Rows one statement deletes at most, so that none takes long and none locks much. */
const CHUNK = 5_000;
/** Instances looked at in one statement: each that may be dead is sought in every partition. */
const INSTANCES_CHUNK = 1_000;

/** A deletion of old rows, chunk by chunk. Each chunk is a transaction of its own, with what is recorded of it: killed anywhere, what is gone is recorded. */
export interface Deletion {
  /** Ends it between two chunks. */
  signal: AbortSignal;
  /** Records the rows of a chunk, if there are any, as the last statement of its transaction. */
  record(tx: Tx, rows: number): Promise<void>;
}

/** Deletes until a chunk finds less than it may take, or is told to stop; returns the rows deleted. */
async function inChunks(db: Db, deleteChunk: (tx: Tx) => Promise<number>, run: Deletion): Promise<number> {
  let total = 0;
  while (!run.signal.aborted) {
    const deleted = await inOneChunk(db, deleteChunk, run);
    total += deleted;
    if (deleted < CHUNK) break;
  }
  return total;
}

export const inOneChunk = (db: Db, deleteChunk: (tx: Tx) => Promise<number>, run: Deletion): Promise<number> =>
  inTransaction(db, async (tx) => {
    const deleted = await deleteChunk(tx);
    if (deleted > 0) await run.record(tx, deleted);
    return deleted;
  });

/** Join tokens that expired before, spent or not. */
export const deleteJoinTokens = (db: Db, expiredBefore: Date, run: Deletion): Promise<number> =>
  inChunks(db, (tx) => tx.$executeRaw`DELETE FROM join_tokens WHERE id IN (SELECT id FROM join_tokens WHERE expires_at < ${expiredBefore} ORDER BY expires_at LIMIT ${CHUNK})`, run);

/**
 * API tokens that expired or were revoked before. The newest of role admin stays, whatever it is: a cluster without any token is one that never started, and
 * would make a bootstrap token.
 */
export const deleteAdminTokens = (db: Db, endedBefore: Date, run: Deletion): Promise<number> =>
  inChunks(
    db,
    (tx) => tx.$executeRaw`DELETE FROM admin_tokens WHERE id IN (
      SELECT id FROM admin_tokens WHERE least(expires_at, revoked_at) < ${endedBefore}
        AND id <> (SELECT id FROM admin_tokens WHERE role = 'admin' ORDER BY created_at DESC, id DESC LIMIT 1) LIMIT ${CHUNK})`,
    run,
  );

/** Stored answers whose time is over. */
export const deleteIdempotencyRecords = (db: Db, expiredBefore: Date, run: Deletion): Promise<number> =>
  inChunks(
    db,
    (tx) => tx.$executeRaw`DELETE FROM idempotency_records WHERE ctid IN (SELECT ctid FROM idempotency_records WHERE expires_at < ${expiredBefore} ORDER BY expires_at LIMIT ${CHUNK}) AND expires_at < ${expiredBefore}`,
    run,
  );

/** Keys whose last certificate expired before; one that a certificate was issued for meanwhile stays (asked again of the locked row). */
export const deletePublicKeys = (db: Db, expiredBefore: Date, run: Deletion): Promise<number> =>
  inChunks(db, (tx) => tx.$executeRaw`DELETE FROM public_keys WHERE key_hash IN (SELECT key_hash FROM public_keys WHERE not_after < ${expiredBefore} ORDER BY not_after LIMIT ${CHUNK}) AND not_after < ${expiredBefore}`, run);

/** Runs of buckets before; the newest of each job stays, whenever it was. */
export const deleteJobRuns = (db: Db, before: Date, run: Deletion): Promise<number> =>
  inChunks(
    db,
    (tx) => tx.$executeRaw`DELETE FROM job_runs r WHERE ctid IN (
      SELECT o.ctid FROM job_runs o WHERE o.bucket < ${before} AND EXISTS (SELECT 1 FROM job_runs n WHERE n.job = o.job AND n.bucket > o.bucket) LIMIT ${CHUNK})`,
    run,
  );

/** The oldest feed rows as far as they lie before. Numbers are in the order of commits, so the first that is younger ends the search. */
export const deleteFeedEvents = (db: Db, before: Date, run: Deletion): Promise<number> =>
  inChunks(db, (tx) => tx.$executeRaw`DELETE FROM feed_events WHERE at < ${before} AND n IN (SELECT n FROM feed_events ORDER BY n LIMIT ${CHUNK})`, run);

/** Findings that were resolved before, and those that nobody resolved and whose certificate is gone with its partition: nothing is left to decide. */
export const deleteFindings = async (db: Db, before: Date, run: Deletion): Promise<number> =>
  (await deleteResolvedFindings(db, before, run)) + (await deleteStaleFindings(db, before, run));

const deleteStaleFindings = (db: Db, raisedBefore: Date, run: Deletion): Promise<number> =>
  inChunks(
    db,
    (tx) => tx.$executeRaw`DELETE FROM findings WHERE id IN (
      SELECT f.id FROM findings f WHERE f.resolved_at IS NULL AND f.created_at < ${raisedBefore} AND f.serial IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM certificates c WHERE c.bucket = (get_byte(f.serial, 1) << 16) + (get_byte(f.serial, 2) << 8) + get_byte(f.serial, 3) AND c.serial = f.serial)
      ORDER BY f.id LIMIT ${CHUNK})`,
    run,
  );

const deleteResolvedFindings = (db: Db, resolvedBefore: Date, run: Deletion): Promise<number> =>
  inChunks(db, (tx) => tx.$executeRaw`DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE resolved_at < ${resolvedBefore} ORDER BY resolved_at LIMIT ${CHUNK})`, run);

/**
 * Instances that have not changed since `unchangedSince`, have no certificate left and no open finding: nothing can be renewed from them, so nothing of
 * theirs comes back. Walks all instances by id, chunk by chunk: an index on what changes at each renewal would cost more than this walk.
 */
export async function deleteDeadInstances(db: Db, unchangedSince: Date, run: Deletion, chunkSize = INSTANCES_CHUNK): Promise<number> {
  let total = 0;
  for (let after = ''; !run.signal.aborted; ) {
    const [chunk] = await db.$queryRaw<{ last: string | null; dead: string[] }[]>`
      SELECT max(c.id) AS last, coalesce(array_agg(c.id) FILTER (WHERE c.updated_at < ${unchangedSince}), '{}') AS dead
      FROM (SELECT id, updated_at FROM instances WHERE id > ${after} ORDER BY id LIMIT ${chunkSize}) c`;
    if (!chunk?.last) break;
    if (chunk.dead.length > 0) {
      const { dead } = chunk;
      total += await inOneChunk(db, (tx) => tx.$executeRaw`
        DELETE FROM instances i WHERE i.id = ANY (${dead}) AND i.updated_at < ${unchangedSince}
          AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.instance_id = i.id)
          AND NOT EXISTS (SELECT 1 FROM findings f WHERE f.instance_id = i.id AND f.resolved_at IS NULL)`, run);
    }
    after = chunk.last;
  }
  return total;
}

/** Kills that ended before and suspend nothing any more. */
export const deleteKills = (db: Db, endedBefore: Date, run: Deletion): Promise<number> => inChunks(db, (tx) => deleteEndedKills(tx, endedBefore, CHUNK), run);

/** Moved renewal windows of certificates that are gone. */
export const deleteRenewalSteers = (db: Db, now: Date, run: Deletion): Promise<number> => inChunks(db, (tx) => deleteExpiredSteers(tx, now, CHUNK), run);

/** Agents retired before of which nothing is left: no instance, token or certificate. Their ids are never used again. */
export const deleteRetiredAgents = (db: Db, retiredBefore: Date, run: Deletion): Promise<number> =>
  inChunks(
    db,
    (tx) => tx.$executeRaw`DELETE FROM agents WHERE id IN (
      SELECT a.id FROM agents a WHERE a.state = 'retired' AND a.updated_at < ${retiredBefore}
        AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.agent_id = a.id) AND NOT EXISTS (SELECT 1 FROM join_tokens t WHERE t.agent_id = a.id)
        AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.agent_id = a.id)
      ORDER BY a.updated_at LIMIT ${CHUNK})`,
    run,
  );

/** True when a stored answer's time is over. */
export async function hasOverdueIdempotencyRecords(db: Db, now: Date): Promise<boolean> {
  const [row] = await db.$queryRaw<{ found: boolean }[]>`SELECT EXISTS (SELECT 1 FROM idempotency_records WHERE expires_at < ${now}) AS found`;
  return row?.found === true;
}

/** thisUpdate of the oldest list that is still published; undefined when one was never published. */
export async function oldestList(db: Db): Promise<Date | undefined> {
  const [row] = await db.$queryRaw<{ missing: boolean; oldest: Date | null }[]>`
    SELECT bool_or(l.this_update IS NULL) AS missing, min(l.this_update) AS oldest
    FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id WHERE a.state <> 'retired' AND a.kind = 'issuing'`;
  return row?.missing === false && row.oldest !== null ? row.oldest : undefined;
}

export interface DueAt {
  now: Date;
  intervalSeconds: number;
  /** For the clock of the database, where a test moves the other. */
  databaseNow: Date | undefined;
}

/** Lists whose time has come: never published, or `intervalSeconds` ago. Lists are dated by the database's clock when `now` is ahead of it, and so is this: they would always be due. */
export const dueLists = (db: Db, { now, intervalSeconds, databaseNow }: DueAt): Promise<{ issuerId: string; shard: number }[]> =>
  db.$queryRaw`
    SELECT l.issuer_id AS "issuerId", l.shard FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id
    WHERE a.state <> 'retired' AND (l.octets IS NULL OR l.this_update <= least(${now}::timestamptz, coalesce(${databaseNow ?? null}::timestamptz, clock_timestamp())) - make_interval(secs => ${intervalSeconds}::float8))
    ORDER BY l.this_update NULLS FIRST, l.issuer_id, l.shard`;
