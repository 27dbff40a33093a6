import http, { type RequestListener } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterAll, expect, test } from '@jest/globals';
import type { Context } from '../../../src/context.ts';
import type { Access } from '../../../src/http/access-log.ts';
import { createDocuments } from '../../../src/http/documents.ts';
import { createOcspDoor } from '../../../src/http/ocsp-door.ts';
import { createRouter } from '../../../src/http/router.ts';
import { ROUTES } from '../../../src/http/routes.ts';
import { createServe, type ServeParts } from '../../../src/http/serve.ts';
import type { LimitStanding } from '../../../src/limits/rate-limited.ts';
import { RateLimited } from '../../../src/limits/rate-limited.ts';
import { API_URL, skeletonContext } from './serving.ts';

const KEPT = Buffer.from('3003020100ff', 'hex');
const OTHER = Buffer.from('30030201ee', 'hex');
const HEADERS = { 'content-type': 'application/ocsp-response', 'cache-control': 'max-age=60, public', etag: '"one"' };
const ANSWER = Buffer.from('signed \u00ff', 'latin1');

interface Way {
  port: number;
  accesses: Access[];
  /** Requests that went the way of all. */
  handedOn: () => number;
  metrics: () => Promise<string>;
}
const servers: http.Server[] = [];
/** The server's end of the newest connection, by port. */
const peers = new Map<number, net.Socket>();
const limit = { refuse: false };

/** A status door whose responder keeps the answer to KEPT and makes every other; with the short way in front, or without it. */
async function open(isShort: boolean): Promise<Way> {
  const pass = (): LimitStanding | undefined => {
    if (limit.refuse) throw new RateLimited('too many', 2_000);
    return undefined;
  };
  const skeleton = skeletonContext();
  const ctx = {
    ...skeleton,
    limits: { ...skeleton.limits, source: pass, sourcePasses: () => !limit.refuse },
    ocsp: {
      recall: (der: Buffer) => (der.equals(KEPT) ? { octets: ANSWER.toString('latin1'), headers: HEADERS } : undefined),
      answer: (der: Uint8Array) => Promise.resolve({ bytes: ANSWER, headers: Buffer.from(der).equals(KEPT) ? HEADERS : { ...HEADERS, 'cache-control': 'no-store' } }),
    },
  } as Context;
  const accesses: Access[] = [];
  const parts = {
    denials: { note: () => undefined, settled: () => Promise.resolve() },
    process: { draining: false, warnings: [] },
    access: (access: Access) => void accesses.push(access),
    documents: createDocuments({ apiUrl: API_URL, mtlsUrl: 'https://signet.example:8444', publicUrl: 'http://signet.example:8080' }, []),
  } as unknown as ServeParts;
  let handedOn = 0;
  const router = createRouter('status', ROUTES, createServe(ctx, parts));
  const counted: RequestListener = (req, res) => {
    handedOn++;
    router(req, res);
  };
  const listener = isShort ? createOcspDoor(ctx, parts, counted) : counted;
  const server = http.createServer(listener).on('checkContinue', listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  server.on('connection', (socket) => peers.set(port, socket));
  return { port, accesses, handedOn: () => handedOn, metrics: async () => (await ctx.metrics.text()).split('\n').filter((line) => line.startsWith('signet_http_requests_total')).toSorted().join('\n') };
}
const ways = Promise.all([open(true), open(false)]);
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Until the server has read so much, and has done what it does at once. */
async function read(port: number, octets: number): Promise<void> {
  for (let socket = peers.get(port); !socket || (socket.bytesRead < octets && !socket.destroyed); socket = peers.get(port)) await turn();
  await turn();
}

/** All octets of the answer to what is sent in these pieces, each of which is read by itself. */
function exchange(port: number, pieces: readonly (string | Buffer)[]): Promise<string> {
  peers.delete(port);
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    const received: Buffer[] = [];
    socket.on('data', (chunk) => received.push(chunk)).once('end', () => resolve(Buffer.concat(received).toString('latin1'))).once('error', reject);
    void (async () => {
      let sent = 0;
      for (const piece of pieces) {
        if (sent > 0) await read(port, sent);
        socket.write(piece);
        sent += Buffer.byteLength(piece);
      }
    })();
  });
}

/** What differs from answer to answer, and the order of fields, which means nothing (RFC 9110 §5.3). */
function normal(answer: string): string {
  const [head = '', ...body] = answer.split('\r\n\r\n');
  const [status, ...fields] = head.split('\r\n');
  const told = fields.map((field) => field.replace(/^([^:]+)/, (name) => name.toLowerCase()).replace(/^(date|request-id): .*/, '$1')).toSorted();
  return [status, ...told, '', ...body].join('\n').replace(/"requestId":"[^"]*"/, '');
}

