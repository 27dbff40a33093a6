import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { insertAuthorities, liveAuthorities, retireAll, type AuthorityRecord } from '../db/authorities.ts';
import { issuerOf } from './authority-of.ts';
import { begun, changeAuthority, madeEvent, select, type AuthorityContext } from './change.ts';
import { makeFeedKey } from './make-certificate.ts';
import { isHalfSpent, wouldOutlast } from './renewal.ts';

/**
 * Renews the key of the live feed when half of its life has passed, there is none, or it comes from an issuer that is no longer active. Nothing is missed
 * meanwhile: a process signs with the old key until it has seen the new one, and clients judge each by its own certificate. Returns whether it was renewed.
 * @throws SignetError `issuer-unavailable`
 */
export async function renewFeedKeyIfDue(ctx: AuthorityContext, origin: Origin): Promise<boolean> {
  const now = ctx.clock.now();
  const issuer = issuerOfDue(ctx.config, await liveAuthorities(ctx.db), now);
  if (!issuer) return false;
  return begun(ctx, origin, 'renew-feed-key', async () => {
    const feedKey = await makeFeedKey(ctx, issuerOf(issuer, ctx.keyStore), now);
    return changeAuthority(ctx, origin, now, async ({ tx, records }) => {
      // Another replica may have been first, or the issuer may have been switched meanwhile: the next run decides anew.
      if (issuerOfDue(ctx.config, records, now)?.id !== issuer.id) return [];
      await retireAll(tx, select(records, 'feed').map((old) => old.id), now);
      await insertAuthorities(tx, [feedKey]);
      return [madeEvent('authority.feed-key-renewed', feedKey)];
    });
  });
}

/** The issuer of the renewal that is due; undefined while none is. @throws SignetError `issuer-unavailable` */
export function issuerOfDue(config: Pick<AuthorityContext['config'], 'responderValidityDays'>, records: readonly AuthorityRecord[], now: Date): AuthorityRecord | undefined {
  const [issuer] = select(records, 'issuing', 'active');
  if (issuer === undefined || issuer.notAfter <= now) throw new SignetError('issuer-unavailable', 'there is no issuing authority in force for the key of the feed');
  const current = select(records, 'feed').at(-1);
  const isGood = current?.issuerId === issuer.id && !(isHalfSpent(current, now) && wouldOutlast(current, config.responderValidityDays, issuer.notAfter, now));
  return isGood ? undefined : issuer;
}
