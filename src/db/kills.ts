import type { KILL_EFFECTS, KILL_STATES } from '../api/kills.ts';
import { bucketOf, bucketOfSerial } from '../x509/serial.ts';
import { buffer, bytes, Prisma, type Db, type Tx } from './client.ts';

export type KillEffect = (typeof KILL_EFFECTS)[number];
export type KillState = (typeof KILL_STATES)[number];
export type SelectorKind = 'serial' | 'instance' | 'agent' | 'owner' | 'labels' | 'issuer' | 'profile' | 'everything';

/** What a kill, or a moved renewal window, is about. */
export interface Selection {
  selector: SelectorKind;
  /** Serial in lower-case hexadecimal, id of the instance, agent, owner or issuer, JSON of the labels, name of the profile, or `*`. */
  target: string;
}

/** How many of each kind. */
export interface KillCounts {
  owners: number;
  agents: number;
  instances: number;
  certificates: number;
}

/** A kill as it is stored. */
export interface KillRecord extends Selection, KillCounts {
  id: string;
  effect: KillEffect;
  /** For people. */
  reason: string;
  /** CRLReason of what it revokes. */
  revocationReason: number | null;
  state: KillState;
  actorKind: string;
  actorId: string;
  /** Certificates that its resume made good again. */
  released: number;
  /** Up to where its certificates are done: the id of an agent, or `<bucket>:<serial>`. */
  position: string | null;
  createdAt: Date;
  /** When it last went on. */
  touchedAt: Date;
  finishedAt: Date | null;
  resumedAt: Date | null;
}

/** Cause of the holds and stops of a kill. */
export const killCause = (killId: string): string => `kill:${killId}`;


/** Changes of others that replicas may not have heard of yet. Milliseconds. */
export const LATELY_MS = 10_000;

// ── who and what is meant ─────────────────────────────────────────────────────────────────────────────────────────

/** Agents `a` of a selection that names agents; undefined for the others. */
export function agentsOf({ selector, target }: Selection): Prisma.Sql | undefined {
  switch (selector) {
    case 'agent':
      return Prisma.sql`a.id = ${target} AND a.state <> 'retired'`;
    case 'owner':
      return Prisma.sql`a.owner_id = ${target} AND a.state <> 'retired'`;
    case 'labels':
      return Prisma.sql`a.labels @> ${target}::jsonb AND a.state <> 'retired'`;
    default:
      return undefined;
  }
}

export const bySerial = (hex: string): Prisma.Sql => Prisma.sql`c.bucket = ${bucketOfSerial(Buffer.from(hex, 'hex'))} AND c.serial = ${bytes(Buffer.from(hex, 'hex'))}`;

export function ofWide({ selector, target }: Selection): Prisma.Sql {
  if (selector === 'issuer') return Prisma.sql`c.issuer_id = ${target}`;
  return selector === 'profile' ? Prisma.sql`c.profile = ${target}` : Prisma.sql`true`;
}

/** What a kill would still change of a certificate `c`. */
export const unrevoked = Prisma.sql`c.revoked_at IS NULL`;

// ── looking, before anything is done ──────────────────────────────────────────────────────────────────────────────

/** An agent that a kill would hit. */
export interface HitAgent {
  id: string;
  name: string;
  state: string;
}

/** A certificate that a kill would hit. */
export interface HitCertificate {
  serial: Buffer;
  agentId: string;
  instanceId: string;
  notAfter: Date;
  held: boolean;
}

/** What a kill would hit, as far as it was looked. */
export interface Hits {
  counts: KillCounts;
  /** Everything was looked at; else there are at least so many. */
  isExact: boolean;
  agents: HitAgent[];
  certificates: HitCertificate[];
}

/** What a kill would hit. At most `lookMax` agents and live certificates are looked at, whatever the size of the tables; of both kinds `limit` are shown. */
export async function readHits(db: Db, selection: Selection, page: { now: Date; lookMax: number; limit: number }): Promise<Hits> {
  const { now, lookMax, limit } = page;
  const agents = agentsOf(selection);
  // Those of an issuer or a profile have no index of their own, which every issuance would pay for.
  const looked = Prisma.sql`SELECT c.* FROM certificates c WHERE ${lookedAt(selection, now)} LIMIT ${lookMax}`;
  const hit = Prisma.sql`${agents ? Prisma.sql`true` : ofWide(selection)} AND ${unrevoked}`;
  const [[found], shown, of] = await Promise.all([
    db.$queryRaw<{ looked: bigint; n: bigint }[]>`SELECT count(*) AS looked, count(*) FILTER (WHERE ${hit}) AS n FROM (${looked}) c`,
    limit === 0 ? [] : db.$queryRaw<(Omit<HitCertificate, 'serial'> & { serial: Uint8Array })[]>`
      SELECT c.serial, c.agent_id AS "agentId", c.instance_id AS "instanceId", c.not_after AS "notAfter", c.held_at IS NOT NULL AS held FROM (${looked}) c WHERE ${hit} LIMIT ${limit}`,
    agents ? readHitAgents(db, agents, { lookMax, limit }) : { count: 0, shown: [] },
  ]);
  return {
    counts: { owners: selection.selector === 'owner' ? 1 : 0, agents: of.count, instances: selection.selector === 'instance' ? 1 : 0, certificates: Number(found?.n ?? 0n) },
    isExact: Number(found?.looked ?? 0n) < lookMax && of.count < lookMax,
    agents: of.shown,
    certificates: shown.map((row) => ({ ...row, serial: buffer(row.serial) })),
  };
}

