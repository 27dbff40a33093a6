import { isIP } from 'node:net';

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;
const MAX_CHARACTERS = 253;

/**
 * Whether this is one host name in the form a certificate carries it: lower-case letters, digits and dashes (RFC 5280 §4.2.1.6, RFC 1034 §3.5),
 * A-labels for other scripts, no wildcard, no trailing dot, and nothing that could be taken for an IP address.
 */
export function isDnsName(name: string): boolean {
  if (name.length > MAX_CHARACTERS || isIP(name) !== 0) return false;
  const labels = name.split('.');
  // The WHATWG host parser reads a last label of digits as part of an IPv4 address (inet_aton does too).
  return labels.every((label) => LABEL.test(label)) && !/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '');
}

/** The hosts Signet itself is reached at: a certificate for one of them would let an agent stand in for Signet. */
export function reservedDnsNames(config: {
  publicUrl: string;
  apiUrl: string;
  mtlsUrl: string;
  apiListen: { host: string };
  mtlsListen: { host: string };
  statusListen: { host: string };
  trustDomain: string;
}): Set<string> {
  const urls = [config.publicUrl, config.apiUrl, config.mtlsUrl].map((url) => new URL(url).hostname);
  const listen = [config.apiListen, config.mtlsListen, config.statusListen].map(({ host }) => host);
  return new Set([...urls, ...listen, config.trustDomain, 'localhost', 'localhost.localdomain'].map((host) => host.toLowerCase().replace(/\.$/, '')));
}
