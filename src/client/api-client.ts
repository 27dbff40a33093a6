import http from 'node:http';
import https from 'node:https';
import type { Operation } from '../api/operation.ts';
import type { Problem } from '../api/values.ts';

export interface ApiClientOptions {
  /** Base URL of a door: of the mutual TLS door when `identity` is given. */
  url: string;
  /** The only certificates trusted: roots, PEM. Never the system's. Not needed for a door of plain HTTP. */
  trustBundle?: string;
  /** Bearer token: an admin token or a join token. */
  token?: string;
  /** Client certificate with its chain, and key, PEM. */
  identity?: { certificate: string; key: string };
  timeoutMs?: number;
  /** Keeps a connection for the next call. */
  keepAlive?: boolean;
}

export interface ApiAnswer {
  status: number;
  contentType: string;
  text: string;
  bytes: Buffer;
  /** Of the Retry-After header. */
  retryAfterSeconds: number | undefined;
}

/** What the server answered instead of a success: the problem document of RFC 9457, or what came instead of one. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly problem: Problem | undefined;
  /** The answer as it came. */
  readonly text: string;
  /** When to come again, as the server said. */
  readonly retryAfterSeconds: number | undefined;
  constructor(status: number, problem: Problem | undefined, text: string, retryAfterSeconds?: number) {
    super(problem ? `${problem.detail ?? problem.title} [${problem.code}]` : `the server answered ${status}: ${text.slice(0, 200)}`);
    this.status = status;
    this.problem = problem;
    this.text = text;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export interface ApiCall {
  params?: Record<string, string>;
  query?: Record<string, string | string[] | undefined>;
  /** JSON, or octets of the first type that the operation takes. */
  body?: unknown;
  accept?: string;
  headers?: Record<string, string>;
}

export interface ApiClient {
  /** Calls one operation of the contract. @throws ApiError for any answer that is not 2xx, and node's own error when there is no answer */
  call(operation: Operation, call?: ApiCall): Promise<ApiAnswer>;
  /** Closes connections that are kept. */
  close(): void;
}

const DEFAULT_TIMEOUT_MS = 15_000;
/** Answers larger than this are not read. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

export function createApiClient(options: ApiClientOptions): ApiClient {
  // Without a trust bundle nothing is trusted: an empty list is not the system's.
  const agent = options.url.startsWith('http:')
    ? new http.Agent({ keepAlive: options.keepAlive === true })
    : new https.Agent({ ca: options.trustBundle ?? [], keepAlive: options.keepAlive === true, maxSockets: options.keepAlive === true ? 2 : Infinity, minVersion: 'TLSv1.2', ...(options.identity ? { cert: options.identity.certificate, key: options.identity.key } : {}) });
  return {
    async call(operation, call = {}) {
      const url = new URL(pathOf(operation, call), options.url);
      const body = bodyOf(operation, call);
      const headers = {
        accept: call.accept ?? 'application/json',
        ...(body === undefined ? {} : { 'content-type': operation.consumes[0], 'content-length': String(body.length) }),
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...call.headers,
      };
      const answer = await send(url, { agent, method: operation.method.toUpperCase(), headers, timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS }, body);
      if (answer.status < 200 || answer.status > 299) throw new ApiError(answer.status, problemOf(answer), answer.text, answer.retryAfterSeconds);
      return answer;
    },
    close: () => agent.destroy(),
  };
}

function bodyOf({ consumes }: Operation, { body }: ApiCall): Buffer | undefined {
  if (consumes.length === 0) return undefined;
  return Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body ?? {}), 'utf8');
}

function pathOf(operation: Operation, call: ApiCall): string {
  const path = operation.path.replace(/\{(\w+)\}/g, (_whole, name: string) => encodeURIComponent(call.params?.[name] ?? ''));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {})) for (const one of [value].flat()) if (one !== undefined) query.append(name, one);
  return query.size > 0 ? `${path}?${query.toString()}` : path;
}

/** The problem document of an answer, where it is one. */
export function problemOf(answer: Pick<ApiAnswer, 'contentType' | 'text'>): Problem | undefined {
  if (!answer.contentType.startsWith('application/problem+json')) return undefined;
  try {
    return JSON.parse(answer.text) as Problem;
  } catch {
    return undefined;
  }
}

function send(url: URL, options: https.RequestOptions, body: Buffer | undefined): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'http:' ? http : https).request(url, options, (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > MAX_ANSWER_BYTES) request.destroy(new Error(`the answer is larger than ${MAX_ANSWER_BYTES} octets`));
        else parts.push(part);
      });
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(parts);
        const retryAfter = response.headers['retry-after'];
        const retryAfterSeconds = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined;
        resolve({ status: response.statusCode ?? 0, contentType: response.headers['content-type'] ?? '', text: bytes.toString('utf8'), bytes, retryAfterSeconds });
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${options.timeout ?? 0} ms`)));
    request.on('error', reject);
    request.end(body);
  });
}
