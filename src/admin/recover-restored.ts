import type { Barrier } from '../core/barrier.ts';
import type { Clock } from '../core/clock.ts';
import { ulid, type Random } from '../core/random.ts';
import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import { endLog } from '../audit/log.ts';
import { inTransaction, type Db, type Tx } from '../db/client.ts';
import { lockIssuance } from '../db/authorities.ts';
import {
  beginWorld, carryUnknown, findUnrecovered, insertUnrecovered, layEvidence, moveList, noteDatabaseIdentity, readDatabaseIdentity, readListStandings,
  replayAuthorityRevocations, replayHolds, replayRevocations, voidJoinTokens, type EvidenceEntry, type ListStanding,
} from '../db/worlds.ts';
import { appendFeed, feedOf, type FeedEvent } from '../revocation/feed.ts';
import { REASONS, reasonName } from '../revocation/reasons.ts';
import { DerError } from '../x509/der/reader.ts';
import type { EvidenceList } from './crl-evidence.ts';
import { Refused } from './local-command.ts';

/** What a recovery did. */
export interface Recovery {
  epoch: number;
  /** The lost window. Of what happened in it, only what the evidence tells is known. */
  lostFrom: Date;
  lostTo: Date;
  /** Time of the newest list that was replayed. */
  lastEvidence: Date | null;
  joinTokensVoided: number;
  revoked: number;
  held: number;
  /** Entries about certificates that this database does not know, kept until they have ended. */
  carried: number;
  authoritiesRevoked: { id: string; kind: string }[];
  /** Agents with certificates that the evidence revokes or holds: look at their state, it is that of the backup. */
  agents: string[];
  lists: { issuerId: string; shard: number; from: string; to: string }[];
}

interface Needs {
  ownerDb: Db;
  clock: Clock;
  random: Random;
  barrier: Barrier;
}

const OPERATOR_HOLD = 'operator';
/** More lists of one name than any number of replicas can publish in a second: each signs two at a time, and a transaction takes a millisecond at least. */
const LISTS_A_SECOND = 1_000;
/** For clocks that were wrong then, or are now. */
const CLOCK_SLACK_SECONDS = 86_400;
const FUTURE_SLACK_MS = 300_000;
const AUDIT_CHUNK = 5_000;
const TIMEOUT_MS = 600_000;

/**
 * Makes a new world of a database that was set back, in one transaction (DESIGN invariant 14): voids join tokens, replays what the lists of the lost window
 * revoke, moves every list past any number published in it, and begins the next epoch. Killed in the middle it has done nothing.
 * @throws Refused when a list is of the future, or breaks off
 */
export async function recoverRestored(needs: Needs, origin: Origin, evidence: readonly EvidenceList[], says: readonly string[]): Promise<Recovery> {
  const { ownerDb, clock, random, barrier } = needs;
  const now = clock.now();
  for (const { file, thisUpdate } of evidence) {
    if (thisUpdate.getTime() > now.getTime() + FUTURE_SLACK_MS) throw new Refused(`${file} was published at ${thisUpdate.toISOString()}, which has not come yet`, 'set the clock of this machine');
  }
  const newest = newestLists(evidence, await readListStandings(ownerDb));
  const entries = newest.flatMap(readEntries);
  return inTransaction(
    ownerDb,
    async (tx) => {
      await lockIssuance(tx);
      await insertUnrecovered(tx, { id: ulid(now, random), cause: 'set-back', notedAt: now, detail: { says: [...says] } });
      const world = await findUnrecovered(tx);
      if (!world) throw new Error('the world to recover is gone');
      const lastEvidence = evidence.reduce<Date | null>((last, { thisUpdate }) => (last === null || thisUpdate > last ? thisUpdate : last), null);
      const lists = await moveLists(tx, evidence, world.lostFrom, now);
      const epoch = await beginWorld(tx, world.id, { lostTo: now, recoveredAt: now }, { says: [...says], evidence: newest.map(({ issuerId, shard, number }) => ({ issuerId, shard, number: String(number) })) });
      const identity = await readDatabaseIdentity(ownerDb);
      if (identity !== undefined) await noteDatabaseIdentity(tx, identity);
      const replayed = await replay(tx, entries, now);
      const tokens = await voidJoinTokens(tx, now);
      // What the lost world has signed stays true of it; the next start begins another log.
      const ended = await endLog({ clock }, tx, 'recovery', `the database was set back; epoch ${epoch} began`);
      const recovery: Recovery = {
        epoch, lostFrom: world.lostFrom, lostTo: now, lastEvidence, joinTokensVoided: tokens.length, lists,
        revoked: replayed.revoked, held: replayed.held, carried: replayed.carried, authoritiesRevoked: replayed.authorities, agents: replayed.agents,
      };
      await barrier('recover:before-commit');
      for (const chunk of chunks(replayed.feed)) await appendFeed(tx, now, chunk);
      const voided = tokens.map(({ id, agentId }): AuditEvent => ({ kind: 'join-token.voided', outcome: 'success', target: id, agentId }));
      for (const chunk of chunks([...replayed.audit, ...voided, ...ended.events, summary(world.id, recovery)])) await appendAudit({ random }, tx, origin, now, ...chunk);
      return recovery;
    },
    TIMEOUT_MS,
  );
}

