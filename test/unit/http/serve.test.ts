import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import http from 'node:http';
import net from 'node:net';
import { z } from 'zod';
import { operation, type Operation } from '../../../src/api/operation.ts';
import { nothing } from '../../../src/api/values.ts';
import { SignetError } from '../../../src/core/errors.ts';
import type { ApiRequest } from '../../../src/http/handler.ts';
import { route, type Route } from '../../../src/http/route.ts';
import { API_URL, serving, type Serving } from './serving.ts';

const base = { tag: 't', summary: 's', permission: 'public', params: nothing, query: nothing, body: nothing, consumes: [], responses: {}, errors: [], creates: false } as const;
const open = { on: ['api'], as: 'none', rate: 'read', body: 'none' } as const;
const json = ['application/json'] as const;
const fails = (id: string, error: () => Error): Route =>
  route(operation({ ...base, id, method: 'get', path: `/fails/${id}` }) as Operation, {
    ...open,
    handler: () => {
      throw error();
    },
  });

let seen: ApiRequest | undefined;
const TABLE: Route[] = [
  route(operation({ ...base, id: 'echo', method: 'post', path: '/echo/{name}', params: z.strictObject({ name: z.string().max(10) }), query: z.strictObject({ q: z.exactOptional(z.string()) }), body: z.strictObject({ n: z.exactOptional(z.int()) }), consumes: json }), {
    ...open, body: 'json',
    handler: (_ctx, request) => {
      seen = request;
      return { status: 200, json: { name: request.params.name, q: request.query.q ?? null, n: request.body.n ?? null } };
    },
  }),
  route(operation({ ...base, id: 'both', method: 'post', path: '/both', body: z.strictObject({ csr: z.string() }), consumes: ['application/json', 'application/pkcs10'] }), {
    ...open, body: 'json',
    handler: (_ctx, request) => ({ status: 200, json: { isParsed: request.body !== undefined, octets: request.rawBody.length } }),
  }),
  route(operation({ ...base, id: 'tagged', method: 'get', path: '/tagged' }), { ...open, handler: () => ({ status: 200, json: { a: 1 }, headers: { etag: '"v1"', 'cache-control': 'no-cache' } }) }),
  route(operation({ ...base, id: 'nothing', method: 'get', path: '/nothing' }), { ...open, handler: () => ({ status: 204 }) }),
  route(operation({ ...base, id: 'bytes', method: 'get', path: '/lean/{request}', params: z.strictObject({ request: z.string() }) }), {
    ...open, lean: true,
    handler: (_ctx, { params }) => ({ status: 200, bytes: Buffer.from(params.request), contentType: 'application/octet-stream' }),
  }),
  route(operation({ ...base, id: 'managed', method: 'get', path: '/managed', permission: 'authorities:manage' }), { ...open, as: 'admin', handler: (_ctx, { caller }) => ({ status: 200, json: caller }) }),
  route(operation({ ...base, id: 'enroll', method: 'post', path: '/enroll', permission: 'certificates:issue', body: z.strictObject({ joinToken: z.exactOptional(z.string()) }), consumes: json }), {
    ...open, as: 'enrollment', body: 'json', handler: (_ctx, { caller, origin }) => ({ status: 200, json: { caller, origin } }),
  }),
  fails('unknown', () => new Error('secret detail')),
  fails('known', () => new SignetError('overloaded', 'too much', { retryAfterSeconds: 7 })),
  fails('names', () => new SignetError('names-not-granted', 'no', { granted: ['a.example'] })),
];

let service: Serving;
beforeAll(async () => {
  service = await serving(TABLE);
});
afterAll(() => service.close());

const post = (path: string, body: string | Buffer, headers: http.OutgoingHttpHeaders = { 'content-type': 'application/json' }) => service.request({ method: 'POST', path, headers }, body);
const get = (path: string, headers: http.OutgoingHttpHeaders = {}) => service.request({ path, headers });
const codeOf = async (reply: Promise<{ json: () => Record<string, unknown> }>) => (await reply).json().code;

