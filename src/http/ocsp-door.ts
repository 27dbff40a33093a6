import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Operation } from '../api/operation.ts';
import * as api from '../api/public.ts';
import type { Context } from '../context.ts';
import { ulid } from '../core/random.ts';
import { decodeOcspPath } from '../revocation/ocsp/get-request.ts';
import { ANONYMOUS } from './authenticate.ts';
import { createPeerReader } from './peer.ts';
import { BODY_LIMITS } from './route.ts';
import { BASE_HEADERS, boundDelivery } from './send.ts';
import type { ServeParts } from './serve.ts';

const DOOR = 'status';
const REQUEST_TYPE = 'application/ocsp-request';
const POST_PATH = api.postOcsp.path;
const GET_PREFIX = `${POST_PATH}/`;

/** What is counted and logged of each of the two ways to ask; the labels are made once. */
const asked = (operation: Operation, method: string) => ({
  operation: operation.id, method,
  counted: { door: DOOR, route: operation.path, method, status: '200' },
  timed: { door: DOOR, route: operation.path },
});
const BY_POST = asked(api.postOcsp, 'POST');
const BY_GET = asked(api.getOcsp, 'GET');

/**
 * OCSP as nearly every relying party asks, on the shortest way through the house: nothing about the request is out of the ordinary, and so it is only limited, answered and
 * counted. Everything else (also what is to be refused) is left to `next`, the way of all requests, with the same answer to the same question: a test compares them. By itself an answer that is
 * kept costs a third of that way (docs/performance.md).
 */
export function createOcspDoor(ctx: Context, { access, process: state }: Pick<ServeParts, 'access' | 'process'>, next: RequestListener): RequestListener {
  const { config, clock, metrics } = ctx;
  const peerOf = createPeerReader(config);
  const bodyLimit = BODY_LIMITS.ocsp(config);

  function isPlain({ headers, rawHeaders }: IncomingMessage): boolean {
    return rawHeaders.length <= 2 * config.maxHeaders && headers.expect === undefined && headers['transfer-encoding'] === undefined && headers['content-encoding'] === undefined;
  }

  /** The body mostly comes with the head: what node has read by the next tick is all of it. */
  function takeBody(req: IncomingMessage, res: ServerResponse): void {
    const body = req.read() as Buffer | null;
    if (body?.length === Number(req.headers['content-length'])) answer(req, res, body, BY_POST);
    else leave(req, res, body);
  }

  function leave(req: IncomingMessage, res: ServerResponse, body: Buffer | null): void {
    if (body) req.unshift(body);
    next(req, res);
  }

  function answer(req: IncomingMessage, res: ServerResponse, der: Buffer, by: typeof BY_POST): void {
    const startedMs = clock.monotonicMs();
    const { source, peerFault } = peerOf(DOOR, req);
    if (peerFault || !ctx.limits.sourcePasses('status', source)) {
      leave(req, res, by === BY_POST ? der : null);
      return;
    }
    const now = clock.now();
    const end = (headers: Record<string, string>, octets: string) => {
      const requestId = ulid(now, ctx.random);
      write(res, requestId, headers, octets, state.draining);
      boundDelivery(res, config.responseTimeoutMs);
      const durationMs = clock.monotonicMs() - startedMs;
      access?.({ door: DOOR, operation: by.operation, method: by.method, status: res.statusCode, durationMs, requestId, caller: ANONYMOUS, source });
      metrics.httpRequests.inc(by.counted);
      metrics.httpDuration.observe(by.timed, durationMs / 1000);
    };
    const kept = ctx.ocsp.recall(der, now);
    if (kept) {
      end(kept.headers, kept.octets);
      return;
    }
    ctx.ocsp.answer(der).then(({ headers, bytes }) => end(headers, bytes.toString('latin1'))).catch((error: unknown) => {
      ctx.log.error({ err: error, operation: by.operation }, 'request failed');
      res.destroy();
    });
  }

  /** A body of no octets would have ended before anybody else could read it. */
  const hasBody = ({ headers }: IncomingMessage): boolean => headers['content-type'] === REQUEST_TYPE && Number(headers['content-length']) > 0 && Number(headers['content-length']) <= bodyLimit;

  return (req, res) => {
    const { method, url = '', headers } = req;
    if (method === 'POST' && url === POST_PATH && hasBody(req) && isPlain(req)) {
      process.nextTick(takeBody, req, res);
      return;
    }
    if (method === 'GET' && url.startsWith(GET_PREFIX) && headers['content-length'] === undefined && headers['if-none-match'] === undefined && isPlain(req)) {
      const der = requestIn(url);
      if (der) {
        answer(req, res, der, BY_GET);
        return;
      }
    }
    next(req, res);
  };
}

function requestIn(url: string): Buffer | undefined {
  if (url.includes('?')) return undefined;
  try {
    return decodeOcspPath(url.slice(GET_PREFIX.length));
  } catch {
    return undefined;
  }
}

/** Head and body in one string are one system call, where a buffer behind a head is a gathered one. Fields as a list are neither copied nor looked up. */
function write(res: ServerResponse, requestId: string, headers: Record<string, string>, octets: string, closing: boolean): void {
  const fields = [...SAFETY, 'request-id', requestId];
  for (const name in headers) fields.push(name, headers[name] as string);
  fields.push('content-length', String(octets.length));
  if (closing) fields.push('connection', 'close');
  res.writeHead(200, fields);
  res.end(octets, 'latin1');
}

/** Of BASE_HEADERS what an OCSP answer does not say itself. */
const SAFETY = ['x-content-type-options', BASE_HEADERS['x-content-type-options'], 'content-security-policy', BASE_HEADERS['content-security-policy']] as const;
