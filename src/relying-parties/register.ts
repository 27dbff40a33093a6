import type { RegisterRelyingPartyBody } from '../api/relying-parties.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import { ulid } from '../core/random.ts';
import type { Tx } from '../db/client.ts';
import { takeOwner } from '../db/owners.ts';
import { findRelyingParty, insertRelyingParty, type RelyingPartyRecord } from '../db/relying-parties.ts';
import { assertOwner, nameTaken, type RelyingPartyContext } from './relying-party.ts';

/**
 * Registers a relying party, active and without a credential. Runs in the caller's transaction (http/idempotency.ts), audit event last.
 * @throws SignetError `relying-party-name-taken`, `owner-suspended`
 */
export async function registerRelyingParty(ctx: Pick<RelyingPartyContext, 'random'>, tx: Tx, origin: Origin, request: RegisterRelyingPartyBody, now: Date): Promise<RelyingPartyRecord> {
  const { name, ownerEmail, mayAsk } = request;
  const owner = await takeOwner(tx, { id: ulid(now, ctx.random), email: ownerEmail }, now);
  assertOwner(owner);
  const id = ulid(now, ctx.random);
  if (!(await insertRelyingParty(tx, { id, name, ownerId: owner.id, mayAsk }, now))) throw nameTaken(name);
  const stored = await findRelyingParty(tx, id);
  if (!stored) throw new Error('a relying party is missing right after it was stored');
  await appendAudit(ctx, tx, origin, now, { kind: 'relying-party.registered', outcome: 'success', target: id, detail: { name, mayAsk }, personal: { ownerEmail } });
  return stored;
}
