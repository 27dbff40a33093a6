import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import type { LimitStanding } from '../limits/rate-limited.ts';
import type { Answer } from './handler.ts';
import { rateLimitFields } from './rate-limit-fields.ts';

/** Answers are of one moment and one caller unless a handler says otherwise; nothing of ours is a document to be sniffed or framed. */
export const BASE_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'content-security-policy': "default-src 'none'; frame-ancestors 'none'" } as const;

/** What is answered, and what every answer to it carries. */
export interface Answered {
  req: IncomingMessage;
  res: ServerResponse;
  requestId: string;
  hsts: string | undefined;
  /** How the source and the caller stand with the limits that the request was counted by. */
  standings: readonly LimitStanding[];
}

/** Writes an answer: one head, one write, no framework. */
export function send({ req, res, requestId, hsts, standings }: Answered, answer: Answer, closing: boolean): void {
  const headers: Record<string, string | number> = { ...BASE_HEADERS, 'request-id': requestId, ...answer.headers };
  if (hsts !== undefined) headers['strict-transport-security'] = hsts;
  if (standings.length > 0) Object.assign(headers, rateLimitFields(standings));
  if (closing) headers.connection = 'close';
  if (isUnchanged(req, answer)) {
    res.writeHead(304, headers).end();
    return;
  }
  if (answer.stream) {
    sendStream(req, res, headers, answer);
    return;
  }
  if (answer.content !== undefined) {
    sendContent(req, res, answer.content, { ...headers, 'content-type': headers['content-type'] ?? answer.contentType ?? 'application/octet-stream' });
    return;
  }
  const body = answer.json === undefined ? answer.bytes : Buffer.from(JSON.stringify(answer.json), 'utf8');
  if (body === undefined) {
    // A 204 has no length (RFC 9110 §8.6).
    if (answer.status !== 204) headers['content-length'] = 0;
    res.writeHead(answer.status, headers).end();
    return;
  }
  headers['content-type'] ??= answer.contentType ?? 'application/json';
  headers['content-length'] = body.length;
  res.writeHead(answer.status, headers);
  finish(req, res, body);
}

/** Reads what is sent as fast as the client takes it. One that gets less than it was told sees its connection break. */
function sendContent(req: IncomingMessage, res: ServerResponse, content: NonNullable<Answer['content']>, headers: Record<string, string | number>): void {
  res.writeHead(200, { ...headers, 'content-length': content.length });
  if (req.method === 'HEAD') res.end();
  else pipeline(content.read(), res, () => undefined);
}

/**
 * A body of unknown length ends with its connection (RFC 9112 §6.3): without chunks each piece of it is one write, of the same octets for everybody. Who forwards it
 * must pass it on as it comes.
 */
function sendStream(req: IncomingMessage, res: ServerResponse, headers: Record<string, string | number>, answer: Answer): void {
  headers['content-type'] = answer.contentType ?? 'application/octet-stream';
  headers['x-accel-buffering'] = 'no';
  headers.connection = 'close';
  res.removeHeader('transfer-encoding');
  res.writeHead(answer.status, headers);
  if (req.method === 'HEAD') {
    res.end();
    return;
  }
  res.flushHeaders();
  answer.stream?.(res);
}

/**
 * Ends an answer. A client that is still sending gets to read it only if the connection stays until it has sent: closed before that, it is reset, and
 * the answer with it (RFC 9112 §9.6). The server's requestTimeout bounds the wait. Who asked for a 100 first has sent nothing, and may never.
 */
function finish(req: IncomingMessage, res: ServerResponse, body: Uint8Array): void {
  if (req.complete || req.headers.expect !== undefined) {
    res.end(body);
    return;
  }
  res.write(body);
  req.once('close', () => res.end());
  req.resume();
}

/** If-None-Match (RFC 9110 §13.1.2): weak comparison against the entity tag of a successful GET or HEAD. */
function isUnchanged(req: IncomingMessage, answer: Answer): boolean {
  const asked = req.headers['if-none-match'];
  const etag = answer.headers?.etag;
  if (asked === undefined || etag === undefined || answer.status !== 200 || (req.method !== 'GET' && req.method !== 'HEAD')) return false;
  return asked.trim() === '*' || asked.split(',').some((tag) => weak(tag.trim()) === weak(etag));
}

const weak = (tag: string): string => (tag.startsWith('W/') ? tag.slice(2) : tag);

/** What the system's own buffers take at once is not waited for. */
const HELD_BYTES = 65_536;

/**
 * Cuts off a client that takes longer than `limitMs` for an answer of which we have to hold more than a little, or are not done. One that reads nothing at all is cut off
 * by the server's own timeout.
 */
export function boundDelivery(res: ServerResponse, limitMs: number): void {
  if (res.writableEnded && res.writableLength <= HELD_BYTES) return;
  const late = setTimeout(() => res.destroy(), limitMs);
  res.once('close', () => clearTimeout(late));
}
