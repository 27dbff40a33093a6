import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import type { Tx } from '../db/client.ts';
import type { OwnerRecord } from '../db/owners.ts';
import { lockRelyingParty, updateRelyingParty, type RelyingPartyPatch, type RelyingPartyRecord } from '../db/relying-parties.ts';

/** What the use cases of this folder need of the context. */
export type RelyingPartyContext = Pick<Context, 'db' | 'config' | 'random' | 'authorities' | 'adminTokens' | 'pinnedCertificates' | 'siblings'>;

/** The relying party, locked for a change. @throws SignetError `relying-party-not-found` */
export async function relyingPartyToChange(tx: Tx, id: string): Promise<RelyingPartyRecord> {
  const party = await lockRelyingParty(tx, id);
  if (!party) throw notFound(id);
  return party;
}

/** Changes the locked relying party and returns it as it now is. */
export async function changeLocked(tx: Tx, party: RelyingPartyRecord, patch: RelyingPartyPatch, now: Date): Promise<RelyingPartyRecord> {
  if (!(await updateRelyingParty(tx, party, patch, now))) throw new Error('a relying party changed under its lock');
  return { ...party, ...patch, version: party.version + 1, updatedAt: now };
}

export const notFound = (id: string): SignetError => new SignetError('relying-party-not-found', `there is no relying party ${id}`);

export const nameTaken = (name: string): SignetError => new SignetError('relying-party-name-taken', `another relying party has the name ${name}`);

/** @throws SignetError `owner-suspended` */
export function assertOwner({ state }: Pick<OwnerRecord, 'state'>): void {
  if (state !== 'active') throw new SignetError('owner-suspended', 'the owner of the relying party is suspended');
}
