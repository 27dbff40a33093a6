/** Network addresses and blocks of them, as text. */
import { BlockList, isIP } from 'node:net';

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6');

/** An address or block as a block: `10.0.0.1` is `10.0.0.1/32`. Undefined for what is neither. */
export function parseBlock(block: string): { network: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [network = '', length, ...more] = block.split('/');
  if (isIP(network) === 0 || network.includes('%') || more.length > 0) return undefined;
  const family = familyOf(network);
  const bits = family === 'ipv4' ? 32 : 128;
  if (length === undefined) return { network, prefix: bits, family };
  const prefix = /^(0|[1-9][0-9]{0,2})$/.test(length) ? Number(length) : Infinity;
  return prefix <= bits ? { network, prefix, family } : undefined;
}

/** Tells whether an address lies in one of the blocks. An IPv4-mapped IPv6 address is its IPv4 address (RFC 4291 §2.5.5.2). */
export function addressMatcher(blocks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const block of blocks) {
    const parsed = parseBlock(block);
    if (parsed) list.addSubnet(parsed.network, parsed.prefix, parsed.family);
  }
  return (text) => {
    const [address = ''] = text.split('%');
    return isIP(address) !== 0 && list.check(address, familyOf(address));
  };
}

/** An address as it is shown and compared: IPv4-mapped IPv6 (RFC 4291 §2.5.5.2), however it is written, as IPv4; letters small. */
export function plainAddress(address: string): string {
  const lower = address.toLowerCase();
  if (lower.startsWith('::ffff:') && isIP(lower.slice(7)) === 4) return lower.slice(7);
  if (!/^[0:]+:ffff:[^%]+$/.test(lower) || isIP(lower) !== 6) return lower;
  // The URL parser writes every form of an address as one: what is mapped, as `[::ffff:hhhh:hhhh]`.
  const [, high, low] = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(new URL(`http://[${lower}]`).hostname) ?? [];
  return high === undefined || low === undefined ? lower : [high, low].flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]).join('.');
}
