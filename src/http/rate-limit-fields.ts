import type { LimitStanding } from '../limits/rate-limited.ts';

/**
 * RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10): Lists of Structured Fields (RFC 9651), an item for each limit that the request
 * was counted by. `w` is the time in which the whole quota comes back.
 */
export function rateLimitFields(standings: readonly LimitStanding[]): Record<string, string> {
  let policies = '';
  let limits = '';
  for (const { policy, remaining, resetSeconds } of standings) {
    const comma = policies === '' ? '' : ', ';
    policies += `${comma}"${policy.name}";q=${policy.quota};w=${policy.windowSeconds}`;
    limits += `${comma}"${policy.name}";r=${remaining};t=${resetSeconds}`;
  }
  return policies === '' ? {} : { 'ratelimit-policy': policies, ratelimit: limits };
}
