import { isIP } from 'node:net';
import type { TlsNames } from './templates.ts';

/** Config that says how Signet's TLS doors are reached. */
export interface TlsHosts {
  readonly apiUrl: string;
  readonly mtlsUrl: string;
  readonly apiListen: { readonly host: string };
  readonly mtlsListen: { readonly host: string };
}

/** Addresses that mean "all interfaces": nobody connects to them. */
const WILDCARDS = new Set(['0.0.0.0', '::']);

/** Names the TLS certificate must carry: hosts of the URLs, the addresses listened on, and this machine. Sorted, in canonical form. */
export function tlsNames(config: TlsHosts): TlsNames {
  const listening = [config.apiListen.host, config.mtlsListen.host].filter((host) => !WILDCARDS.has(host));
  const hosts = [new URL(config.apiUrl).hostname, new URL(config.mtlsUrl).hostname, ...listening, 'localhost', '127.0.0.1', '::1'].map(canonicalHost);
  const unique = [...new Set(hosts)].toSorted();
  return { dnsNames: unique.filter((host) => isIP(host) === 0), ipAddresses: unique.filter((host) => isIP(host) !== 0) };
}

/** Host names in lower case; IPv6 without brackets in the form of RFC 5952. */
export function canonicalHost(host: string): string {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  return new URL(isIP(bare) === 6 ? `http://[${bare}]` : `http://${bare}`).hostname.replace(/^\[(.*)\]$/, '$1');
}