const post = (der: Buffer, fields = '', target = '/ocsp', type = 'application/ocsp-request') => [
  Buffer.concat([Buffer.from(`POST ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: ${type}\r\n${fields}content-length: ${der.length}\r\n\r\n`), der]),
];
const get = (rest: string, fields = '', method = 'GET') => [`${method} /ocsp/${rest} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${fields}\r\n`];
const KEPT_PATH = encodeURIComponent(KEPT.toString('base64'));
const [whole = Buffer.alloc(0)] = post(OTHER);

test.each<[string, 'short' | 'handed on', readonly (string | Buffer)[]]>([
  ['POST, kept', 'short', post(KEPT)],
  ['POST, not kept', 'short', post(OTHER)],
  ['POST, field names as some clients write them', 'short', [Buffer.concat([Buffer.from(`POST /ocsp HTTP/1.1\r\nHOST: a\r\nConnection: close\r\nContent-Type: application/ocsp-request\r\nContent-Length: ${KEPT.length}\r\n\r\n`), KEPT])]],
  ['GET, kept', 'short', get(KEPT_PATH)],
  ['GET, not kept', 'short', get(encodeURIComponent(OTHER.toString('base64')))],
  ['GET, lower-case escapes and a slash too many', 'short', get(`/${KEPT_PATH.replace('%2F', '%2f')}`)],
  ['HEAD', 'handed on', get(KEPT_PATH, '', 'HEAD')],
  ['GET, the client has it', 'handed on', get(KEPT_PATH, 'if-none-match: "one"\r\n')],
  ['GET, not base64', 'handed on', get('***')],
  ['GET, with a query', 'handed on', get(`${KEPT_PATH}?a=b`)],
  ['GET, broken escape', 'handed on', get('%ZZ')],
  ['GET, with a body', 'handed on', [`${String(get(KEPT_PATH, 'content-length: 3\r\n')[0])}abc`]],
  ['POST, body behind its head', 'handed on', [whole.subarray(0, -OTHER.length), OTHER]],
  ['POST, body in two pieces', 'handed on', [whole.subarray(0, -2), whole.subarray(-2)]],
  ['POST, media type with a parameter', 'handed on', post(KEPT, '', '/ocsp', 'application/ocsp-request; a=b')],
  ['POST, another media type', 'handed on', post(KEPT, '', '/ocsp', 'application/json')],
  ['POST, encoded', 'handed on', post(KEPT, 'content-encoding: gzip\r\n')],
  ['POST, asks first', 'handed on', post(KEPT, 'expect: 100-continue\r\n')],
  ['POST, chunked', 'handed on', ['POST /ocsp HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/ocsp-request\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n']],
  ['POST, too long', 'handed on', post(Buffer.alloc(600))],
  ['POST, empty', 'handed on', post(Buffer.alloc(0))],
  ['POST, a slash too many', 'handed on', post(KEPT, '', '/ocsp/')],
  ['POST, too many fields', 'handed on', post(KEPT, 'x: y\r\n'.repeat(101))],
])('%s: %s, and answered, logged and counted alike', async (_name, way, pieces) => {
  const [short, long] = await ways;
  const before = short.handedOn();
  const [answer, expected] = [await exchange(short.port, pieces), await exchange(long.port, pieces)];
  expect(normal(answer)).toBe(normal(expected));
  expect(answer).toMatch(/^HTTP\/1\.1 \d{3} /);
  expect(short.handedOn() - before).toBe(way === 'short' ? 0 : 1);
  expect({ ...short.accesses.at(-1), requestId: '' }).toEqual({ ...long.accesses.at(-1), requestId: '' });
  expect(await short.metrics()).toBe(await long.metrics());
});

test('two questions in one packet are each answered, in order', async () => {
  const [short] = await ways;
  const keepOpen = Buffer.from((post(KEPT)[0] as Buffer).toString('latin1').replace('connection: close\r\n', ''), 'latin1');
  const answers = await exchange(short.port, [Buffer.concat([keepOpen, post(OTHER)[0] as Buffer])]);
  expect(answers.match(/cache-control: [^\r]*/g)).toEqual(['cache-control: max-age=60, public', 'cache-control: no-store']);
});

test('over the limit it is refused as everywhere, body or not', async () => {
  const [short, long] = await ways;
  limit.refuse = true;
  try {
    for (const pieces of [post(KEPT), get(KEPT_PATH)]) {
      const answer = await exchange(short.port, pieces);
      expect(answer).toMatch(/^HTTP\/1\.1 429 /);
      expect(normal(answer)).toBe(normal(await exchange(long.port, pieces)));
    }
  } finally {
    limit.refuse = false;
  }
});
