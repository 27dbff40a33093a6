import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SignetError, type ErrorCode } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import type { AccessLog } from './access-log.ts';
import type { TriedCredential } from '../limits/configured.ts';
import { RateLimited, type LimitStanding } from '../limits/rate-limited.ts';
import { ANONYMOUS, enrollmentCaller, judgedClient, originOfCaller, STATUS_READER, unjudgedClient, type Authenticator } from './authenticate.ts';
import { authorize } from './authorize.ts';
import { ClientGone, parseJson, readBody } from './body.ts';
import type { Denials } from './denials.ts';
import type { Answer, ApiRequest, Caller, Documents, ProcessState } from './handler.ts';
import { createOnce } from './idempotency.ts';
import { mediaType, parseIdempotencyKey, parseIfMatch, parsePart, parseQuery } from './parse.ts';
import { createPeerReader, type Peer } from './peer.ts';
import { asSignetError, problemAnswer } from './problem.ts';
import { BODY_LIMITS, type Door, type Route } from './route.ts';
import { boundDelivery, send } from './send.ts';
import { strictTransportSecurity } from './tls.ts';
import { traceIdOf } from './trace-context.ts';

/** What serving needs besides the context; made once for all doors. */
export interface ServeParts {
  authenticator: Authenticator;
  denials: Denials;
  process: ProcessState;
  /** Writes the line of an answered request. */
  access?: AccessLog | undefined;
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
  traceId: string | undefined;
  now: Date;
  /** ANONYMOUS until the credential was looked at: what a refusal is recorded under. */
  caller: Caller;
  standings: LimitStanding[];
}

