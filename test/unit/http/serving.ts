import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { alone } from '../../../src/core/siblings.ts';
import { SignetError } from '../../../src/core/errors.ts';
import type { Context } from '../../../src/context.ts';
import type { Origin } from '../../../src/audit/events.ts';
import { createDocuments } from '../../../src/http/documents.ts';
import { createRouter } from '../../../src/http/router.ts';
import type { Limits } from '../../../src/limits/limits.ts';
import type { Caller } from '../../../src/http/handler.ts';
import type { Route } from '../../../src/http/route.ts';
import { createServe } from '../../../src/http/serve.ts';

export const NOW = new Date('2026-11-21T00:00:00Z');
export const API_URL = 'https://signet.example:8443';

const NO_LIMITS: Limits = {
  source: () => undefined, sourcePasses: () => true, caller: () => undefined, agent: () => undefined, joinToken: () => undefined, connection: () => true, assertNoWait: () => undefined, failed: () => undefined,
};

/** A context for requests that never reach the database. */
export function skeletonContext(overrides: Partial<Context> = {}): Context {
  let octet = 0;
  return {
    config: { apiUrl: API_URL, publicUrl: 'http://status.example', hstsSeconds: 60, trustedProxies: [], maxHeaders: 100, responseTimeoutMs: 60_000, jsonMaxBytes: 1024, csrMaxBytes: 512, jsonMaxDepth: 8, idempotencyTtlSeconds: 86_400, idempotencySecretTtlSeconds: 600 },
    clock: { now: () => NOW, monotonicMs: () => 0 },
    random: { bytes: (length: number) => new Uint8Array(length).fill(octet++ % 256) },
    log: createLogger('silent'),
    metrics: createMetrics(),
    limits: NO_LIMITS,
    siblings: alone,
    ...overrides,
  } as unknown as Context;
}

export interface Denied {
  code: string;
  origin: Origin;
}

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  json: () => Record<string, unknown>;
}

export interface Serving {
  port: number;
  denied: Denied[];
  request: (options: http.RequestOptions, body?: string | Buffer) => Promise<Reply>;
  close: () => Promise<void>;
}

/** The skeleton with a route table of the test's own on the `api` door. `Bearer good` is an admin, `Bearer reader` a relying party. */
export async function serving(table: readonly Route[], ctx: Context = skeletonContext()): Promise<Serving> {
  const denied: Denied[] = [];
  const serve = createServe(ctx, {
    authenticator: { byToken: (authorization) => (authorization === undefined ? Promise.reject(new SignetError('authentication-required', 'a token')) : Promise.resolve(callerOf(authorization))) },
    denials: { note: (error, origin) => void denied.push({ code: error.code, origin }), settled: () => Promise.resolve() },
    process: { draining: false, warnings: [] },
    documents: createDocuments({ apiUrl: API_URL, mtlsUrl: 'https://signet.example:8444', publicUrl: 'http://signet.example:8080' }, []),
  });
  const listener = createRouter('api', table, serve);
  const server = http.createServer(listener);
  server.on('checkContinue', listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    denied,
    request: (options, body) => request({ port, host: '127.0.0.1', ...options }, body),
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }),
  };
}

function callerOf(authorization: string): Caller {
  if (authorization === 'Bearer good') return { kind: 'admin', id: 'ADMIN', role: 'admin' };
  if (authorization === 'Bearer reader') return { kind: 'admin', id: 'READER', role: 'relying-party' };
  throw new SignetError('invalid-credential', 'not known');
}

/** One exchange over a connection of its own. */
export function request(options: http.RequestOptions, body?: string | Buffer): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const req = http.request({ agent: false, ...options }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: res.statusCode ?? 0, headers: res.headers, text, json: () => JSON.parse(text) as Record<string, unknown> });
      });
    });
    req.on('error', reject);
    req.end(body);
  });
}