/** Of each list the newest, unless the database itself has published a newer one: what was released since must not be held again. */
function newestLists(evidence: readonly EvidenceList[], standings: readonly ListStanding[]): EvidenceList[] {
  const newest = new Map<string, EvidenceList>();
  for (const list of evidence) {
    const key = `${list.issuerId}/${list.shard}`;
    const stored = standings.find(({ issuerId, shard }) => issuerId === list.issuerId && shard === list.shard)?.number ?? 0n;
    const before = newest.get(key)?.number ?? stored;
    if (list.number > before) newest.set(key, list);
  }
  return [...newest.values()];
}

function readEntries(list: EvidenceList): EvidenceEntry[] {
  const { file } = list;
  try {
    return [...list.entries()];
  } catch (error) {
    if (error instanceof DerError) throw new Refused(`${file} has an entry that cannot be read: ${error.message}`, 'leave this list out, and give another one of the same issuer');
    throw error;
  }
}

/**
 * Past whatever may have been published since the newest list that is known: by this database before it was lost, or by the evidence. What a retired issuer
 * published last stays: there is no other to come, and who still holds a certificate of it asks for that.
 */
async function moveLists(tx: Tx, evidence: readonly EvidenceList[], lostFrom: Date, now: Date): Promise<Recovery['lists']> {
  const moved: Recovery['lists'] = [];
  for (const { issuerId, shard, number, thisUpdate, isLast } of await readListStandings(tx)) {
    if (isLast) continue;
    const seen = evidence.filter((list) => list.issuerId === issuerId && list.shard === shard);
    const base = seen.reduce((highest, list) => (list.number > highest ? list.number : highest), number);
    const since = Math.min(lostFrom.getTime(), thisUpdate?.getTime() ?? lostFrom.getTime());
    const windowSeconds = Math.max(0, Math.ceil((now.getTime() - since) / 1000)) + CLOCK_SLACK_SECONDS;
    const beyondWindow = base + BigInt(windowSeconds * LISTS_A_SECOND);
    const unixMs = BigInt(now.getTime());
    const to = beyondWindow > unixMs ? beyondWindow : unixMs;
    const latest = [thisUpdate, ...seen.map((list) => list.thisUpdate)].reduce((last, time) => (time !== null && (last === null || time > last) ? time : last), null);
    await moveList(tx, { issuerId, shard, number: to, thisUpdate: latest });
    moved.push({ issuerId, shard, from: String(number), to: String(to) });
  }
  return moved;
}

async function replay(tx: Tx, entries: readonly EvidenceEntry[], now: Date) {
  await layEvidence(tx, entries);
  const revoked = await replayRevocations(tx, now);
  const held = await replayHolds(tx, OPERATOR_HOLD);
  const authorities = await replayAuthorityRevocations(tx);
  const carried = await carryUnknown(tx, now);
  const evidence = 'a list published in the lost window';
  const feed: FeedEvent[] = [
    ...revoked.flatMap((row) => feedOf('revoked', [row])),
    ...feedOf('held', held),
    ...carried.map(({ serial, issuerId, shard, reason }): FeedEvent => ({ kind: reason === REASONS.certificateHold ? 'held' : 'revoked', serial, issuerId, shard, reason })),
  ];
  const audit: AuditEvent[] = [
    ...revoked.map((c): AuditEvent => ({ kind: 'certificate.revoked', outcome: 'success', agentId: c.agentId, instanceId: c.instanceId, serial: c.serial, detail: { reason: reasonName(c.reason), evidence } })),
    ...held.map((c): AuditEvent => ({ kind: 'certificate.held', outcome: 'success', agentId: c.agentId, instanceId: c.instanceId, serial: c.serial, detail: { cause: OPERATOR_HOLD, evidence } })),
    ...authorities.map(({ id, serial, reason }): AuditEvent => ({ kind: 'certificate.revoked', outcome: 'success', target: id, serial, detail: { reason: reasonName(reason), evidence } })),
    ...carried.map(({ serial, issuerId, reason }): AuditEvent => ({
      kind: reason === REASONS.certificateHold ? 'certificate.held' : 'certificate.revoked', outcome: 'success', serial, authority: issuerId, detail: { reason: reasonName(reason), evidence, certificate: 'unknown to this database' },
    })),
  ];
  const agents = [...new Set([...revoked, ...held].map(({ agentId }) => agentId))].toSorted();
  return { revoked: revoked.length, held: held.length, carried: carried.length, authorities: authorities.map(({ id, kind }) => ({ id, kind })), agents, feed, audit };
}

function summary(worldId: string, recovery: Recovery): AuditEvent {
  const { epoch, lostFrom, lostTo, joinTokensVoided, revoked, held, carried } = recovery;
  return {
    kind: 'world.recovered', outcome: 'success', target: worldId,
    detail: { epoch, lostFrom: lostFrom.toISOString(), lostTo: lostTo.toISOString(), lastEvidence: recovery.lastEvidence?.toISOString() ?? null, joinTokensVoided, revoked, held, carried },
  };
}

function* chunks<T>(items: readonly T[]): Generator<T[], void, undefined> {
  for (let at = 0; at < items.length; at += AUDIT_CHUNK) yield items.slice(at, at + AUDIT_CHUNK);
}
