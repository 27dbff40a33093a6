import type { Tx } from './client.ts';

/** The person who answers for agents. `email` is lower case and unique. */
export interface OwnerRecord {
  id: string;
  email: string;
  state: 'active' | 'suspended';
}

/**
 * The owner with this address, made when there is none, locked so that a suspension of the owner waits for the caller's transaction and then
 * sees the agent it registers. Owners are locked before agents.
 */
export async function takeOwner(tx: Tx, owner: { id: string; email: string }, now: Date): Promise<OwnerRecord> {
  await tx.owner.createMany({ data: { id: owner.id, email: owner.email, createdAt: now }, skipDuplicates: true });
  const [row] = await tx.$queryRaw<OwnerRecord[]>`SELECT id, email, state FROM owners WHERE email = ${owner.email} FOR SHARE`;
  if (!row) throw new Error('an owner is missing right after it was stored');
  return row;
}
