import express from 'express';
import type { IncomingMessage, RequestListener } from 'node:http';
import { operation } from '../api/operation.ts';
import { nothing } from '../api/values.ts';
import { SignetError } from '../core/errors.ts';
import type { Handler } from './handler.ts';
import { problemAnswer } from './problem.ts';
import { route, type Door, type Route } from './route.ts';
import type { Serve } from './serve.ts';

/** The request listener of one door: lean routes by our own matcher, the others by Express; what is left is 404, 405 or a broken address. */
export function createRouter(door: Door, table: readonly Route[], serve: Serve): RequestListener {
  const routes = table.filter((row) => row.on.includes(door)).map((row) => ({ row, pattern: patternOf(row.operation.path) }));
  const lean = routes.filter(({ row }) => row.lean);
  const app = expressApp(door, routes.map(({ row }) => row).filter((row) => !row.lean), serve, (path) => methodsAt(routes, path));

  return (req, res) => {
    if (lean.length > 0) {
      const path = pathOf(req);
      for (const { row, pattern } of lean) {
        if (!isMethod(req, row)) continue;
        const match = pattern.exec(path);
        if (match) return void serve(door, row, { ...match.groups }, req, res);
      }
    }
    app(req, res);
  };
}

function expressApp(door: Door, routes: readonly Route[], serve: Serve, methodsOf: (path: string) => string[]): express.Express {
  const app = express();
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing').set('query parser', false);
  for (const row of routes) {
    app[row.operation.method](row.operation.path.replaceAll(/\{(\w+)\}/g, ':$1'), (req, res) => serve(door, row, req.params, req, res));
  }
  const notFound = notFoundOn(routes);
  app.use((req, res) => serve(door, unrouted(methodsOf(pathOf(req)), notFound), {}, req, res));
  // Express itself throws only for what it cannot decode in a path.
  app.use(((_error, req, res, _next) => void serve(door, BROKEN_PATH, {}, req, res)) satisfies express.ErrorRequestHandler);
  return app;
}

/** Pattern of a path template. The last parameter of an OCSP GET and of a tile is the rest of the path: base64 has slashes (RFC 5019 §5), and so have tiles (C2SP tlog-tiles). */
function patternOf(template: string): RegExp {
  const source = template
    .replaceAll(/[.]/g, '\\.')
    .replace(/\{(request|tile)\}$/, '(?<$1>.+)')
    .replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  return new RegExp(`^${source}$`);
}

function pathOf(req: IncomingMessage): string {
  const url = req.url ?? '/';
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

const isMethod = (req: IncomingMessage, row: Route): boolean => req.method === row.operation.method.toUpperCase() || (req.method === 'HEAD' && row.operation.method === 'get');

function methodsAt(routes: readonly { row: Route; pattern: RegExp }[], path: string): string[] {
  const methods = routes.filter(({ pattern }) => pattern.test(path)).map(({ row }) => row.operation.method.toUpperCase());
  return [...new Set(methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))];
}

/** Routes of what has no route, so that refusals go the one way of every request. */
const refusal = (id: string, handler: Handler): Route =>
  route(operation({ id, method: 'get', path: '*', tag: 'operations', summary: id, permission: 'public', params: nothing, query: nothing.loose(), body: nothing, consumes: [], responses: {}, errors: [], creates: false }), {
    on: [], as: 'none', rate: 'read', body: 'none', handler,
  });

/** Where the documents are served, whoever got lost (a browser at `/`, for one) is told of them. */
function notFoundOn(routes: readonly Route[]): Route {
  const documents = routes.some((row) => row.operation.id === 'getDocsPage') ? '; what there is, GET /docs shows to people and GET /openapi.json to programs' : '';
  return refusal('notFound', () => {
    throw new SignetError('not-found', `there is nothing at this address on this listener${documents}`);
  });
}

const BROKEN_PATH = refusal('brokenPath', () => {
  throw new SignetError('invalid-request', 'the path is not well-formed percent-encoded UTF-8');
});

/** 404, or 405 with the Allow header that belongs to it (RFC 9110 §15.5.6). */
function unrouted(methods: readonly string[], notFound: Route): Route {
  if (methods.length === 0) return notFound;
  const allow = methods.join(', ');
  return refusal('methodNotAllowed', (ctx, request) => {
    const problem = problemAnswer(new SignetError('method-not-allowed', `allowed here: ${allow}`), request.requestId, ctx.config.apiUrl);
    return { ...problem, headers: { ...problem.headers, allow } };
  });
}
