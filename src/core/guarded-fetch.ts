import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { addressMatcher, plainAddress } from './addresses.ts';

/**
 * The one way out: every request that Signet itself makes to an address from its configuration or from others goes through here. https, plain http only where it is
 * allowed; no redirects; addresses of the cloud's metadata services and other link-local ones are never called, whatever a name resolves to; limits on time and size.
 */
export interface GuardedRequest {
  url: string;
  method: 'GET' | 'POST';
  body?: Uint8Array;
  contentType?: string;
  /** Time for all of it, milliseconds. */
  timeoutMs: number;
  /** Octets of the body of the answer. */
  maxOctets: number;
  /** Ends it early. */
  signal?: AbortSignal;
}

export interface GuardedAnswer {
  status: number;
  contentType: string | undefined;
  body: Buffer;
}

export type GuardedFetch = (request: GuardedRequest) => Promise<GuardedAnswer>;

/** Why nothing came back. The message repeats no body and no credential. */
export class FetchRefused extends Error {
  override readonly name = 'FetchRefused';
}

const LOOPBACK = ['127.0.0.0/8', '::1'];
/**
 * Link-local (RFC 3927, RFC 4291 §2.5.6: where metadata services are), "this network", multicast, reserved; metadata addresses of AWS, Google and Azure beyond them; and forms of IPv6 that are a
 * way to an IPv4 address: NAT64 (RFC 6052, RFC 8215), 6to4 and IPv4-compatible ones of link-local addresses, IPv4-translated ones (RFC 2765 §2.1).
 */
const NEVER = [
  '0.0.0.0/8', '169.254.0.0/16', '192.0.0.192/32', '100.100.100.200/32', '224.0.0.0/4', '240.0.0.0/4', '::', 'fe80::/10', 'ff00::/8', 'fd00:ec2::254', 'fd20:ce::254', '168.63.129.16/32',
  '64:ff9b::/96', '64:ff9b:1::/48', '2002:a9fe::/32', '::a9fe:0/112', '::ffff:0:0:0/96',
];
const never = addressMatcher(NEVER);

/** Whether no request of ours ever goes to this address, whoever asks for it. */
export const isNeverCalled = (address: string): boolean => never(plainAddress(address));

/** @param httpBlocks networks, besides loopback, to which plain http is allowed */
export function createGuardedFetch(httpBlocks: readonly string[]): GuardedFetch {
  const mayHttp = addressMatcher([...LOOPBACK, ...httpBlocks]);
  return (request) => send(request, mayHttp);
}

function send({ url: text, method, body, contentType, timeoutMs, maxOctets, signal }: GuardedRequest, mayHttp: (address: string) => boolean): Promise<GuardedAnswer> {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return Promise.reject(new FetchRefused('the address is neither https nor http'));
  if (url.username !== '' || url.password !== '') return Promise.reject(new FetchRefused('the address holds a credential'));
  const isPlain = url.protocol === 'http:';
  const judge = (address: string): string | undefined => {
    const plain = plainAddress(address);
    if (isNeverCalled(plain)) return `${plain} is not called: a link-local, metadata or reserved address`;
    if (isPlain && !mayHttp(plain)) return `${plain} is called by https only (outgoingHttp)`;
    return undefined;
  };
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const fault = isIP(host) === 0 ? undefined : judge(host);
  if (fault !== undefined) return Promise.reject(new FetchRefused(fault));

  return new Promise((resolve, reject) => {
    const headers = { accept: '*/*', 'user-agent': 'signet', ...(body ? { 'content-length': body.length, 'content-type': contentType ?? 'application/octet-stream' } : {}) };
    // No agent: a connection is used once, so that each is judged by the addresses of its own look-up.
    const req: ClientRequest = (isPlain ? httpRequest : httpsRequest)(url, { method, headers, agent: false, lookup: judgedLookup(judge), maxHeaderSize: 16_384 });
    const timer = setTimeout(() => end(new FetchRefused(`no whole answer in ${timeoutMs} ms`)), timeoutMs);
    const onAbort = (): void => end(new FetchRefused('it was ended early'));
    const end = (outcome: GuardedAnswer | Error): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      req.destroy();
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
    req.on('error', (error) => end(error instanceof FetchRefused ? error : new FetchRefused(`the request failed: ${(error as NodeJS.ErrnoException).code ?? error.message}`)));
    req.on('response', (res) => {
      readBody(res, maxOctets).then(
        (octets) => end({ status: res.statusCode ?? 0, contentType: res.headers['content-type'], body: octets }),
        (error: unknown) => end(error as Error),
      );
    });
    req.end(body);
  });
}

async function readBody(res: IncomingMessage, maxOctets: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of res) {
    length += (chunk as Buffer).length;
    if (length > maxOctets) throw new FetchRefused(`the answer is longer than ${maxOctets} octets`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** For `lookup` of a request. Every address that a name has is judged, and those that were judged are called: nothing is looked up a second time. `judge` says what is wrong with one. */
export function judgedLookup(judge: (address: string) => string | undefined): LookupFunction {
  return (name, options, callback) => {
    dnsLookup(name, { ...options, all: true }, (error, found) => {
      const addresses: LookupAddress[] = error ? [] : found;
      const fault = addresses.map(({ address }) => judge(address)).find((one) => one !== undefined);
      const failed = error ?? (fault === undefined ? null : new FetchRefused(fault));
      if (options.all === true || failed !== null) callback(failed, addresses);
      else callback(null, addresses[0]?.address ?? '', addresses[0]?.family);
    });
  };
}

