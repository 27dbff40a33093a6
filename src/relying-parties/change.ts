import { isDeepStrictEqual } from 'node:util';
import { announceCredential } from '../admins/announce.ts';
import type { ChangeRelyingPartyBody } from '../api/relying-parties.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { isUniqueViolation } from '../db/errors.ts';
import { takeOwner } from '../db/owners.ts';
import type { RelyingPartyPatch, RelyingPartyRecord } from '../db/relying-parties.ts';
import { assertOwner, changeLocked, nameTaken, relyingPartyToChange, type RelyingPartyContext } from './relying-party.ts';

/** A change of a registration: what is left out stays. `version`: the one it is based on (If-Match). */
export interface RelyingPartyChange {
  changes: ChangeRelyingPartyBody;
  version: number | undefined;
  now: Date;
}

/**
 * Changes a relying party. What it may ask counts from the answer on in this replica, within a second elsewhere. Setting what is already so changes nothing,
 * the version included.
 * @throws SignetError `relying-party-not-found`, `relying-party-changed`, `relying-party-name-taken`, `owner-suspended`
 */
export async function changeRelyingParty(ctx: RelyingPartyContext, origin: Origin, id: string, { changes, version, now }: RelyingPartyChange): Promise<RelyingPartyRecord> {
  try {
    return await inTransaction(ctx.db, async (tx) => {
      const owner = changes.ownerEmail === undefined ? undefined : await takeOwner(tx, { id: ulid(now, ctx.random), email: changes.ownerEmail }, now);
      const party = await relyingPartyToChange(tx, id);
      if (version !== undefined && version !== party.version) {
        throw new SignetError('relying-party-changed', `the relying party is at version ${party.version}, not ${version}: read it again and decide anew`);
      }
      const { ownerEmail: _, ...fields } = changes;
      const wanted = { ...fields, ...(owner && { ownerId: owner.id }) };
      const patch: RelyingPartyPatch = Object.fromEntries(Object.entries(wanted).filter(([field, value]) => !isDeepStrictEqual(value, party[field as keyof RelyingPartyRecord])));
      if (Object.keys(patch).length === 0) return party;
      if (patch.ownerId !== undefined && owner) assertOwner(owner);

      const changed = await applyPatch(tx, party, patch, now);
      const { ownerId, ...shown } = patch;
      await appendAudit(ctx, tx, origin, now, {
        kind: 'relying-party.changed', outcome: 'success', target: id, detail: { version: changed.version, ...shown },
        ...(ownerId !== undefined && owner && { personal: { ownerEmail: owner.email } }),
      });
      return owner ? { ...changed, ownerEmail: owner.email, ownerState: owner.state } : changed;
    });
  } finally {
    await announceCredential(ctx, id);
  }
}

async function applyPatch(tx: Tx, party: RelyingPartyRecord, patch: RelyingPartyPatch, now: Date): Promise<RelyingPartyRecord> {
  try {
    return await changeLocked(tx, party, patch, now);
  } catch (error) {
    if (patch.name !== undefined && isUniqueViolation(error)) throw nameTaken(patch.name);
    throw error;
  }
}