describe('happy', () => {
  test('parameters, query and body reach the handler as the schemas have them', async () => {
    const reply = await post('/echo/a%20b?q=%C3%A4', '{"n":3}');
    expect([reply.status, reply.json()]).toEqual([200, { name: 'a b', q: 'ä', n: 3 }]);
    expect(reply.headers['content-type']).toBe('application/json');
    expect(reply.headers['request-id']).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
    expect(seen).toMatchObject({ source: '127.0.0.1', requestId: reply.headers['request-id'], origin: { actor: { kind: 'system', id: 'anonymous' }, source: '127.0.0.1' } });
  });
  test('an answer is not stored, sniffed or framed unless its handler says so', async () => {
    expect((await post('/echo/a', '{}')).headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'content-security-policy': "default-src 'none'; frame-ancestors 'none'" });
    expect((await get('/tagged')).headers['cache-control']).toBe('no-cache');
    expect((await get('/tagged')).headers['x-powered-by']).toBeUndefined();
  });
  test('no body at all is an empty object', async () => {
    expect((await post('/echo/a', '', {})).json()).toMatchObject({ n: null });
  });
  test('another content type of the operation is not parsed', async () => {
    expect((await post('/both', Buffer.from([0x30, 0]), { 'content-type': 'application/pkcs10' })).json()).toEqual({ isParsed: false, octets: 2 });
  });
  test('HEAD is answered like GET, without the body', async () => {
    for (const path of ['/tagged', '/lean/x']) {
      const reply = await service.request({ method: 'HEAD', path });
      expect([reply.status, reply.text]).toEqual([200, '']);
    }
  });
  test('If-None-Match: 304 without a body, for this tag only', async () => {
    for (const tag of ['"v1"', 'W/"v1"', '"v0", "v1"', '*']) {
      const reply = await get('/tagged', { 'if-none-match': tag });
      expect([reply.status, reply.text, reply.headers.etag]).toEqual([304, '', '"v1"']);
    }
    expect((await get('/tagged', { 'if-none-match': '"v2"' })).status).toBe(200);
  });
  test('the rest of a lean path is one parameter, as it came over the wire', async () => {
    expect((await get('/lean/MEI/aa%2Bb+c==')).text).toBe('MEI/aa%2Bb+c==');
  });
  test('an answer without content', async () => {
    expect(await get('/nothing')).toMatchObject({ status: 204, text: '' });
  });
  test('a client that waits for 100 Continue is told to go on', async () => {
    const reply = await new Promise<number>((resolve, reject) => {
      const req = http.request({ port: service.port, agent: false, method: 'POST', path: '/echo/a', headers: { 'content-type': 'application/json', expect: '100-continue', 'content-length': 2 } }, (res) => resolve(res.resume().statusCode ?? 0));
      req.on('continue', () => req.end('{}'));
      req.on('error', reject);
      req.flushHeaders();
    });
    expect(reply).toBe(200);
  });
});

describe('errors', () => {
  test('a problem has its members, and its type leads to the code', async () => {
    const reply = await get('/fails/known');
    expect([reply.status, reply.headers['content-type'], reply.headers['retry-after']]).toEqual([503, 'application/problem+json', '7']);
    expect(reply.json()).toEqual({
      type: `${API_URL}/errors#overloaded`, code: 'overloaded', title: 'Too much work is waiting', status: 503, detail: 'too much', requestId: reply.headers['request-id'], next: 'Try again after Retry-After.',
    });
  });
  test('names that would be granted are listed', async () => {
    expect((await get('/fails/names')).json()).toMatchObject({ code: 'names-not-granted', granted: ['a.example'] });
  });
  test('an unknown error says nothing but its request id', async () => {
    const reply = await get('/fails/unknown');
    expect([reply.status, reply.json().code, reply.json().detail]).toEqual([500, 'internal', undefined]);
    expect(reply.text).not.toContain('secret');
    expect(reply.json().requestId).toBe(reply.headers['request-id']);
  });
  test('faults of path, query and body are named', async () => {
    expect((await post('/echo/abcdefghijklmn', '{}')).json()).toMatchObject({ code: 'invalid-request', fields: [{ path: '/path/name' }] });
    expect((await post('/echo/a?q=1&q=2', '{}')).json()).toMatchObject({ code: 'invalid-request', fields: [{ path: '/query/q' }] });
    expect((await post('/echo/a', '{"n":"x","z":1}')).json()).toMatchObject({ code: 'invalid-request', fields: [{ path: '/n' }, { path: '/z' }] });
  });
  test('nothing there, and another method', async () => {
    expect(await codeOf(get('/nowhere'))).toBe('not-found');
    const reply = await service.request({ method: 'DELETE', path: '/tagged' });
    expect([reply.status, reply.json().code, reply.headers.allow]).toEqual([405, 'method-not-allowed', 'GET, HEAD']);
    expect((await service.request({ method: 'POST', path: '/lean/x' })).headers.allow).toBe('GET, HEAD');
    expect((await service.request({ method: 'OPTIONS', path: '/echo/x' })).headers.allow).toBe('POST');
  });
  test('a path that is not percent-encoded UTF-8', async () => {
    expect(await codeOf(post('/echo/%ff', '{}'))).toBe('invalid-request');
    expect(await codeOf(post('/echo/%', '{}'))).toBe('invalid-request');
  });
  test('content types', async () => {
    expect(await codeOf(post('/echo/a', '{}', { 'content-type': 'text/plain' }))).toBe('unsupported-media-type');
    expect(await codeOf(post('/echo/a', '{}', {}))).toBe('unsupported-media-type');
    expect(await codeOf(post('/echo/a', '{}', { 'content-type': 'application/json', 'content-encoding': 'gzip' }))).toBe('unsupported-media-type');
  });
  test('JSON that is broken or too deep', async () => {
    expect(await codeOf(post('/echo/a', '{'))).toBe('malformed-json');
    expect(await codeOf(post('/echo/a', '['.repeat(1000)))).toBe('json-too-deep');
  });
});