/** Certificates `c` among which those of a selection are: of the wide ones all that live. One that is named by its serial is taken as it is. */
function lookedAt(selection: Selection, now: Date): Prisma.Sql {
  const agents = agentsOf(selection);
  const live = Prisma.sql`c.bucket >= ${bucketOf(now)} AND c.not_after > ${now}`;
  if (agents) return Prisma.sql`c.agent_id IN (SELECT a.id FROM agents a WHERE ${agents}) AND ${live}`;
  switch (selection.selector) {
    case 'serial':
      return bySerial(selection.target);
    case 'instance':
      return Prisma.sql`c.instance_id = ${selection.target} AND ${live}`;
    default:
      return live;
  }
}

async function readHitAgents(db: Db, where: Prisma.Sql, { lookMax, limit }: { lookMax: number; limit: number }): Promise<{ count: number; shown: HitAgent[] }> {
  const [[row], shown] = await Promise.all([
    db.$queryRaw<{ n: bigint }[]>`SELECT count(*) AS n FROM (SELECT 1 FROM agents a WHERE ${where} LIMIT ${lookMax}) hit`,
    db.$queryRaw<HitAgent[]>`SELECT a.id, a.name, a.state FROM agents a WHERE ${where} ORDER BY a.id LIMIT ${limit}`,
  ]);
  return { count: Number(row?.n ?? 0n), shown };
}

/** Whether a live certificate has this profile: undefined where more than `lookMax` live ones would have to be looked at. */
export async function isProfileAlive(db: Db, profile: string, { now, lookMax }: { now: Date; lookMax: number }): Promise<boolean | undefined> {
  const [row] = await db.$queryRaw<{ looked: bigint; isThere: boolean | null }[]>`
    SELECT count(*) AS looked, bool_or(c.profile = ${profile}) AS "isThere" FROM (SELECT c.profile FROM certificates c WHERE c.bucket >= ${bucketOf(now)} AND c.not_after > ${now} LIMIT ${lookMax}) c`;
  if (row?.isThere) return true;
  return Number(row?.looked ?? 0n) < lookMax ? false : undefined;
}

/** Kills that are not done yet and have retired agents of this selection: their certificates are still being revoked. */
export async function unfinishedRetirements(db: Db, selection: Selection): Promise<string[]> {
  const { selector, target } = selection;
  const agents = selector === 'agent' ? Prisma.sql`a.id = ${target}` : selector === 'owner' ? Prisma.sql`a.owner_id = ${target}` : selector === 'labels' ? Prisma.sql`a.labels @> ${target}::jsonb` : undefined;
  if (!agents) return [];
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT k.id FROM kills k WHERE k.state = 'running' AND k.effect = 'retire' AND EXISTS (SELECT FROM agents a WHERE a.kill_ids <> '{}' AND a.kill_ids @> ARRAY[k.id] AND a.state = 'retired' AND ${agents}) ORDER BY k.id`;
  return rows.map(({ id }) => id);
}

// ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The row of Prisma as a record. */
export const killRecord = (row: Omit<KillRecord, 'selector' | 'effect' | 'state'> & { selector: string; effect: string; state: string }): KillRecord => ({
  ...row,
  selector: row.selector as SelectorKind,
  effect: row.effect as KillEffect,
  state: row.state as KillState,
});

export async function findKill(db: Db | Tx, id: string): Promise<KillRecord | undefined> {
  const row = await db.kill.findUnique({ where: { id } });
  return row ? killRecord(row) : undefined;
}

/**
 * Kills that have work left and that nobody has touched for a while: whoever was at it is gone. The oldest first. Touched in the future is by a clock that was wrong:
 * who waited for that time to pass might wait for long, and two who finish a kill take turns.
 */
export async function abandonedKills(db: Db, idleSeconds: number): Promise<{ id: string }[]> {
  return db.$queryRaw`
    SELECT id FROM kills WHERE state IN ('running', 'resuming') AND touched_at NOT BETWEEN clock_timestamp() - make_interval(secs => ${idleSeconds}) AND clock_timestamp() + make_interval(secs => ${idleSeconds}) ORDER BY touched_at`;
}

/** Kills that have work left. */
export const countUnfinishedKills = (db: Db): Promise<number> => db.kill.count({ where: { state: { in: ['running', 'resuming'] } } });

/** Deletes kills that ended before and hold nothing any more, at most `limit`; returns how many. Those that suspend somebody or something stay. */
export const deleteEndedKills = (db: Db | Tx, endedBefore: Date, limit: number): Promise<number> =>
  db.$executeRaw`
    DELETE FROM kills WHERE id IN (SELECT k.id FROM kills k WHERE (k.state = 'resumed' AND k.resumed_at < ${endedBefore})
      OR (k.state = 'done' AND k.finished_at < ${endedBefore} AND (k.selector IN ('serial', 'instance') AND k.effect = 'revoke' OR k.selector IN ('agent', 'labels') AND k.effect = 'retire')) LIMIT ${limit})`;
