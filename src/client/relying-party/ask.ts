import type { LookupAddress } from 'node:dns';
import dns from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import net, { BlockList, isIP } from 'node:net';

/** Nobody answered, or not with what may be taken. */
export class AskError extends Error {
  override readonly name = 'AskError';
}

export interface Question {
  url: string;
  /** POSTed; without it the question is a GET. */
  body?: { octets: Uint8Array; contentType: string };
  headers?: Record<string, string>;
  /** Octets of an answer; more break it off. */
  maxBytes: number;
  /** For the whole answer, milliseconds. */
  timeoutMs: number;
  /** For https: the only roots, PEM, and what else the server must be. */
  tls?: { ca: string; checkServerIdentity?: https.RequestOptions['checkServerIdentity'] };
}

export interface Reply {
  status: number;
  octets: Buffer;
  headers: http.IncomingHttpHeaders;
}

/**
 * Addresses that no status door has: unspecified, link-local (where clouds answer with credentials, RFC 3927, RFC 4291 §2.5.6), multicast and broadcast. Private addresses and
 * loopback are where a private authority lives.
 */
const NOWHERE = new BlockList();
for (const [network, prefix] of [['0.0.0.0', 8], ['169.254.0.0', 16], ['224.0.0.0', 3]] as const) NOWHERE.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [['::', 128], ['fe80::', 10], ['ff00::', 8], ['fd00:ec2::254', 128]] as const) NOWHERE.addSubnet(network, prefix, 'ipv6');

const isNowhere = (address: string): boolean => NOWHERE.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** Resolves names as ever, and connects to none of the addresses above: checked where the connection goes, so that a name cannot say one thing and mean another. */
const guardedLookup: net.LookupFunction = (host, options, callback) => {
  dns.lookup(host, { ...options, all: true }, (error, found) => {
    const [first] = found ?? [];
    if (error || !first) return callback(error ?? new AskError(`${host} has no address`), '', 0);
    const bad = found.find(({ address }) => isNowhere(address));
    if (bad) return callback(new AskError(`${host} is ${bad.address}, where no status is`), '', 0);
    if (options.all === true) return (callback as unknown as (error: null, all: LookupAddress[]) => void)(null, found);
    callback(null, first.address, first.family);
  });
};

const MAX_URL = 2_048;

function readUrl(text: string): URL {
  const url = text.length <= MAX_URL ? URL.parse(text) : null;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) throw new AskError('the address is neither http nor https');
  if (url.username !== '' || url.password !== '') throw new AskError('the address has a user in it');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && isNowhere(host)) throw new AskError(`${host} is an address where no status is`);
  return url;
}

/** Room for an answer: of the length it says it has, else growing. */
function createRoom(length: number | undefined, maxBytes: number) {
  let room = Buffer.allocUnsafeSlow(Math.min(length ?? 4_096, maxBytes));
  let used = 0;
  return {
    add(part: Buffer): boolean {
      if (used + part.length > maxBytes) return false;
      if (used + part.length > room.length) {
        const larger = Buffer.allocUnsafeSlow(Math.min(maxBytes, Math.max(room.length * 2, used + part.length)));
        room.copy(larger, 0, 0, used);
        room = larger;
      }
      used += part.copy(room, used);
      return true;
    },
    octets: () => room.subarray(0, used),
  };
}

const lengthOf = (text: string | undefined): number | undefined => (text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined);

/**
 * Asks once, follows no redirect, and takes only what comes whole, in time and not too large. An address from a certificate may be given to it only once the
 * certificate is trusted. @throws AskError
 */
export function ask({ url: text, body, headers = {}, maxBytes, timeoutMs, tls }: Question): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const url = readUrl(text);
    const fail = (why: string): void => {
      clearTimeout(late);
      reject(new AskError(`${url.origin}: ${why}`));
      request.destroy();
    };
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      agent: false, lookup: guardedLookup, method: body ? 'POST' : 'GET', maxHeaderSize: 16_384, ...(tls && { ...tls, minVersion: 'TLSv1.2' }),
      headers: { ...headers, ...(body && { 'content-type': body.contentType, 'content-length': String(body.octets.length) }) },
    });
    const late = setTimeout(() => fail(`no whole answer within ${timeoutMs} ms`), timeoutMs);
    request.once('error', (error) => fail(error.message));
    request.once('response', (response) => {
      const length = lengthOf(response.headers['content-length']);
      if (length !== undefined && length > maxBytes) return fail(`the answer is larger than ${maxBytes} octets`);
      const room = createRoom(length, maxBytes);
      response.on('data', (part: Buffer) => {
        if (!room.add(part)) fail(`the answer is larger than ${maxBytes} octets`);
      });
      response.once('error', (error) => fail(error.message));
      response.once('close', () => {
        if (!response.complete) return fail('the answer broke off');
        clearTimeout(late);
        resolve({ status: response.statusCode ?? 0, octets: room.octets(), headers: response.headers });
      });
    });
    request.end(body?.octets);
  });
}
