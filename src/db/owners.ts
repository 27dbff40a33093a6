import type { Db, Tx } from './client.ts';

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

export async function findOwner(db: Db, name: { id: string } | { email: string }): Promise<{ id: string; email: string } | undefined> {
  return (await db.owner.findUnique({ where: name, select: { id: true, email: true } })) ?? undefined;
}

/** Addresses of owners by id. */
export async function ownerEmails(db: Db | Tx, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db.owner.findMany({ where: { id: { in: [...ids] } }, select: { id: true, email: true } });
  return new Map(rows.map(({ id, email }) => [id, email]));
}
