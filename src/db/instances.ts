import type { INSTANCE_STATES } from '../api/instances.ts';
import { buffer, type Db, type Tx } from './client.ts';

export type InstanceState = (typeof INSTANCE_STATES)[number];

/** One running copy of an agent: one enrollment made it, renewals stay in it. */
export interface InstanceRecord {
  id: string;
  agentId: string;
  state: InstanceState;
  /** Counts its certificates, from 1. */
  generation: number;
  /** Serial of its newest certificate, 20 octets. */
  tipSerial: Buffer;
  /** The quarantine in force: names the cause of the holds it set. */
  quarantineId: string | null;
  quarantineReason: string | null;
  /** Kills that cover it: causes of its quarantine beside its own. */
  killIds: string[];
  /** Evidence it enrolled with: `join-token:<id>`. */
  enrolledBy: string;
  /** Source address of its enrollment. */
  enrolledFrom: string | null;
  createdAt: Date;
  updatedAt: Date;
}

/** The row of Prisma as a record. */
export function instanceRecord(row: Omit<InstanceRecord, 'state' | 'tipSerial'> & { state: string; tipSerial: Uint8Array }): InstanceRecord {
  return { ...row, state: row.state as InstanceState, tipSerial: buffer(row.tipSerial) };
}

export async function findInstance(db: Db | Tx, id: string): Promise<InstanceRecord | undefined> {
  const row = await db.instance.findUnique({ where: { id } });
  return row ? instanceRecord(row) : undefined;
}

/** The instance as it is once nobody else changes it (a renewal in its commit included); locked to the commit. */
export async function lockInstance(tx: Tx, id: string): Promise<InstanceRecord | undefined> {
  const locked = await tx.$queryRaw<unknown[]>`SELECT 1 FROM instances WHERE id = ${id} FOR UPDATE`;
  return locked.length === 0 ? undefined : findInstance(tx, id);
}

/** Moves an instance from the state it was read in; false, with nothing changed, when it is no longer in it. */
export async function updateInstanceState(
  tx: Tx,
  was: Pick<InstanceRecord, 'id' | 'state'>,
  to: Pick<InstanceRecord, 'state' | 'quarantineId' | 'quarantineReason'>,
  now: Date,
): Promise<boolean> {
  const { count } = await tx.instance.updateMany({ where: { id: was.id, state: was.state }, data: { ...to, updatedAt: now } });
  return count === 1;
}