describe('security', () => {
  const tooMuch = Buffer.alloc(10 * 1024 * 1024, 0x20);
  test('a body over the limit is refused by its declared length', async () => {
    const reply = await post('/echo/a', tooMuch);
    expect([reply.status, reply.json().code, reply.json().detail]).toEqual([413, 'body-too-large', 'the body may have at most 1024 octets']);
  });
  test('a body over the limit is refused while it comes in chunks', async () => {
    expect(await codeOf(post('/echo/a', tooMuch, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }))).toBe('body-too-large');
  });
  test('a refused request is never asked for its body', async () => {
    let asked = false;
    const status = await new Promise<number>((resolve, reject) => {
      const req = http.request({ port: service.port, agent: false, method: 'POST', path: '/echo/a', headers: { 'content-type': 'application/json', expect: '100-continue', 'content-length': 10_000_000 } }, (res) => {
        resolve(res.resume().statusCode ?? 0);
        req.destroy();
      });
      req.on('continue', () => (asked = true));
      req.on('error', reject);
      req.flushHeaders();
    });
    expect([status, asked]).toEqual([413, false]);
  });
  test('the connection serves the next request after a refused body', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const first = await service.request({ agent, method: 'POST', path: '/echo/a', headers: { 'content-type': 'application/json' } }, Buffer.alloc(100_000, 0x20));
    const second = await service.request({ agent, path: '/tagged' });
    agent.destroy();
    expect([first.status, second.status]).toEqual([413, 200]);
  });
  test('without a token, with a wrong one, with too small a role', async () => {
    const none = await get('/managed');
    expect([none.status, none.json().code, none.headers['www-authenticate']]).toEqual([401, 'authentication-required', 'Bearer realm="signet"']);
    expect(await codeOf(get('/managed', { authorization: 'Bearer wrong' }))).toBe('invalid-credential');
    const small = await get('/managed', { authorization: 'Bearer reader' });
    expect([small.status, small.json().detail]).toEqual([403, 'this needs the permission authorities:manage, which the role relying-party does not have']);
    expect((await get('/managed', { authorization: 'Bearer good' })).json()).toMatchObject({ id: 'ADMIN' });
  });
  test('a refusal is noted under whoever was known by then', async () => {
    service.denied.length = 0;
    const reply = await get('/managed', { authorization: 'Bearer reader' });
    expect(service.denied).toEqual([{ code: 'permission-denied', origin: { actor: { kind: 'admin', id: 'READER' }, credential: { kind: 'api-token', id: 'READER', role: 'relying-party' }, requestId: reply.headers['request-id'], source: '127.0.0.1' } }]);
  });
  test('a join token comes as bearer token or in the body, not as two different ones', async () => {
    const [id, other] = ['01KAMV3W5QZ3C1D6X2G7R8S9TB', '01KAMV3W5QZ3C1D6X2G7R8S9TC'];
    const token = `sgj_${id}_${'a'.repeat(43)}`;
    const inBody = JSON.stringify({ joinToken: token });
    const byHeader = await post('/enroll', '{}', { 'content-type': 'application/json', authorization: `Bearer ${token}` });
    expect(byHeader.json()).toMatchObject({ caller: { kind: 'enrollment', id, joinToken: token }, origin: { actor: { kind: 'join-token', id } } });
    expect((await post('/enroll', inBody)).json()).toMatchObject({ caller: { id } });
    expect(await codeOf(post('/enroll', inBody, { 'content-type': 'application/json', authorization: `Bearer ${token.replace(id, other)}` }))).toBe('invalid-request');
    expect(await codeOf(post('/enroll', '{}'))).toBe('authentication-required');
    expect(await codeOf(post('/enroll', '{"joinToken":"sga_x"}'))).toBe('join-token-unknown');
  });
});

test('who is still sending a refused body gets the whole answer, and its connection stays until it has sent', async () => {
  const length = 100_000;
  const socket = net.connect(service.port, '127.0.0.1').setEncoding('latin1');
  let answered = '';
  let ended = false;
  const end = new Promise<void>((resolve) => socket.once('end', () => resolve(void (ended = true))));
  const whole = new Promise<void>((resolve) => socket.on('data', (part: string) => (answered += part).endsWith('}') && resolve()));
  socket.write(`POST /echo/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`);
  await whole;
  expect(answered).toMatch(/^HTTP\/1\.1 413 /);
  // Time for a closing to arrive, if there were one.
  await get('/tagged');
  expect(ended).toBe(false);
  socket.write(Buffer.alloc(length, ' '));
  await end;
  socket.destroy();
});
