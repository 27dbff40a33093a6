import http from 'node:http';
import https from 'node:https';

/** What a door answered. */
export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

export interface ClientOptions {
  /** Base URL of a door. */
  url: string;
  /** The only certificates trusted, PEM; for https. */
  ca?: string;
  /** Bearer token. */
  token?: string;
  /** Client certificate with its chain, and key, PEM. */
  identity?: { chain: string; key: string };
  /** Address the connections come from. */
  from?: string;
  /** Connections kept open; 0 makes one for each request. */
  connections?: number;
}

/** One caller of one door: a thin layer on node's own client, so that a test sees what came over the wire. */
export interface Client {
  send(method: string, path: string, request?: { json?: unknown; bytes?: Buffer; headers?: Record<string, string | string[]> }): Promise<Reply>;
  close(): void;
}

const TIMEOUT_MS = 30_000;

export function createClient({ url, ca, token, identity, from, connections = 0 }: ClientOptions): Client {
  const secure = url.startsWith('https:');
  const pool = { keepAlive: connections > 0, maxSockets: connections > 0 ? connections : Infinity, ...(from === undefined ? {} : { localAddress: from }) };
  const agent = secure
    ? new https.Agent({ ...pool, ...(ca === undefined ? {} : { ca }), ...(identity && { cert: identity.chain, key: identity.key }) })
    : new http.Agent(pool);
  return {
    send: (method, path, { json, bytes, headers } = {}) =>
      new Promise((resolve, reject) => {
        const body = bytes ?? (json === undefined ? undefined : Buffer.from(JSON.stringify(json)));
        const options = {
          agent,
          method,
          timeout: TIMEOUT_MS,
          headers: {
            ...(json === undefined ? {} : { 'content-type': 'application/json' }),
            ...(body === undefined || headers?.['transfer-encoding'] !== undefined ? {} : { 'content-length': String(body.length) }),
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...headers,
          },
        };
        const request = (secure ? https : http).request(new URL(path, url), options, (response) => {
          // A stream has no end of its own: what comes with its head is the answer.
          if (method !== 'HEAD' && response.headers['content-type'] === 'text/event-stream') {
            response.once('data', (body: Buffer) => {
              resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
              request.destroy();
            });
            return;
          }
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }));
          response.once('error', reject);
        });
        request.once('timeout', () => request.destroy(new Error(`no answer to ${method} ${path} in ${TIMEOUT_MS / 1000} s`)));
        request.once('error', reject);
        request.end(body);
      }),
    close: () => agent.destroy(),
  };
}

/** The JSON of an answer. */
export const jsonOf = <T>(reply: Reply): T => JSON.parse(reply.body.toString('utf8')) as T;
