import type { Db } from './client.ts';
import { deleteEndedKills } from './kills.ts';
import { deleteExpiredSteers } from './renewal-steers.ts';

/** Rows one statement deletes at most, so that none takes long and none locks much. */
const CHUNK = 5_000;
/** Instances looked at in one statement: each that may be dead is sought in every partition. */
const INSTANCES_CHUNK = 1_000;

/** Deletes chunk by chunk until a statement finds less than it may take, or is told to stop; returns the rows deleted. */
async function inChunks(deleteChunk: () => Promise<number>, signal: AbortSignal): Promise<number> {
  let total = 0;
  while (!signal.aborted) {
    const deleted = await deleteChunk();
    total += deleted;
    if (deleted < CHUNK) break;
  }
  return total;
}

/** Join tokens that expired before, spent or not. */
export const deleteJoinTokens = (db: Db, expiredBefore: Date, signal: AbortSignal): Promise<number> =>
  inChunks(() => db.$executeRaw`DELETE FROM join_tokens WHERE id IN (SELECT id FROM join_tokens WHERE expires_at < ${expiredBefore} ORDER BY expires_at LIMIT ${CHUNK})`, signal);

/**
 * API tokens that expired or were revoked before. The newest of role admin stays, whatever it is: a cluster without any token is one that never started, and
 * would make a bootstrap token.
 */
export const deleteAdminTokens = (db: Db, endedBefore: Date, signal: AbortSignal): Promise<number> =>
  inChunks(
    () => db.$executeRaw`DELETE FROM admin_tokens WHERE id IN (
      SELECT id FROM admin_tokens WHERE least(expires_at, revoked_at) < ${endedBefore}
        AND id <> (SELECT id FROM admin_tokens WHERE role = 'admin' ORDER BY created_at DESC, id DESC LIMIT 1) LIMIT ${CHUNK})`,
    signal,
  );

/** Stored answers whose time is over. */
export const deleteIdempotencyRecords = (db: Db, expiredBefore: Date, signal: AbortSignal): Promise<number> =>
  inChunks(
    () => db.$executeRaw`DELETE FROM idempotency_records WHERE ctid IN (SELECT ctid FROM idempotency_records WHERE expires_at < ${expiredBefore} ORDER BY expires_at LIMIT ${CHUNK}) AND expires_at < ${expiredBefore}`,
    signal,
  );

/** Keys whose last certificate expired before; one that a certificate was issued for meanwhile stays (asked again of the locked row). */
export const deletePublicKeys = (db: Db, expiredBefore: Date, signal: AbortSignal): Promise<number> =>
  inChunks(() => db.$executeRaw`DELETE FROM public_keys WHERE key_hash IN (SELECT key_hash FROM public_keys WHERE not_after < ${expiredBefore} ORDER BY not_after LIMIT ${CHUNK}) AND not_after < ${expiredBefore}`, signal);

/** Runs of buckets before; the newest of each job stays, whenever it was. */
export const deleteJobRuns = (db: Db, before: Date, signal: AbortSignal): Promise<number> =>
  inChunks(
    () => db.$executeRaw`DELETE FROM job_runs r WHERE ctid IN (
      SELECT o.ctid FROM job_runs o WHERE o.bucket < ${before} AND EXISTS (SELECT 1 FROM job_runs n WHERE n.job = o.job AND n.bucket > o.bucket) LIMIT ${CHUNK})`,
    signal,
  );

/** The oldest feed rows as far as they lie before. Numbers are in the order of commits, so the first that is younger ends the search. */
export const deleteFeedEvents = (db: Db, before: Date, signal: AbortSignal): Promise<number> =>
  inChunks(() => db.$executeRaw`DELETE FROM feed_events WHERE at < ${before} AND n IN (SELECT n FROM feed_events ORDER BY n LIMIT ${CHUNK})`, signal);

/** Findings that were resolved before, and those that nobody resolved and whose certificate is gone with its partition: nothing is left to decide. */
export const deleteFindings = async (db: Db, before: Date, signal: AbortSignal): Promise<number> =>
  (await deleteResolvedFindings(db, before, signal)) + (await deleteStaleFindings(db, before, signal));

