import type { Operation } from '../api/operation.ts';
import type { Config } from '../config/schema.ts';
import type { Authentication } from './authenticate.ts';
import type { CreatingHandler, CreatingHandlerOf, Handler, HandlerOf } from './handler.ts';

/** Listeners (DESIGN §4). */
export const DOORS = ['api', 'mtls', 'status', 'operations'] as const;
export type Door = (typeof DOORS)[number];

/** What a request counts as where requests are limited: cheap reads, changes, signing work, status questions, health. */
export type RateClass = 'read' | 'change' | 'issue' | 'status' | 'health';

/** Octets a request body may have, by name; `none`: a body is not read. */
export const BODY_LIMITS = {
  none: () => 0,
  json: (config: Config) => config.jsonMaxBytes,
  ocsp: (config: Config) => config.csrMaxBytes,
} as const;
export type BodyLimit = keyof typeof BODY_LIMITS;

/**
 * The columns of one operation in the route table; method, path and permission are the operation's. A `creating` handler runs in the transaction that
 * keeps its answer under the Idempotency-Key.
 */
export interface Columns<O extends Operation> {
  /** Listeners that serve it. */
  on: readonly Door[];
  as: Authentication;
  rate: RateClass;
  body: BodyLimit;
  handler: HandlerOf<O> | { creating: CreatingHandlerOf<O> };
  /** Answered before Express: the paths relying parties hammer. */
  lean?: true;
}

/** An operation with its columns, as the skeleton serves it. */
export interface Route extends Omit<Columns<Operation>, 'handler' | 'lean'> {
  operation: Operation;
  handler: Handler | { creating: CreatingHandler };
  lean: boolean;
}

/** Joins an operation and its columns. */
export function route<O extends Operation>(operation: O, columns: Columns<O>): Route {
  // The handler is only ever given what the operation's schemas made.
  return { operation, lean: false, ...columns, handler: columns.handler as Route['handler'] };
}
