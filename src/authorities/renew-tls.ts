import type { Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { insertAuthorities, liveAuthorities, retireAll, type AuthorityRecord } from '../db/authorities.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { issuerOf } from './authority-of.ts';
import { begun, changeAuthority, madeEvent, select, type AuthorityContext } from './change.ts';
import { makeTls } from './make-certificate.ts';
import { isHalfSpent, wouldOutlast } from './renewal.ts';
import type { AuthorityConfig, TlsNames } from './templates.ts';
import { canonicalHost, tlsNames, type TlsHosts } from './tls-names.ts';

export interface TlsContext extends AuthorityContext {
  readonly config: AuthorityConfig & TlsHosts;
}

/** Names of one certificate, at most: replicas add theirs to what the others need. */
const MAX_NAMES = 64;

/**
 * Renews Signet's TLS certificate when half of its life has passed, it comes from an issuer that is no longer active, or this replica's names are
 * not in it. Replicas share one certificate: names of the others are kept, until half of the life sets them anew. Returns whether it was renewed.
 * @throws SignetError `issuer-unavailable`
 */
export async function renewTlsIfDue(ctx: TlsContext, origin: Origin): Promise<boolean> {
  const now = ctx.clock.now();
  const records = await liveAuthorities(ctx.db);
  const plan = tlsPlan(ctx.config, records, now);
  if (plan === undefined) return false;
  return begun(ctx, origin, 'renew-tls', async () => {
    const tls = await makeTls(ctx, issuerOf(plan.issuer, ctx.keyStore), plan.names, now);
    return changeAuthority(ctx, origin, now, async ({ tx, records: latest }) => {
      const current = tlsPlan(ctx.config, latest, now);
      // Made under an issuer that was switched meanwhile, or from names that were: the next run decides anew.
      if (current === undefined || current.issuer.id !== plan.issuer.id || current.replaces !== plan.replaces) return [];
      await retireAll(tx, select(latest, 'tls').map((old) => old.id), now);
      await insertAuthorities(tx, [tls]);
      return [madeEvent('authority.tls-renewed', tls)];
    });
  });
}

interface TlsPlan {
  issuer: AuthorityRecord;
  names: TlsNames;
  /** Id of the certificate there is. */
  replaces: string | undefined;
}

/** The renewal that is due, or undefined. @throws SignetError `issuer-unavailable` when no issuer could sign it */
export function tlsPlan(config: TlsContext['config'], records: readonly AuthorityRecord[], now: Date): TlsPlan | undefined {
  const [issuer] = select(records, 'issuing', 'active');
  if (issuer === undefined || issuer.notAfter <= now) throw new SignetError('issuer-unavailable', 'there is no issuing authority in force for the TLS certificate');
  const wanted = tlsNames(config);
  const current = select(records, 'tls').at(-1);
  if (current === undefined) return { issuer, names: wanted, replaces: undefined };
  if (isHalfSpent(current, now) && wouldOutlast(current, config.tlsValidityDays, issuer.notAfter, now)) return { issuer, names: wanted, replaces: current.id };
  const carried = namesOf(current);
  const lacking = [...wanted.dnsNames, ...wanted.ipAddresses].some((name) => !carried.dnsNames.includes(name) && !carried.ipAddresses.includes(name));
  if (!lacking && current.issuerId === issuer.id) return undefined;
  return { issuer, names: together(wanted, carried), replaces: current.id };
}

function namesOf(record: AuthorityRecord): TlsNames {
  const names = parseCertificate(record.der).subjectAlternativeName;
  return { dnsNames: names?.dnsNames ?? [], ipAddresses: (names?.ipAddresses ?? []).map(canonicalHost) };
}

function together(wanted: TlsNames, carried: TlsNames): TlsNames {
  const union = (a: readonly string[], b: readonly string[]) => [...new Set([...a, ...b])].toSorted();
  const both = { dnsNames: union(wanted.dnsNames, carried.dnsNames), ipAddresses: union(wanted.ipAddresses, carried.ipAddresses) };
  return both.dnsNames.length + both.ipAddresses.length <= MAX_NAMES ? both : wanted;
}
