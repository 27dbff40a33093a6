import type { Db, Tx } from './client.ts';

/** The world that numbers belong to (DESIGN invariant 14). */
export interface ClusterRecord {
  id: string;
  epoch: number;
  trustDomain: string;
  createdAt: Date;
}

/** Undefined before the first start. */
export async function findCluster(db: Db | Tx): Promise<ClusterRecord | undefined> {
  // Not findUnique: Prisma batches concurrent ones with `in`, which a boolean key does not have.
  const row = await db.cluster.findFirst();
  return row === null ? undefined : { id: row.id, epoch: row.epoch, trustDomain: row.trustDomain, createdAt: row.createdAt };
}

/** Makes the one row. @throws a unique violation when there is one */
export async function insertCluster(tx: Tx, record: Omit<ClusterRecord, 'epoch'>): Promise<void> {
  await tx.cluster.create({ data: record });
}
