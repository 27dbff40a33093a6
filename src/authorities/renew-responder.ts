import type { Origin } from '../audit/events.ts';
import { insertAuthorities, liveAuthorities, retireAll, type AuthorityRecord } from '../db/authorities.ts';
import type { AuthorityConfig } from './templates.ts';
import { issuerOf } from './authority-of.ts';
import { begun, changeAuthority, madeEvent, select, type AuthorityContext } from './change.ts';
import { makeResponder } from './make-certificate.ts';
import { isHalfSpent, wouldOutlast } from './renewal.ts';

export interface ResponderContext extends AuthorityContext {
  readonly config: AuthorityConfig & { readonly ocspValiditySeconds: number };
}

/**
 * Renews the responder of every issuer that still answers, when half of its life has passed or it could no longer back several answers: so no
 * answer's nextUpdate has to be cut for it. Returns the number renewed.
 */
export async function renewDueResponders(ctx: ResponderContext, origin: Origin): Promise<number> {
  const now = ctx.clock.now();
  const due = dueResponders(ctx.config, await liveAuthorities(ctx.db), now);
  let renewed = 0;
  for (const issuer of due) if (await renewResponder(ctx, origin, issuer, now)) renewed++;
  return renewed;
}

/** Issuers whose responder is missing or due; one that ends with its issuer is not. */
export function dueResponders(config: ResponderContext['config'], records: readonly AuthorityRecord[], now: Date): AuthorityRecord[] {
  const reserveMs = 4 * config.ocspValiditySeconds * 1000;
  return select(records, 'issuing').filter((issuer) => {
    if (issuer.notAfter <= now) return false;
    const current = select(records, 'ocsp').findLast((responder) => responder.issuerId === issuer.id);
    return current === undefined || (isHalfSpent(current, now, reserveMs) && wouldOutlast(current, config.responderValidityDays, issuer.notAfter, now));
  });
}

async function renewResponder(ctx: ResponderContext, origin: Origin, issuer: AuthorityRecord, now: Date): Promise<boolean> {
  return begun(ctx, origin, 'renew-responder', async () => {
    const responder = await makeResponder(ctx, issuerOf(issuer, ctx.keyStore), now);
    return changeAuthority(ctx, origin, now, async ({ tx, records }) => {
      // Another replica may have been first, or the issuer may have been retired meanwhile.
      if (!dueResponders(ctx.config, records, now).some((candidate) => candidate.id === issuer.id)) return [];
      await retireAll(tx, select(records, 'ocsp').filter((old) => old.issuerId === issuer.id).map((old) => old.id), now);
      await insertAuthorities(tx, [responder]);
      return [madeEvent('authority.responder-renewed', responder)];
    });
  });
}
