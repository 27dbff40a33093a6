/** GeneralName (RFC 5280 §4.2.1.6): URIs, DNS names and IP addresses are read; other kinds are counted. */
import { isIP } from 'node:net';
import { DerError, stringValue, type DerCursor, type DerNode } from '../der/reader.ts';
import { contextPrimitive } from '../der/writer.ts';

/** GeneralNames sorted by kind, each kind in the order it came. */
export interface GeneralNames {
  uris: string[];
  dnsNames: string[];
  /** Textual: dotted decimal, or IPv6 as RFC 5952 writes it. */
  ipAddresses: string[];
  /** How many names of other kinds there are. */
  others: number;
}

const DNS_NAME = 0x82;
const URI = 0x86;
const IP_ADDRESS = 0x87;
/** otherName, rfc822Name, x400Address, directoryName, ediPartyName, registeredID. */
const OTHER_KINDS: readonly number[] = [0xa0, 0x81, 0xa3, 0xa4, 0xa5, 0x88];

/** ASCII only. @throws RangeError */
export const encodeUri = (uri: string): Buffer => contextPrimitive(6, ascii(uri));
/** ASCII only. @throws RangeError */
export const encodeDnsName = (name: string): Buffer => contextPrimitive(2, ascii(name));
/** @throws RangeError when it is not an IP address */
export const encodeIpAddress = (address: string): Buffer => contextPrimitive(7, ipOctets(address));

/** Reads every remaining element of a level as a GeneralName. @throws DerError */
export function parseGeneralNames(level: DerCursor): GeneralNames {
  const names: GeneralNames = { uris: [], dnsNames: [], ipAddresses: [], others: 0 };
  while (!level.done) addGeneralName(names, level.next());
  return names;
}

/** Sorts one GeneralName into `names`. @throws DerError */
export function addGeneralName(names: GeneralNames, node: DerNode): void {
  if (node.tag === URI) names.uris.push(stringValue(node));
  else if (node.tag === DNS_NAME) names.dnsNames.push(stringValue(node));
  else if (node.tag === IP_ADDRESS) names.ipAddresses.push(ipText(node));
  else if (OTHER_KINDS.includes(node.tag)) names.others++;
  else throw new DerError(`unknown GeneralName 0x${node.tag.toString(16)}`, node.offset);
}

function ascii(text: string): Buffer {
  const octets = Buffer.from(text, 'latin1');
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) throw new RangeError('a name holds characters outside ASCII');
  return octets;
}

function ipText({ content, offset }: DerNode): string {
  if (content.length === 4) return content.join('.');
  if (content.length !== 16) throw new DerError('iPAddress is not 4 or 16 octets', offset);
  const groups = Array.from({ length: 8 }, (_, i) => content.readUInt16BE(2 * i).toString(16));
  return shortIpv6(groups.join(':'));
}

/** Octets of an IP address as it is written. @throws RangeError when it is none */
export function ipOctets(address: string): Buffer {
  const version = isIP(address);
  if (version === 4) return Buffer.from(address.split('.').map(Number));
  if (version !== 6 || address.includes('%')) throw new RangeError('not an IP address');
  const [head = '', tail] = shortIpv6(address).split('::');
  const groups = (text: string | undefined) => (text ? text.split(':') : []);
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** RFC 5952 form, as the URL standard writes hosts. */
const shortIpv6 = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1);
