import { createAdminToken, type CreatedAdminToken } from '../admins/create.ts';
import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import type { Tx } from '../db/client.ts';
import { countRelyingPartyTokens } from '../db/admin-tokens.ts';
import { relyingPartyToChange, type RelyingPartyContext } from './relying-party.ts';

export interface WantedRelyingPartyToken {
  relyingPartyId: string;
  name: string;
  ttlSeconds: number | undefined;
}

/**
 * Makes an API token of role relying-party that belongs to a relying party. Runs in the caller's transaction (http/idempotency.ts), audit event last.
 * @throws SignetError `relying-party-not-found`, `relying-party-full`, and what `createAdminToken` throws
 */
export async function createRelyingPartyToken(ctx: Pick<RelyingPartyContext, 'config' | 'random'>, tx: Tx, origin: Origin, request: WantedRelyingPartyToken, now: Date): Promise<CreatedAdminToken> {
  const { relyingPartyId, name, ttlSeconds } = request;
  await relyingPartyToChange(tx, relyingPartyId);
  const { relyingPartyTokensMax } = ctx.config;
  if ((await countRelyingPartyTokens(tx, relyingPartyId, now)) >= relyingPartyTokensMax) {
    throw new SignetError('relying-party-full', `a relying party has at most ${relyingPartyTokensMax} usable tokens (relyingPartyTokensMax)`);
  }
  return createAdminToken(ctx, tx, origin, { name, role: 'relying-party', relyingPartyId, ...(ttlSeconds === undefined ? {} : { ttlSeconds }) }, now);
}
