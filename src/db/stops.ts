import { Prisma, type Db, type PipelinedTx, type Tx } from './client.ts';

/** A wide stop: nothing is issued under this profile, by this issuer, or at all. `cause` names the kill that set it: `kill:<id>`. */
export interface IssuanceStop {
  kind: 'everything' | 'profile' | 'issuer';
  /** Name of the profile, id of the issuer, or `*`. */
  target: string;
  cause: string;
  createdAt: Date;
}

/** Every stop in force, oldest first. */
export async function listStops(db: Db | Tx): Promise<IssuanceStop[]> {
  const rows = await db.issuanceStop.findMany({ orderBy: [{ createdAt: 'asc' }, { cause: 'asc' }] });
  return rows.map((row) => ({ ...row, kind: row.kind as IssuanceStop['kind'] }));
}

/** The causes that stop everything; none: it is not stopped. Under the shared gate this holds to the commit. */
export async function causesOfGlobalStop(db: Db | Tx): Promise<string[]> {
  const rows = await db.issuanceStop.findMany({ where: { kind: 'everything' }, select: { cause: true }, orderBy: { createdAt: 'asc' } });
  return rows.map(({ cause }) => cause);
}

/**
 * Nobody else sets or lifts a stop until the caller's transaction has ended; reading goes on. Two that lift the same would each think that the other's is still in
 * force, and one that lifts it while another sets it would tell after that one that it is over.
 */
export async function lockStops(tx: PipelinedTx): Promise<void> {
  await tx.query(Prisma.sql`LOCK TABLE issuance_stops IN SHARE ROW EXCLUSIVE MODE`);
}

/** In the caller's transaction, under the exclusive gate and `lockStops`. */
export async function insertStop(tx: PipelinedTx, { kind, target, cause, createdAt }: IssuanceStop): Promise<void> {
  await tx.query(Prisma.sql`INSERT INTO issuance_stops (kind, target, cause, created_at) VALUES (${kind}, ${target}, ${cause}, ${createdAt})`);
}

/** Takes away what this cause set; returns that, with whether each is over now: another kill may stop the same. Under `lockStops`. */
export function deleteStops(tx: PipelinedTx, cause: string): Promise<(IssuanceStop & { isOver: boolean })[]> {
  return tx.query(Prisma.sql`
    WITH gone AS (DELETE FROM issuance_stops WHERE cause = ${cause} RETURNING kind, target, cause, created_at)
    SELECT g.kind, g.target, g.cause, g.created_at AS "createdAt", NOT EXISTS (SELECT FROM issuance_stops s WHERE s.kind = g.kind AND s.target = g.target AND s.cause <> g.cause) AS "isOver" FROM gone g`);
}
