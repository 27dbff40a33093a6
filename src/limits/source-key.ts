/**
 * What requests from an address are counted under: an IPv4 address itself, an IPv6 address with all others of its /64. Who has one IPv6 address has its
 * whole /64 (RFC 4291 §2.5.4, RFC 6177), and could else count as 2⁶⁴ sources.
 */
export function sourceKey(address: string): string {
  if (!address.includes(':')) return address;
  const [upper = '', lower] = (address.split('%')[0] ?? '').split('::');
  const front = groupsOf(upper);
  const back = lower === undefined ? [] : groupsOf(lower);
  // An IPv4 address at the end is two groups; that it is written as one changes nothing in front of it but the zeros between.
  const zeros = 8 - front.length - back.length - (back.at(-1)?.includes('.') === true ? 1 : 0);
  const groups = lower === undefined ? front : [...front, ...Array<string>(Math.max(0, zeros)).fill('0'), ...back];
  return `${groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(':')}::/64`;
}

const groupsOf = (part: string): string[] => (part === '' ? [] : part.split(':'));
