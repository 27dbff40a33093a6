import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { actorOf, ANONYMOUS, enrollmentCaller, judgedClient, STATUS_READER, unjudgedClient, type Authenticator } from './authenticate.ts';
import { authorize } from './authorize.ts';
import { ClientGone, parseJson, readBody } from './body.ts';
import type { Denials } from './denials.ts';
import type { Answer, ApiRequest, Caller, Documents, ProcessState } from './handler.ts';
import { createOnce } from './idempotency.ts';
import { mediaType, parseIdempotencyKey, parseIfMatch, parsePart, parseQuery } from './parse.ts';
import { createPeerReader, type Peer } from './peer.ts';
import { asSignetError, problemAnswer } from './problem.ts';
import { BODY_LIMITS, type Door, type Route } from './route.ts';
import { send } from './send.ts';
import { strictTransportSecurity } from './tls.ts';

/** What serving needs besides the context; made once for all doors. */
export interface ServeParts {
  authenticator: Authenticator;
  denials: Denials;
  process: ProcessState;
  documents: Documents;
}

/** One exchange under way. */
interface Exchange extends Peer {
  door: Door;
  route: Route;
  /** Path parameters, decoded. */
  params: Record<string, unknown>;
  req: IncomingMessage;
  res: ServerResponse;
  /** Strict-Transport-Security of the answer. */
  hsts: string | undefined;
  requestId: string;
  now: Date;
  /** ANONYMOUS until the credential was looked at: what a refusal is recorded under. */
  caller: Caller;
}

export type Serve = (door: Door, route: Route, params: Record<string, unknown>, req: IncomingMessage, res: ServerResponse) => Promise<void>;

/** The one way of a request through the house, whichever door and router it came by. Always answers, unless the client has gone. */
export function createServe(ctx: Context, parts: ServeParts): Serve {
  const peerOf = createPeerReader(ctx.config);
  const hsts = strictTransportSecurity(ctx.config);
  return async (door, route, params, req, res) => {
    const startedMs = ctx.clock.monotonicMs();
    const now = ctx.clock.now();
    const x: Exchange = { door, route, params, req, res, requestId: ulid(now, ctx.random), now, hsts: door === 'api' ? hsts : undefined, caller: ANONYMOUS, ...peerOf(door, req) };
    try {
      send(x, await answer(ctx, parts, x), parts.process.draining);
    } catch (error) {
      if (error instanceof ClientGone) return;
      refuse(ctx, parts, x, error);
    }
    const path = route.operation.path;
    ctx.metrics.httpRequests.inc({ door, route: path, method: req.method ?? '', status: String(res.statusCode) });
    ctx.metrics.httpDuration.observe({ door, route: path }, (ctx.clock.monotonicMs() - startedMs) / 1000);
  };
}

/** Parse, authenticate, authorise, call. The credential is judged before the body is read, except where it may stand in the body. */
async function answer(ctx: Context, parts: ServeParts, x: Exchange): Promise<Answer> {
  const { operation } = x.route;
  if (x.peerFault) throw x.peerFault;
  if (x.route.as !== 'enrollment') {
    x.caller = await authenticate(ctx, parts, x);
    authorize(x.caller, operation);
  }
  const params = parsePart(operation.params, x.params, '/path');
  const query = parsePart(operation.query, parseQuery(x.req.url ?? ''), '/query');
  const contentType = mediaType(x.req.headers['content-type']);
  const rawBody = await bodyOf(ctx, x, contentType);
  const body = isJson(x.route, contentType, rawBody) ? parsePart(operation.body, parseJson(rawBody, ctx.config.jsonMaxDepth), '') : undefined;
  if (x.route.as === 'enrollment') {
    x.caller = enrollmentCaller(x.req.headers.authorization, (body as { joinToken?: string } | undefined)?.joinToken);
    authorize(x.caller, operation);
  }
  const idempotencyKey = operation.creates ? parseIdempotencyKey(x.req.headers['idempotency-key']) : undefined;
  const request: ApiRequest = {
    params, query, body, rawBody, contentType, idempotencyKey,
    peerCertificate: x.peerCertificate,
    accept: x.req.headers.accept,
    ifMatch: parseIfMatch(x.req.headers['if-match']),
    caller: x.caller,
    origin: originOf(x),
    source: x.source,
    requestId: x.requestId,
    now: x.now,
    requestHash: idempotencyKey === undefined ? undefined : hashRequest(x.req, contentType, rawBody),
    process: parts.process,
    documents: parts.documents,
  };
  const { handler } = x.route;
  if (typeof handler === 'function') return handler(ctx, request);
  try {
    return await createOnce(ctx, request, operation.id, (tx) => handler.creating(ctx, request, tx));
  } finally {
    // Also when the outcome of the commit is unknown.
    await handler.afterwards?.(ctx, request);
  }
}

