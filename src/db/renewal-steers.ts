import { Prisma, type Db, type PipelinedTx, type Tx } from './client.ts';
import type { Selection } from './kills.ts';

/** Renewal windows moved to a time, for what a selection meant and what was issued until then. */
export interface RenewalSteer extends Selection {
  id: string;
  /** Over so many seconds from `createdAt` the windows are spread. */
  spreadSeconds: number;
  explanationUrl: string | null;
  reason: string;
  createdBy: string;
  createdAt: Date;
  /** No certificate it is about can be renewed any more. */
  expiresAt: Date;
}

export async function insertSteer(tx: PipelinedTx, steer: RenewalSteer): Promise<void> {
  const { id, selector, target, spreadSeconds, explanationUrl, reason, createdBy, createdAt, expiresAt } = steer;
  await tx.query(Prisma.sql`
    INSERT INTO renewal_steers (id, selector, target, spread_seconds, explanation_url, reason, created_by, created_at, expires_at)
    VALUES (${id}, ${selector}, ${target}, ${spreadSeconds}, ${explanationUrl}, ${reason}, ${createdBy}, ${createdAt}, ${expiresAt})`);
}

/** Moves what was stored with `insertSteer` at `createdAt` to begin at `now`. */
export async function moveSteer(tx: PipelinedTx, steer: Pick<RenewalSteer, 'selector' | 'target' | 'createdBy' | 'createdAt'>, now: Date): Promise<void> {
  const { selector, target, createdBy, createdAt } = steer;
  await tx.query(Prisma.sql`
    UPDATE renewal_steers SET expires_at = expires_at + (${now}::timestamptz - created_at), created_at = ${now}
    WHERE selector = ${selector} AND target = ${target} AND created_by = ${createdBy} AND created_at = ${createdAt} AND expires_at > ${createdAt}`);
}

/** A certificate as a steer may mean it. `serial`: lower-case hexadecimal. */
export interface Steerable {
  serial: string;
  instanceId: string;
  agentId: string;
  issuerId: string;
  profile: string;
  issuedAt: Date;
}

/** Steers of one certificate that are looked at. */
const STEERS_MAX = 100;

/** The steers that mean this certificate, by owner and labels as they are now; the oldest first. */
export function steersOf(db: Db, certificate: Steerable, now: Date): Promise<Pick<RenewalSteer, 'spreadSeconds' | 'explanationUrl' | 'createdAt'>[]> {
  const { serial, instanceId, agentId, issuerId, profile, issuedAt } = certificate;
  return db.$queryRaw(Prisma.sql`
    SELECT s.spread_seconds AS "spreadSeconds", s.explanation_url AS "explanationUrl", s.created_at AS "createdAt"
    FROM renewal_steers s JOIN agents a ON a.id = ${agentId}
    WHERE s.expires_at > ${now} AND s.created_at >= ${issuedAt} AND CASE s.selector
      WHEN 'serial' THEN s.target = ${serial} WHEN 'instance' THEN s.target = ${instanceId} WHEN 'agent' THEN s.target = a.id WHEN 'owner' THEN s.target = a.owner_id
      WHEN 'labels' THEN a.labels @> s.target::jsonb WHEN 'issuer' THEN s.target = ${issuerId} WHEN 'profile' THEN s.target = ${profile} ELSE true END
    ORDER BY s.created_at LIMIT ${STEERS_MAX}`);
}

export const deleteExpiredSteers = (db: Db | Tx, now: Date, limit: number): Promise<number> =>
  db.$executeRaw`DELETE FROM renewal_steers WHERE id IN (SELECT id FROM renewal_steers WHERE expires_at < ${now} ORDER BY expires_at LIMIT ${limit})`;
