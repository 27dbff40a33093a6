import type { AuditEvent, Origin } from '../audit/events.ts';
import { liveAuthorities, lockIssuance, moveAuthority, retireAll, type AuthorityRecord } from '../db/authorities.ts';
import { MAX_LEAF_SECONDS, type Profiles } from '../profiles/profile.ts';
import { changeAuthority, select, type AuthorityContext } from './change.ts';
import type { AuthorityConfig } from './templates.ts';

/** A replica may sign under an issuer that was replaced until it has seen the switch: seconds later. An hour leaves no doubt. */
const SWITCH_SECONDS = 3_600;

export interface RetireContext extends AuthorityContext {
  readonly config: AuthorityConfig & { readonly crlIntervalSeconds: number; readonly crlValiditySeconds: number };
  readonly profiles: Profiles;
}

/**
 * Retires issuers whose last leaf is dead, with their responders, and roots that have ended, with the cross certificates they signed or were given.
 * Dead: expired long enough that it stood on one more list and may no longer be renewed after its expiry. Returns the ids retired.
 */
export async function retireAuthorities(ctx: RetireContext, origin: Origin): Promise<string[]> {
  const now = ctx.clock.now();
  const records = await liveAuthorities(ctx.db);
  const retired: string[] = [];
  for (const issuer of select(records, 'issuing', 'retiring')) {
    if (await retireIssuer(ctx, origin, issuer, now)) retired.push(issuer.id);
  }
  for (const root of select(records, 'root', 'retiring').filter((candidate) => candidate.notAfter <= now)) {
    if (await retireRoot(ctx, origin, root, now)) retired.push(root.id);
  }
  return retired;
}

/** Leaves that expired before this need their issuer no more. */
export function deadBefore(ctx: Pick<RetireContext, 'config' | 'profiles'>, now: Date): Date {
  const listedSeconds = ctx.config.crlIntervalSeconds + ctx.config.crlValiditySeconds;
  return new Date(now.getTime() - Math.max(ctx.profiles.longestGraceSeconds, listedSeconds) * 1000);
}

/**
 * When the last leaf of an issuer is over at the latest, by the calendar alone: no certificate is looked at, however many there are. By the bound on all
 * profiles, because what was issued yesterday may come from a longer profile than there is today.
 */
function lastLeafEnds(retiringAt: Date, issuerEnds: Date): Date {
  return new Date(Math.min(retiringAt.getTime() + (SWITCH_SECONDS + MAX_LEAF_SECONDS) * 1000, issuerEnds.getTime()));
}

async function retireIssuer(ctx: RetireContext, origin: Origin, issuer: AuthorityRecord, now: Date): Promise<boolean> {
  if (issuer.retiringAt === null || lastLeafEnds(issuer.retiringAt, issuer.notAfter) > deadBefore(ctx, now)) return false;
  return changeAuthority(ctx, origin, now, async ({ tx, records }) => {
    const signed = records.filter((record) => record.issuerId === issuer.id);
    if (select(signed, 'tls').length > 0 || select(signed, 'feed').length > 0) return [];
    // No batch is in flight: whatever comes later finds the issuer retired.
    await lockIssuance(tx);
    if (!(await moveAuthority(tx, issuer.id, 'retiring', 'retired', now))) return [];
    await retireAll(tx, signed.map((record) => record.id), now);
    return [retiredEvent(issuer)];
  });
}

async function retireRoot(ctx: RetireContext, origin: Origin, root: AuthorityRecord, now: Date): Promise<boolean> {
  return changeAuthority(ctx, origin, now, async ({ tx, records }) => {
    if (select(records, 'issuing').some((issuer) => issuer.issuerId === root.id)) return [];
    if (!(await moveAuthority(tx, root.id, 'retiring', 'retired', now))) return [];
    const crosses = select(records, 'cross').filter((cross) => cross.issuerId === root.id || cross.ski.equals(root.ski));
    await retireAll(tx, crosses.map((cross) => cross.id), now);
    return [retiredEvent(root)];
  });
}

const retiredEvent = (record: AuthorityRecord): AuditEvent => ({
  kind: 'authority.retired',
  outcome: 'success',
  serial: record.serial,
  target: record.id,
  detail: { kind: record.kind, notAfter: record.notAfter.toISOString() },
});
