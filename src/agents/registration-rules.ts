import { SignetError, type FieldFault } from '../core/errors.ts';
import type { AgentRecord } from '../db/agents.ts';
import type { AgentContext } from './agent.ts';
import { isDnsName, reservedDnsNames } from './dns-names.ts';

/** The part of a registration that configuration and profiles have a say in. */
export type JudgedRegistration = Pick<AgentRecord, 'labels' | 'dnsNames' | 'profile' | 'ttlCapSeconds'>;

/** Faults named in one answer at most. */
const MAX_FAULTS = 20;

/**
 * Holds a registration against configuration and profiles as they are now.
 * @throws SignetError `invalid-request` (by field), `dns-name-reserved`, `profile-not-found`, `ttl-not-granted`
 */
export function assertRegistrable(ctx: Pick<AgentContext, 'config' | 'profiles'>, agent: JudgedRegistration): void {
  const faults = [...labelFaults(ctx, agent), ...dnsNameFaults(ctx, agent)].slice(0, MAX_FAULTS);
  if (faults[0]) throw new SignetError('invalid-request', `${faults[0].path}: ${faults[0].message}`, { fields: faults });

  const reserved = reservedDnsNames(ctx.config);
  const own = agent.dnsNames.filter((name) => reserved.has(name));
  if (own.length > 0) throw new SignetError('dns-name-reserved', `these names are Signet's own and cannot be an agent's: ${own.join(', ')}`);

  const profile = ctx.profiles.get(agent.profile);
  if (!profile) throw new SignetError('profile-not-found', `there is no profile ${agent.profile}; known: ${ctx.profiles.names().join(', ')}`);
  if (agent.ttlCapSeconds !== null && agent.ttlCapSeconds > profile.maxTtlSeconds) {
    throw new SignetError('ttl-not-granted', `ttlCapSeconds may be at most ${profile.maxTtlSeconds}, the maximum of profile ${profile.name}`);
  }
}

function labelFaults(ctx: Pick<AgentContext, 'config'>, { labels }: JudgedRegistration): FieldFault[] {
  const { labelsMax } = ctx.config;
  return Object.keys(labels).length > labelsMax ? [{ path: '/labels', message: `must have at most ${labelsMax} members` }] : [];
}

function dnsNameFaults(ctx: Pick<AgentContext, 'config'>, { dnsNames }: JudgedRegistration): FieldFault[] {
  const { maxNames } = ctx.config;
  // All registered names go into a certificate that asks for none in particular; its SPIFFE ID is one name more.
  if (dnsNames.length >= maxNames) return [{ path: '/dnsNames', message: `must have fewer than ${maxNames} members` }];
  return dnsNames.flatMap((name, i) => {
    if (!isDnsName(name)) return [{ path: `/dnsNames/${i}`, message: 'must be a host name: lower-case letters, digits and dashes, no wildcard, no IP address' }];
    return dnsNames.indexOf(name) < i ? [{ path: `/dnsNames/${i}`, message: 'is there twice' }] : [];
  });
}
