import type http from 'node:http';
import https from 'node:https';
import { ApiError, problemOf } from '../api-client.ts';
import { createEventReader, type ServerSentEvent } from './server-sent-events.ts';

export interface StreamOptions {
  /** Base URL of a door. */
  url: string;
  path: string;
  trustBundle: string;
  token?: string | undefined;
  identity?: { certificate: string; key: string } | undefined;
  /** No octet for so long: it is given up. */
  silenceMs: number;
  signal: AbortSignal;
}

const MAX_PROBLEM = 65_536;

function open(options: StreamOptions, accept: string, onResponse: (response: http.IncomingMessage) => void, onError: (error: Error) => void): http.ClientRequest {
  const { url, path, trustBundle, token, identity, silenceMs, signal } = options;
  const request = https.request(new URL(path, url), {
    agent: false, ca: trustBundle, minVersion: 'TLSv1.2', timeout: silenceMs, signal,
    ...(identity ? { cert: identity.certificate, key: identity.key } : {}),
    headers: { accept, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  }, onResponse);
  request.on('timeout', () => request.destroy(new Error(`nothing came for ${silenceMs} ms`)));
  request.on('error', onError);
  request.end();
  return request;
}

/** @throws ApiError for any answer that is not 200, and node's own error when there is none */
async function refused(response: http.IncomingMessage): Promise<never> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) if ((size += part.length) <= MAX_PROBLEM) parts.push(part);
  const text = Buffer.concat(parts).toString('utf8');
  const retryAfter = response.headers['retry-after'];
  throw new ApiError(response.statusCode ?? 0, problemOf({ contentType: response.headers['content-type'] ?? '', text }), text, retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined);
}

/** Reads server-sent events until the stream ends. What `onEvent` throws ends it. @throws ApiError, and whatever breaks it off */
export function readEvents(options: StreamOptions, onEvent: (event: ServerSentEvent) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = open(options, 'text/event-stream', (response) => {
      if (response.statusCode !== 200) return void refused(response).catch(reject);
      const read = createEventReader(onEvent);
      response.on('data', (octets: Buffer) => {
        try {
          read(octets);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
          request.destroy();
        }
      });
      response.once('error', reject).once('end', resolve).once('close', resolve);
    }, reject);
  });
}

/** Reads lines until the answer ends. @throws ApiError, whatever `onLine` throws, and whatever breaks it off */
export function readLines(options: StreamOptions, onLine: (line: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = open(options, 'application/x-ndjson', (response) => {
      if (response.statusCode !== 200) return void refused(response).catch(reject);
      let rest: Buffer = Buffer.alloc(0);
      response.on('data', (octets: Buffer) => {
        try {
          rest = rest.length === 0 ? octets : Buffer.concat([rest, octets]);
          let from = 0;
          for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, from)) {
            onLine(rest.subarray(from, end + 1));
            from = end + 1;
          }
          rest = rest.subarray(from);
          if (rest.length > MAX_PROBLEM) throw new Error('a line has no end');
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
          request.destroy();
        }
      });
      response.once('error', reject).once('end', resolve).once('close', () => reject(new Error('the answer broke off')));
    }, reject);
  });
}
