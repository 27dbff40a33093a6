import { createHash } from 'node:crypto';
import type { Origin } from '../audit/events.ts';
import { StartupError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import { insertAuthorities, liveAuthorities } from '../db/authorities.ts';
import { findCluster, insertCluster } from '../db/cluster.ts';
import { changeAuthority, madeEvent, select, type AuthorityContext } from './change.ts';
import { makeFeedKey, makeIssuing, makeResponder, makeRoot, makeTls } from './make-certificate.ts';
import { tlsNames, type TlsHosts } from './tls-names.ts';

export interface BootstrapDeps extends Omit<AuthorityContext, 'authorities'> {
  readonly config: AuthorityContext['config'] & TlsHosts;
}

const ORIGIN: Origin = { actor: { kind: 'system', id: 'first-start' }, requestId: null, source: null };

/**
 * First start: root, issuing CA, its responder, Signet's TLS certificate and the key of the feed, with the rows of their CRLs, all in one transaction; later starts
 * find them as they were. Call it under the start lock. Lists are still unpublished when it returns.
 * @throws StartupError (78) when the database belongs to another trust domain
 */
export async function bootstrapAuthority(deps: BootstrapDeps): Promise<{ created: boolean; rootFingerprint: string }> {
  const cluster = await findCluster(deps.db);
  if (cluster !== undefined && cluster.trustDomain !== deps.config.trustDomain) {
    throw new StartupError(`the database belongs to trust domain ${cluster.trustDomain}, but SIGNET_TRUST_DOMAIN is ${deps.config.trustDomain}: it cannot be changed once there are certificates`);
  }
  const stored = select(await liveAuthorities(deps.db), 'root', 'active')[0];
  if (stored !== undefined) return { created: false, rootFingerprint: stored.fingerprint.toString('hex') };

  const now = deps.clock.now();
  const { record: rootRecord, root } = await makeRoot(deps, 'active', now);
  const { record: issuerRecord, issuer } = await makeIssuing(deps, root, 'active', now);
  const responder = await makeResponder(deps, issuer, now);
  const tls = await makeTls(deps, issuer, tlsNames(deps.config), now);
  const feed = await makeFeedKey(deps, issuer, now);
  const made = [rootRecord, issuerRecord, responder, tls, feed];
  const created = await changeAuthority({ ...deps, authorities: NOT_YET_OPEN }, ORIGIN, now, async ({ tx, records }) => {
    if (records.length > 0) return [];
    if (cluster === undefined) await insertCluster(tx, { id: ulid(now, deps.random), trustDomain: deps.config.trustDomain, createdAt: now });
    await insertAuthorities(tx, made);
    return made.map((record) => madeEvent('authority.created', record));
  });
  if (!created) return bootstrapAuthority(deps);
  return { created, rootFingerprint: createHash('sha256').update(root.der).digest('hex') };
}

const NOT_YET_OPEN = { reload: () => Promise.resolve() };
