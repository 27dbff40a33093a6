import type { z } from 'zod';
import type { ErrorCode } from '../core/errors.ts';
import type { Permission } from './permissions.ts';

/** Media types a request body may have. */
export type RequestMediaType = 'application/json' | 'application/pkcs10' | 'application/ocsp-request';

/** One answer of an operation, for documents and clients. Without a schema the body is bytes of the content type; without a content type there is none. */
export interface ResponseContract {
  description: string;
  contentTypes: readonly string[];
  schema?: z.ZodType;
  /** Headers that always come with it, besides those of every answer. */
  headers?: readonly ResponseHeader[];
}

/** Headers that say something about the thing that is answered. */
export type ResponseHeader = 'etag' | 'location' | 'cache-control';

/**
 * One operation of the wire contract: all that a client, the OpenAPI document and the route table need to know of it.
 * `P`, `Q`, `B`: schemas of path parameters, query and JSON body; their outputs are what the handler is given.
 */
export interface Operation<P extends z.ZodType = z.ZodType, Q extends z.ZodType = z.ZodType, B extends z.ZodType = z.ZodType> {
  /** Unique name, lowerCamelCase (`operationId`). */
  id: string;
  method: 'get' | 'post' | 'patch';
  /** Path template with `{name}` parameters (OpenAPI 3.1). */
  path: string;
  tag: string;
  summary: string;
  permission: Permission;
  params: P;
  query: Q;
  /** JSON body, or `nothing` where there is none. */
  body: B;
  /** Accepted content types; the first is the usual one. Empty: a body is not read. */
  consumes: readonly RequestMediaType[];
  /** Answers by status. */
  responses: Readonly<Record<number, ResponseContract>>;
  /** Codes this operation can answer besides those any operation can (COMMON_ERRORS). */
  errors: readonly ErrorCode[];
  /** True when it creates something: such a POST honours Idempotency-Key. */
  creates: boolean;
  /** True when it honours If-Match with the version of what it changes. */
  ifMatch?: true;
}

/** The answer to If-None-Match with the entity tag of what is there (RFC 9110 §13.1.2). */
export const UNCHANGED: ResponseContract = { description: 'It is what If-None-Match names.', contentTypes: [], headers: ['etag'] };

/** Codes any operation can answer. */
export const COMMON_ERRORS = [
  'invalid-request',
  'not-found',
  'method-not-allowed',
  'headers-too-many',
  'rate-limited',
  'proxy-header-invalid',
  'internal',
  'database-unavailable',
  'storage-full',
  'overloaded',
] as const satisfies readonly ErrorCode[];

/** Keeps the schemas' types while checking the record. */
export function operation<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(contract: Operation<P, Q, B>): Operation<P, Q, B> {
  return contract;
}
