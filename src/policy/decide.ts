import type { Profile } from '../profiles/profile.ts';
import { formatAgentSpiffeId } from '../core/spiffe-id.ts';
import type { KeyAlgorithm } from '../x509/algorithms.ts';

/** What the registration says of the agent now. */
export interface Registration {
  agentId: string;
  /** Grows with every change of the registration. */
  version: number;
  agentName: string;
  dnsNames: readonly string[];
  ttlCapSeconds: number | undefined;
}

/** What is asked for: names of the CSR and the request, lifetime, key. */
export interface DecisionRequest {
  trustDomain: string;
  instanceId: string;
  keyAlgorithm: KeyAlgorithm;
  /** Common names of the CSR's subject; any other subject attribute is counted in `otherNames`. */
  commonNames: readonly string[];
  uris: readonly string[];
  dnsNames: readonly string[];
  otherNames: number;
  ttlSeconds: number | undefined;
}

export type Decision =
  | { allow: true; spiffeId: string; dnsNames: readonly string[]; ttlSeconds: number }
  | { allow: false; code: 'names-not-granted' | 'ttl-not-granted' | 'key-type-not-allowed'; detail: string; granted: string[] };

/**
 * Decides whether this registration may have this certificate under this profile, and what goes into it. Pure: a policy engine
 * can stand behind the same signature later. Identity comes from the registration; what the profile does not grant is refused,
 * not dropped (DESIGN invariant 4).
 */
export function decide(registration: Registration, profile: Profile, request: DecisionRequest): Decision {
  const spiffeId = formatAgentSpiffeId(request.trustDomain, registration.agentId, profile.instanceInPath ? request.instanceId : undefined);
  const grantable = profile.dnsNames ? registration.dnsNames : [];
  const granted = [`URI:${spiffeId}`, ...grantable.map((name) => `DNS:${name}`), `CN=${registration.agentId}`, `CN=${registration.agentName}`];

  const refused = [
    ...request.commonNames.filter((name) => name !== registration.agentId && name !== registration.agentName).map((name) => `CN=${name}`),
    // The instance id is ours to choose: a CSR made before enrollment cannot know it, so the agent's own id is accepted too.
    ...request.uris.filter((uri) => uri !== spiffeId && uri !== formatAgentSpiffeId(request.trustDomain, registration.agentId)).map((uri) => `URI:${uri}`),
    ...request.dnsNames.filter((name) => !grantable.includes(name.toLowerCase())).map((name) => `DNS:${name}`),
    ...(request.otherNames > 0 ? [`${request.otherNames} name(s) of other kinds`] : []),
  ];
  if (refused.length > 0) {
    return { allow: false, code: 'names-not-granted', detail: `not granted to this agent: ${refused.join(', ')}; granted would be: ${granted.join(', ')}`, granted };
  }
  if (!profile.keyAlgorithms.includes(request.keyAlgorithm)) {
    return { allow: false, code: 'key-type-not-allowed', detail: `profile ${profile.name} accepts keys of ${profile.keyAlgorithms.join(', ')}, not ${request.keyAlgorithm}`, granted };
  }
  const cap = Math.min(profile.maxTtlSeconds, registration.ttlCapSeconds ?? Number.POSITIVE_INFINITY);
  if (request.ttlSeconds !== undefined && request.ttlSeconds > cap) {
    return { allow: false, code: 'ttl-not-granted', detail: `at most ${cap} s are granted, ${request.ttlSeconds} s were asked for`, granted };
  }
  // DNS names go in when asked for; without a request for any, all registered ones do.
  const dnsNames = request.dnsNames.length > 0 ? [...new Set(request.dnsNames.map((name) => name.toLowerCase()))] : grantable;
  return { allow: true, spiffeId, dnsNames, ttlSeconds: request.ttlSeconds ?? Math.min(profile.ttlSeconds, cap) };
}
