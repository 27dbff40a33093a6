import type { Operation } from '../api/operation.ts';
import { PERMISSIONS } from '../api/permissions.ts';
import type { Config } from '../config/schema.ts';
import type { Context } from '../context.ts';
import { RATE_CLASSES, type RateClass } from '../limits/configured.ts';
import { AUTHENTICATIONS, type Authentication } from './authenticate.ts';
import type { ApiRequest, CreatingHandler, CreatingHandlerOf, Handler, HandlerOf } from './handler.ts';

/** Listeners (DESIGN §4). */
export const DOORS = ['api', 'mtls', 'status', 'operations'] as const;
export type Door = (typeof DOORS)[number];

/** Octets a request body may have, by name; `none`: a body is not read. */
export const BODY_LIMITS = {
  none: () => 0,
  json: (config: Config) => config.jsonMaxBytes,
  ocsp: (config: Config) => config.csrMaxBytes,
} as const;
export type BodyLimit = keyof typeof BODY_LIMITS;

/** Runs in the transaction that keeps its answer under the Idempotency-Key; `afterwards` follows the transaction, however that ended, before the answer. */
export interface Creating<H> {
  creating: H;
  afterwards?: (ctx: Context, request: Pick<ApiRequest, 'caller' | 'params'>) => Promise<void>;
}

/** The columns of one operation in the route table; method, path and permission are the operation's. */
export interface Columns<O extends Operation> {
  /** Listeners that serve it. */
  on: readonly Door[];
  as: Authentication;
  rate: RateClass;
  body: BodyLimit;
  handler: HandlerOf<O> | Creating<CreatingHandlerOf<O>>;
  /** Answered before Express, path parameters as they came over the wire: what agents and relying parties ask all the time. */
  lean?: true;
}

/** An operation with its columns, as the skeleton serves it. */
export interface Route extends Omit<Columns<Operation>, 'handler' | 'lean'> {
  operation: Operation;
  handler: Handler | Creating<CreatingHandler>;
  lean: boolean;
}

/** Joins an operation and its columns. @throws Error when a column is missing: nothing is served that nobody limited */
export function route<O extends Operation>(operation: O, columns: Columns<O>): Route {
  const missing = missingColumns(operation, columns);
  if (missing.length > 0) throw new Error(`the route of ${operation.id} lacks ${missing.join(', ')}`);
  // The handler is only ever given what the operation's schemas made.
  return { operation, lean: false, ...columns, handler: columns.handler as Route['handler'] };
}

/** What a row lacks. Types say the same; a row that came around them must not be served either. */
function missingColumns(operation: Operation, { rate, body, as, handler }: Partial<Columns<Operation>>): string[] {
  const has = {
    permission: PERMISSIONS.includes(operation.permission),
    authentication: as !== undefined && AUTHENTICATIONS.includes(as) && (as === 'none') === (operation.permission === 'public'),
    'rate class': rate !== undefined && RATE_CLASSES.includes(rate),
    'body limit': body !== undefined && Object.hasOwn(BODY_LIMITS, body) && (body === 'none') === (operation.consumes.length === 0),
    handler: handler !== undefined,
  };
  return Object.entries(has).flatMap(([column, isThere]) => (isThere ? [] : [column]));
}
