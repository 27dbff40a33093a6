/**
 * SPIFFE IDs (SPIFFE-ID.md §2): `spiffe://<trust domain>/<path>`, read strictly. Only the normal form is accepted: what two readers
 * could take for two different identities (upper case, `%`, empty or dot segments, ports, queries) is not an ID here.
 */
export interface SpiffeId {
  trustDomain: string;
  /** Path segments in order; empty for the ID of the trust domain itself. */
  segments: string[];
}

/** Longest ID in octets, and longest trust domain in characters (SPIFFE-ID.md §2.3, §2.1). */
const MAX_ID_BYTES = 2048;
const MAX_TRUST_DOMAIN_CHARACTERS = 255;

const SCHEME = 'spiffe://';
const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/** Whether `name` can be a trust domain: lower-case letters, digits, `.`, `-`, `_` (SPIFFE-ID.md §2.1). */
export function isTrustDomain(name: string): boolean {
  return name.length <= MAX_TRUST_DOMAIN_CHARACTERS && TRUST_DOMAIN.test(name);
}

const isSegment = (text: string): boolean => SEGMENT.test(text) && text !== '.' && text !== '..';

/** The parts of a SPIFFE ID, or undefined when `text` is not one in normal form. Never throws. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  // Every allowed character is one octet, so counting characters first only refuses what would be refused anyway.
  if (text.length > MAX_ID_BYTES || !text.startsWith(SCHEME)) return undefined;
  const [trustDomain = '', ...segments] = text.slice(SCHEME.length).split('/');
  if (!isTrustDomain(trustDomain) || !segments.every(isSegment)) return undefined;
  return { trustDomain, segments };
}

/**
 * The ID of an agent, or of one instance of it (profiles with `instanceInPath`).
 * @throws RangeError when a part cannot stand in a SPIFFE ID
 */
export function formatAgentSpiffeId(trustDomain: string, agentId: string, instanceId?: string): string {
  const instancePath = instanceId === undefined ? '' : `/instance/${instanceId}`;
  const id = `${SCHEME}${trustDomain}/agent/${agentId}${instancePath}`;
  const expectedSegments = instanceId === undefined ? 2 : 4;
  if (parseSpiffeId(id)?.segments.length !== expectedSegments) throw new RangeError('not a SPIFFE ID');
  return id;
}
