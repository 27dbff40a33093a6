import type { Config } from '../config/schema.ts';
import { createBackOff, type BackOff } from './back-off.ts';
import type { LimitPolicy } from './rate-limited.ts';
import { createRateLimiter, type RateLimiter } from './rate-limiter.ts';

/** What a request counts as: cheap reads, changes, signing work, status questions, health. */
export const RATE_CLASSES = ['read', 'change', 'issue', 'status', 'health'] as const;
export type RateClass = (typeof RATE_CLASSES)[number];

/** Credentials that a stranger can try one after the other. */
export type TriedCredential = 'api-token' | 'join-token';

/** One limit. */
export interface Limit {
  policy: LimitPolicy;
  limiter: RateLimiter;
  /** Labels of the metric. */
  labels: { kind: string; class: string };
  /** Said to who is over it. */
  detail: string;
}

type LimitKind = 'source' | 'caller' | 'agent' | 'join-token';

const WHOSE: Readonly<Record<LimitKind, string>> = {
  source: 'from this address',
  caller: 'of this caller',
  agent: 'of this agent',
  'join-token': 'with this join token',
};

/** The limits as configured; one that is set to 0 is not there. */
export function configuredLimits(config: Config) {
  const limit = (kind: LimitKind, rate: RateClass, ratePerSecond: number, burst: number): Limit | undefined => {
    if (ratePerSecond === 0) return undefined;
    return {
      policy: { name: `${kind}-${rate}`, quota: burst, windowSeconds: Math.ceil(burst / ratePerSecond) },
      limiter: createRateLimiter({ ratePerSecond, burst }, config.rateLimitKeys),
      labels: { kind, class: rate },
      detail: `too many \`${rate}\` requests ${WHOSE[kind]}: ${ratePerSecond} a second may come, and ${burst} at once after a quiet time`,
    };
  };
  const source: Readonly<Record<RateClass, Limit | undefined>> = {
    read: limit('source', 'read', config.sourceReadRate, config.sourceReadBurst),
    change: limit('source', 'change', config.sourceChangeRate, config.sourceChangeBurst),
    issue: limit('source', 'issue', config.sourceIssueRate, config.sourceIssueBurst),
    status: limit('source', 'status', config.sourceStatusRate, config.sourceStatusBurst),
    health: limit('source', 'health', config.sourceHealthRate, config.sourceHealthBurst),
  };
  const caller: Readonly<Partial<Record<RateClass, Limit | undefined>>> = {
    read: limit('caller', 'read', config.callerReadRate, config.callerReadBurst),
    change: limit('caller', 'change', config.callerChangeRate, config.callerChangeBurst),
    status: limit('caller', 'status', config.callerStatusRate, config.callerStatusBurst),
  };
  return {
    source,
    caller,
    agent: limit('agent', 'issue', config.agentIssueRate, config.agentIssueBurst),
    joinToken: limit('join-token', 'issue', config.joinTokenIssueRate, config.joinTokenIssueBurst),
    connection: connectionLimiter(config),
    waits: { 'api-token': backOff(config), 'join-token': backOff(config) } satisfies Record<TriedCredential, BackOff | undefined>,
  };
}

function connectionLimiter({ sourceConnectionRate: ratePerSecond, sourceConnectionBurst: burst, rateLimitKeys }: Config): RateLimiter | undefined {
  return ratePerSecond === 0 ? undefined : createRateLimiter({ ratePerSecond, burst }, rateLimitKeys);
}

function backOff({ credentialFailures: allowed, credentialFailureWindowSeconds, credentialWaitMaxSeconds, rateLimitKeys: maxKeys }: Config): BackOff | undefined {
  return allowed === 0 ? undefined : createBackOff({ allowed, windowMs: credentialFailureWindowSeconds * 1000, maxWaitMs: credentialWaitMaxSeconds * 1000, maxKeys });
}