/** Methods a metric tells apart: what Node parses is three dozen, and strangers choose. */
const METHODS: readonly (string | undefined)[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const methodLabel = (method: string | undefined): string => (METHODS.includes(method) ? String(method) : 'other');

export type Serve = (door: Door, route: Route, params: Record<string, unknown>, req: IncomingMessage, res: ServerResponse) => Promise<void>;

/** The one way of a request through the house, whichever door and router it came by. Always answers, unless the client has gone. */
export function createServe(ctx: Context, parts: ServeParts): Serve {
  const peerOf = createPeerReader(ctx.config);
  const hsts = strictTransportSecurity(ctx.config);
  return async (door, route, params, req, res) => {
    const startedMs = ctx.clock.monotonicMs();
    const now = ctx.clock.now();
    const x: Exchange = { door, route, params, req, res, requestId: ulid(now, ctx.random), traceId: traceIdOf(req.headers.traceparent), now, hsts: door === 'api' ? hsts : undefined, caller: ANONYMOUS, standings: [], ...peerOf(door, req) };
    let isEndless = false;
    try {
      const given = await answer(ctx, parts, x);
      isEndless = given.endless === true;
      send(x, given, parts.process.draining);
    } catch (error) {
      if (error instanceof ClientGone) return;
      refuse(ctx, parts, x, error);
    }
    if (!isEndless) boundDelivery(res, ctx.config.responseTimeoutMs);
    const durationMs = ctx.clock.monotonicMs() - startedMs;
    parts.access?.({ door, operation: route.operation.id, method: methodLabel(req.method), status: res.statusCode, durationMs, requestId: x.requestId, traceId: x.traceId, caller: x.caller, source: x.source });
    const path = route.operation.path;
    ctx.metrics.httpRequests.inc({ door, route: path, method: methodLabel(req.method), status: String(res.statusCode) });
    ctx.metrics.httpDuration.observe({ door, route: path }, durationMs / 1000);
  };
}

/**
 * Limit, parse, authenticate, authorise, call. The source is limited before anything else is looked at; the credential is judged before the body is
 * read, except where it may stand in the body.
 */
async function answer(ctx: Context, parts: ServeParts, x: Exchange): Promise<Answer> {
  const { operation } = x.route;
  limitSource(ctx, x);
  if (x.peerFault) throw x.peerFault;
  if (x.route.as !== 'enrollment') {
    x.caller = await authenticate(ctx, parts, x);
    limitCaller(ctx, x);
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
    lastEventId: x.req.headers['last-event-id'] as string | undefined,
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

/** @throws RateLimited; SignetError `headers-too-many` */
function limitSource(ctx: Context, x: Exchange): void {
  // Whoever watches over the service gets to see it when it is flooded.
  if (x.door !== 'operations') note(x, ctx.limits.source(x.route.rate, x.source));
  const { maxHeaders } = ctx.config;
  if (x.req.rawHeaders.length > 2 * maxHeaders) throw new SignetError('headers-too-many', `a request may have at most ${maxHeaders} header fields`);
  const tried = triedCredential(x);
  if (tried && isTrying(x)) ctx.limits.assertNoWait(tried, x.source);
}

/** All tokens and certificates of a relying party are one caller. Whom the use case judges, it limits. @throws RateLimited */
function limitCaller(ctx: Context, x: Exchange): void {
  const { caller, route } = x;
  if (caller.kind === 'anonymous' || route.as === 'client-certificate') return;
  note(x, ctx.limits.caller(route.rate, caller.relyingParty?.id ?? caller.id));
}

/** What relying parties ask in masses, and caches keep, does not tell how they stand: only its refusals do. */
function note(x: Exchange, standing: LimitStanding | undefined): void {
  const isAskedInMasses = x.route.lean && x.route.rate === 'status';
  if (standing && !isAskedInMasses) x.standings.push(standing);
}

/** The credential that a stranger can try at this route. The key of a client certificate cannot be tried. */
function triedCredential({ route, door }: Exchange): TriedCredential | undefined {
  switch (route.as) {
    case 'none':
    case 'client-certificate':
      return undefined;
    case 'enrollment':
      return 'join-token';
    case 'admin':
      return 'api-token';
    case 'relying-party-or-admin':
      return door === 'mtls' ? undefined : 'api-token';
  }
}

/** Who sends no API token tries none, and need not wait for a neighbour behind the same address. A join token may stand in the body, which is not read yet. */
const isTrying = ({ route, req }: Exchange): boolean => route.as === 'enrollment' || req.headers.authorization !== undefined;

/** A credential was there, and was none, or not one for this use. */
const FAILED_CREDENTIAL: readonly ErrorCode[] = [
  'invalid-credential', 'credential-expired', 'credential-revoked',
  'join-token-unknown', 'join-token-used', 'join-token-expired', 'join-token-wrong-agent', 'join-token-wrong-network', 'join-token-wrong-key',
];

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
      return x.door === 'mtls' ? judgedClient(ctx, { requestId: x.requestId, traceId: x.traceId, source: x.source }, x.peerCertificate, x.now) : parts.authenticator.byToken(authorization, x.now);
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
  // Without its detail, which may quote what was sent: a secret in a wrong place, perhaps. Whoever sent it was told.
  else if (ctx.log.isLevelEnabled('debug')) ctx.log.debug({ code: fault.code, requestId: x.requestId, operation: x.route.operation.id }, 'request refused');
  ctx.metrics.refused.inc({ code: fault.code });
  const tried = FAILED_CREDENTIAL.includes(fault.code) ? triedCredential(x) : undefined;
  if (tried) ctx.limits.failed(tried, x.source);
  if (fault instanceof RateLimited && fault.standing) x.standings.push(fault.standing);
  parts.denials.note(fault, originOf(x), x.route.operation.id, x.now, x.peerCertificate);
  if (x.res.headersSent) x.res.destroy();
  else send(x, problemAnswer(fault, x.requestId, ctx.config.apiUrl), parts.process.draining);
}

const originOf = (x: Exchange): Origin => ({ ...originOfCaller(x.caller), requestId: x.requestId, traceId: x.traceId, source: x.source });

const hashRequest = (req: IncomingMessage, contentType: string | undefined, body: Buffer): Buffer =>
  createHash('sha256').update(`${req.method} ${req.url}\n${contentType ?? ''}\n`).update(body).digest();