const deleteStaleFindings = (db: Db, raisedBefore: Date, signal: AbortSignal): Promise<number> =>
  inChunks(
    () => db.$executeRaw`DELETE FROM findings WHERE id IN (
      SELECT f.id FROM findings f WHERE f.resolved_at IS NULL AND f.created_at < ${raisedBefore} AND f.serial IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM certificates c WHERE c.bucket = (get_byte(f.serial, 1) << 16) + (get_byte(f.serial, 2) << 8) + get_byte(f.serial, 3) AND c.serial = f.serial)
      ORDER BY f.id LIMIT ${CHUNK})`,
    signal,
  );

const deleteResolvedFindings = (db: Db, resolvedBefore: Date, signal: AbortSignal): Promise<number> =>
  inChunks(() => db.$executeRaw`DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE resolved_at < ${resolvedBefore} ORDER BY resolved_at LIMIT ${CHUNK})`, signal);

/**
 * Instances that have not changed since `unchangedSince`, have no certificate left and no open finding: nothing can be renewed from them, so nothing of
 * theirs comes back. Walks all instances by id, chunk by chunk: an index on what changes at each renewal would cost more than this walk.
 */
export async function deleteDeadInstances(db: Db, unchangedSince: Date, signal: AbortSignal, chunkSize = INSTANCES_CHUNK): Promise<number> {
  let total = 0;
  for (let after = ''; !signal.aborted; ) {
    const [chunk] = await db.$queryRaw<{ last: string | null; dead: string[] }[]>`
      SELECT max(c.id) AS last, coalesce(array_agg(c.id) FILTER (WHERE c.updated_at < ${unchangedSince}), '{}') AS dead
      FROM (SELECT id, updated_at FROM instances WHERE id > ${after} ORDER BY id LIMIT ${chunkSize}) c`;
    if (!chunk?.last) break;
    if (chunk.dead.length > 0) {
      total += await db.$executeRaw`
        DELETE FROM instances i WHERE i.id = ANY (${chunk.dead}) AND i.updated_at < ${unchangedSince}
          AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.instance_id = i.id)
          AND NOT EXISTS (SELECT 1 FROM findings f WHERE f.instance_id = i.id AND f.resolved_at IS NULL)`;
    }
    after = chunk.last;
  }
  return total;
}

/** Kills that ended before and suspend nothing any more. */
export const deleteKills = (db: Db, endedBefore: Date, signal: AbortSignal): Promise<number> => inChunks(() => deleteEndedKills(db, endedBefore, CHUNK), signal);

/** Moved renewal windows of certificates that are gone. */
export const deleteRenewalSteers = (db: Db, now: Date, signal: AbortSignal): Promise<number> => inChunks(() => deleteExpiredSteers(db, now, CHUNK), signal);

/** Agents retired before of which nothing is left: no instance, token or certificate. Their ids are never used again. */
export const deleteRetiredAgents = (db: Db, retiredBefore: Date, signal: AbortSignal): Promise<number> =>
  inChunks(
    () => db.$executeRaw`DELETE FROM agents WHERE id IN (
      SELECT a.id FROM agents a WHERE a.state = 'retired' AND a.updated_at < ${retiredBefore}
        AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.agent_id = a.id) AND NOT EXISTS (SELECT 1 FROM join_tokens t WHERE t.agent_id = a.id)
        AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.agent_id = a.id)
      ORDER BY a.updated_at LIMIT ${CHUNK})`,
    signal,
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

/** A list whose time has come: never published, or published before `publishedBefore`. */
export const dueLists = (db: Db, publishedBefore: Date): Promise<{ issuerId: string; shard: number }[]> =>
  db.$queryRaw`
    SELECT l.issuer_id AS "issuerId", l.shard FROM crls l JOIN authority_certificates a ON a.id = l.issuer_id
    WHERE a.state <> 'retired' AND (l.octets IS NULL OR l.this_update <= ${publishedBefore}) ORDER BY l.this_update NULLS FIRST, l.issuer_id, l.shard`;