function authenticate(ctx: Context, parts: ServeParts, x: Exchange): Caller | Promise<Caller> {
  const authorization = x.req.headers.authorization;
  switch (x.route.as) {
    case 'none':
    case 'enrollment':
      return ANONYMOUS;
    case 'admin':
      return parts.authenticator.byToken(authorization, x.now);
    case 'client-certificate':
      return unjudgedClient(x.peerCertificate);
    case 'relying-party-or-admin':
      if (ctx.config.statusAccess === 'open' && authorization === undefined && x.peerCertificate === undefined) return STATUS_READER;
      return x.door === 'mtls' ? judgedClient(ctx, { requestId: x.requestId, source: x.source }, x.peerCertificate, x.now) : parts.authenticator.byToken(authorization, x.now);
  }
}

/** @throws SignetError `body-too-large`, `unsupported-media-type` */
async function bodyOf(ctx: Context, x: Exchange, contentType: string | undefined): Promise<Buffer> {
  const { consumes } = x.route.operation;
  if (consumes.length === 0) return EMPTY;
  const accepted: readonly string[] = consumes;
  if (contentType !== undefined && !accepted.includes(contentType)) throw unsupported(consumes);
  if (x.req.headers['content-encoding'] !== undefined) throw new SignetError('unsupported-media-type', 'send the body without Content-Encoding');
  const body = await readBody(x.req, x.res, BODY_LIMITS[x.route.body](ctx.config));
  if (contentType === undefined && body.length > 0) throw unsupported(consumes);
  return body;
}

const EMPTY = Buffer.alloc(0);
const unsupported = (consumes: readonly string[]) => new SignetError('unsupported-media-type', `Content-Type must be ${consumes.join(' or ')}`);

/** A body that is nothing at all counts as JSON where JSON is taken. */
const isJson = (route: Route, contentType: string | undefined, body: Buffer): boolean =>
  contentType === 'application/json' || (contentType === undefined && body.length === 0 && route.operation.consumes.includes('application/json'));

function refuse(ctx: Context, parts: ServeParts, x: Exchange, error: unknown): void {
  const fault = asSignetError(error);
  if (fault.code === 'internal') ctx.log.error({ err: fault.cause ?? fault, requestId: x.requestId, operation: x.route.operation.id }, 'request failed');
  else if (ctx.log.isLevelEnabled('debug')) ctx.log.debug({ code: fault.code, detail: fault.message, requestId: x.requestId, operation: x.route.operation.id }, 'request refused');
  ctx.metrics.refused.inc({ code: fault.code });
  parts.denials.note(fault, originOf(x), x.route.operation.id, x.now, x.peerCertificate);
  if (x.res.headersSent) x.res.destroy();
  else send(x, problemAnswer(fault, x.requestId, ctx.config.apiUrl), parts.process.draining);
}

const originOf = (x: Exchange): Origin => ({ actor: actorOf(x.caller), requestId: x.requestId, source: x.source });

const hashRequest = (req: IncomingMessage, contentType: string | undefined, body: Buffer): Buffer =>
  createHash('sha256').update(`${req.method} ${req.url}\n${contentType ?? ''}\n`).update(body).digest();
