import type { Db, Tx } from './client.ts';

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
export async function lockStops(tx: Tx): Promise<void> {
  await tx.$executeRaw`LOCK TABLE issuance_stops IN SHARE ROW EXCLUSIVE MODE`;
}

/** In the caller's transaction, under the exclusive gate and `lockStops`. */
export async function insertStop(tx: Tx, stop: IssuanceStop): Promise<void> {
  await tx.issuanceStop.create({ data: stop });
}

/** Takes away what this cause set. Under `lockStops`. */
export async function deleteStops(tx: Tx, cause: string): Promise<void> {
  await tx.issuanceStop.deleteMany({ where: { cause } });
}
