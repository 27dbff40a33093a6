import https from 'node:https';
import type { Operation } from '../api/operation.ts';
import type { Problem } from '../api/values.ts';

export interface ApiClientOptions {
  /** Base URL of the API door, or of the mutual TLS door when `identity` is given. */
  url: string;
  /** The only certificates trusted: roots, PEM. Never the system's. */
  trustBundle: string;
  /** Bearer token: an admin token or a join token. */
  token?: string;
  /** Client certificate with its chain, and key, PEM. */
  identity?: { certificate: string; key: string };
  timeoutMs?: number;
}

export interface ApiAnswer {
  status: number;
  contentType: string;
  text: string;
}

/** What the server answered instead of a success: the problem document of RFC 9457, or what came instead of one. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly problem: Problem | undefined;
  constructor(status: number, problem: Problem | undefined, text: string) {
    super(problem ? `${problem.detail ?? problem.title} [${problem.code}]` : `the server answered ${status}: ${text.slice(0, 200)}`);
    this.status = status;
    this.problem = problem;
  }
}

export interface ApiCall {
  params?: Record<string, string>;
  query?: Record<string, string | string[] | undefined>;
  body?: unknown;
  accept?: string;
  headers?: Record<string, string>;
}

export interface ApiClient {
  /** Calls one operation of the contract. @throws ApiError for any answer that is not 2xx, and node's own error when there is no answer */
  call(operation: Operation, call?: ApiCall): Promise<ApiAnswer>;
}

const DEFAULT_TIMEOUT_MS = 15_000;
/** Answers larger than this are not read. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

export function createApiClient(options: ApiClientOptions): ApiClient {
  const agent = new https.Agent({
    ca: options.trustBundle,
    keepAlive: false,
    minVersion: 'TLSv1.2',
    ...(options.identity ? { cert: options.identity.certificate, key: options.identity.key } : {}),
  });
  return {
    async call(operation, call = {}) {
      const url = new URL(pathOf(operation, call), options.url);
      const body = operation.consumes.length > 0 ? JSON.stringify(call.body ?? {}) : undefined;
      const headers = {
        accept: call.accept ?? 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...call.headers,
      };
      const answer = await send(url, { agent, method: operation.method.toUpperCase(), headers, timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS }, body);
      if (answer.status < 200 || answer.status > 299) throw new ApiError(answer.status, problemOf(answer), answer.text);
      return answer;
    },
  };
}

function pathOf(operation: Operation, call: ApiCall): string {
  const path = operation.path.replace(/\{(\w+)\}/g, (_whole, name: string) => encodeURIComponent(call.params?.[name] ?? ''));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {})) for (const one of [value].flat()) if (one !== undefined) query.append(name, one);
  return query.size > 0 ? `${path}?${query.toString()}` : path;
}

function problemOf(answer: ApiAnswer): Problem | undefined {
  if (!answer.contentType.startsWith('application/problem+json')) return undefined;
  try {
    return JSON.parse(answer.text) as Problem;
  } catch {
    return undefined;
  }
}

function send(url: URL, options: https.RequestOptions, body: string | undefined): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    const request = https.request(url, options, (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > MAX_ANSWER_BYTES) request.destroy(new Error(`the answer is larger than ${MAX_ANSWER_BYTES} octets`));
        else parts.push(part);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, contentType: response.headers['content-type'] ?? '', text: Buffer.concat(parts).toString('utf8') }),
      );
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${options.timeout ?? 0} ms`)));
    request.on('error', reject);
    request.end(body);
  });
}
