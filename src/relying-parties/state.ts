import { announceCredential } from '../admins/announce.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { inTransaction } from '../db/client.ts';
import type { RelyingPartyRecord } from '../db/relying-parties.ts';
import { assertOwner, changeLocked, relyingPartyToChange, type RelyingPartyContext } from './relying-party.ts';

/** A change of state: `reason` is for people, and kept with the relying party and in the audit log. */
export interface StateChange {
  reason: string | undefined;
  now: Date;
}

/**
 * Disables a relying party: whatever it shows is refused, at once by this replica, within a second by every other. Its credentials stay. A disabled one stays
 * as it is. @throws SignetError `relying-party-not-found`
 */
export const disableRelyingParty = (ctx: RelyingPartyContext, origin: Origin, id: string, change: StateChange): Promise<RelyingPartyRecord> => moveTo('disabled', ctx, origin, id, change);

/** Enables a disabled relying party: what it has works again. An active one stays as it is. @throws SignetError `relying-party-not-found`, `owner-suspended` */
export const enableRelyingParty = (ctx: RelyingPartyContext, origin: Origin, id: string, change: StateChange): Promise<RelyingPartyRecord> => moveTo('active', ctx, origin, id, change);

async function moveTo(state: RelyingPartyRecord['state'], ctx: RelyingPartyContext, origin: Origin, id: string, { reason, now }: StateChange): Promise<RelyingPartyRecord> {
  try {
    return await inTransaction(ctx.db, async (tx) => {
      const party = await relyingPartyToChange(tx, id);
      if (party.state === state) return party;
      if (state === 'active') assertOwner({ state: party.ownerState });
      const changed = await changeLocked(tx, party, { state, stateReason: reason ?? null }, now);
      await appendAudit(ctx, tx, origin, now, {
        kind: state === 'active' ? 'relying-party.enabled' : 'relying-party.disabled', outcome: 'success', target: id,
        personal: { reason },
      });
      return changed;
    });
  } finally {
    // Also when the outcome of the commit is unknown.
    await announceCredential(ctx, id);
  }
}
