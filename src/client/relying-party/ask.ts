import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { isNeverCalled, judgedLookup } from '../../core/guarded-fetch.ts';

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

/** Private addresses and loopback are where a private authority lives; the addresses where clouds answer with credentials have no status door. */
const faultOf = (address: string): string | undefined => (isNeverCalled(address) ? `${address} is an address where no status is` : undefined);

const MAX_URL = 2_048;

function readUrl(text: string): URL {
  const url = text.length <= MAX_URL ? URL.parse(text) : null;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) throw new AskError('the address is neither http nor https');
  if (url.username !== '' || url.password !== '') throw new AskError('the address has a user in it');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const fault = isIP(host) === 0 ? undefined : faultOf(host);
  if (fault !== undefined) throw new AskError(fault);
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
      agent: false, lookup: judgedLookup(faultOf), method: body ? 'POST' : 'GET', maxHeaderSize: 16_384, ...(tls && { ...tls, minVersion: 'TLSv1.2' }),
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
