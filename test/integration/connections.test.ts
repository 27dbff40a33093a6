/** Connections that are slow, idle, too many or too greedy: closed in time, while others are served. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import net from 'node:net';
import tls from 'node:tls';
import { createClient } from '../support/https-client.ts';
import { startService, type Service } from '../support/service.ts';

const PER_SOURCE = 6;
const PER_DOOR = 24;
const PIPELINED = 10;
/** When a connection that should have been closed was not. The limits are 1 to 2 s, and Node looks once a second. */
const CLOSED_MS = 15_000;

let service: Service;
beforeAll(async () => {
  service = await startService({
    env: {
      SIGNET_HEADERS_TIMEOUT_MS: '1000', SIGNET_REQUEST_TIMEOUT_MS: '1500', SIGNET_KEEP_ALIVE_TIMEOUT_MS: '1000',
      SIGNET_STATEMENT_TIMEOUT_MS: '1900', SIGNET_STALL_TIMEOUT_MS: '2000',
      SIGNET_MAX_CONNECTIONS: String(PER_DOOR), SIGNET_MAX_CONNECTIONS_PER_SOURCE: String(PER_SOURCE), SIGNET_MAX_HEADERS: '20',
      SIGNET_SOURCE_CONNECTION_RATE: '1', SIGNET_SOURCE_CONNECTION_BURST: '60', SIGNET_SOURCE_HEALTH_RATE: '1', SIGNET_SOURCE_HEALTH_BURST: '100', SIGNET_MAX_PIPELINED: String(PIPELINED),
    },
  });
});
const sockets = new Set<net.Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
});
afterAll(() => service.close());

type DoorName = 'api' | 'mtls' | 'status' | 'operations';
let host = 1;
/** An address that nobody has connected from yet. */
const newSource = (): string => `127.0.2.${++host}`;

/** A connection as it is: nothing is sent by itself. */
function connect(door: DoorName, localAddress = newSource()): net.Socket {
  const socket = net.connect({ port: service.signet.ports[door], host: '127.0.0.1', localAddress });
  sockets.add(socket);
  return socket.on('error', () => undefined);
}
function connectTls(door: 'api' | 'mtls', localAddress = newSource()): tls.TLSSocket {
  const socket = tls.connect({ socket: connect(door, localAddress), ca: service.signet.rootPem, host: '127.0.0.1' });
  sockets.add(socket);
  return socket.on('error', () => undefined);
}

/** What came until the other end closed the connection. */
function untilClosed(socket: net.Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => (text += part));
  return closed(socket).then(() => text);
}
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('still open')), CLOSED_MS);
    const end = () => {
      clearTimeout(late);
      resolve();
    };
    // Whoever has been told that nothing more comes has nothing to wait for.
    socket.once('end', () => socket.destroy()).once('close', end);
    if (socket.destroyed) end();
  });
}
/** The first that came, or what became of the connection. */
function answer(socket: net.Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (part) => resolve(String(part)));
    socket.once('end', () => resolve('closed')).once('close', () => resolve('closed'));
  });
}
/** Sends `first`, and then `more` ten times a second. */
function dribble(socket: net.Socket, first: string, more: string): net.Socket {
  socket.write(first);
  const timer = setInterval(() => (socket.writable ? socket.write(more) : clearInterval(timer)), 100);
  socket.once('close', () => clearInterval(timer));
  return socket;
}
const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
/** One request over an open connection; the first line of the answer, or what became of the connection. */
async function ask(socket: net.Socket, path = '/healthz'): Promise<string> {
  const answered = answer(socket);
  socket.write(request(path));
  return (await answered).split('\r\n', 1)[0] ?? '';
}
const OK = 'HTTP/1.1 200 OK';
/** Others are served: from another address, at every door. */
async function expectOthersServed(): Promise<void> {
  const source = newSource();
  expect(await Promise.all([ask(connectTls('api', source)), ask(connect('status', source)), ask(connect('operations', source))])).toEqual([OK, OK, OK]);
}

/** These wait for time limits: all at once. */
test('slow and idle connections are closed in time, each for what it is, while others are served', async () => {
  const head = 'GET /healthz HTTP/1.1\r\nHost: a\r\n';
  const body = 'POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Type: application/ocsp-request\r\nContent-Length: 1000\r\n\r\n';
  const enrollment = 'POST /v1/certificates HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n';
  const idle = [connect('status'), connectTls('api')];
  expect(await Promise.all(idle.map((socket) => ask(socket)))).toEqual([OK, OK]);
  const answers = {
    'a head in drops, in clear': untilClosed(dribble(connect('status'), head, 'X: y\r\n')),
    'a head in drops, over TLS': untilClosed(dribble(connectTls('api'), head, 'X: y\r\n')),
    'a body in drops, in clear': untilClosed(dribble(connect('status'), body, 'x')),
    'a body in drops, over TLS': untilClosed(dribble(connectTls('api'), enrollment, ' ')),
    'nothing at all, in clear': untilClosed(connect('status')),
    'no handshake at all': untilClosed(connect('api')),
    'half a handshake': untilClosed(dribble(connect('mtls'), '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '\x01')),
    'nothing after the handshake': untilClosed(connectTls('mtls')),
    'kept alive, in clear': untilClosed(idle[0]!),
    'kept alive, over TLS': untilClosed(idle[1]!),
  };
  await expectOthersServed();
  const statusOf = (text: string): string => /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? text;
  const ends = await Promise.all(Object.entries(answers).map(async ([name, answer]) => [name, statusOf(await answer)]));
  expect(Object.fromEntries(ends)).toEqual({
    'a head in drops, in clear': '408', 'a head in drops, over TLS': '408', 'a body in drops, in clear': '408', 'a body in drops, over TLS': '408',
    'nothing at all, in clear': '408', 'no handshake at all': '', 'half a handshake': '', 'nothing after the handshake': '408', 'kept alive, in clear': '', 'kept alive, over TLS': '',
  });
}, 40_000);

describe('too many connections', () => {
  test.each(['status', 'api', 'mtls'] as const)('of one address, at the %s door: the next is closed, the others and other addresses are served; what is closed is not counted any more', async (door) => {
    const source = newSource();
    const open = () => (door === 'status' ? connect(door, source) : connectTls(door, source));
    const path = door === 'mtls' ? '/v1/trust-bundle' : '/healthz';
    for (let round = 0; round < 4; round++) {
      const first = Array.from({ length: PER_SOURCE }, open);
      expect(await Promise.all(first.map((socket) => ask(socket, path)))).toEqual(first.map(() => OK));
      expect(await ask(open(), path)).toBe('closed');
      expect(await Promise.all(first.map((socket) => ask(socket, path)))).toEqual(first.map(() => OK));
      // Politely and not: both ends are seen.
      first.forEach((socket, i) => (i % 2 === 0 ? socket.end() : socket.destroy()));
      await Promise.all(first.map(closed));
      for (const deadline = performance.now() + CLOSED_MS; performance.now() < deadline; ) {
        const next = open();
        const answer = await ask(next, path);
        next.destroy();
        if (answer === OK) break;
      }
    }
    await expectOthersServed();
  });

  test('of one door: the next is closed, those that are open and other doors are served', async () => {
    const full = Array.from({ length: PER_DOOR }, (_, i) => connect('status', `127.0.3.${1 + (i % 4)}`));
    expect(await Promise.all(full.map((socket) => ask(socket)))).toEqual(full.map(() => OK));
    expect(await ask(connect('status'))).toBe('closed');
    expect(await Promise.all(full.map((socket) => ask(socket)))).toEqual(full.map(() => OK));
    expect(await ask(connectTls('api'))).toBe(OK);
    full.forEach((socket) => socket.destroy());
  });

  test('too fast, where each costs a handshake', async () => {
    const source = newSource();
    let passed = 0;
    for (let i = 0; i < 90; i++) {
      const socket = connectTls('api', source);
      if ((await ask(socket, '/nowhere')).startsWith('HTTP/1.1 404')) passed++;
      socket.destroy();
      await closed(socket);
    }
    expect(passed).toBeGreaterThanOrEqual(30);
    expect(passed).toBeLessThan(90);
    expect(await ask(connect('status', source))).toBe(OK);
    await expectOthersServed();
  });

  test('they are counted by why', async () => {
    const metrics = (await createClient({ url: service.signet.urls.operations }).send('GET', '/metrics')).body.toString();
    for (const labels of ['door="status",reason="source"', 'door="api",reason="source"', 'door="mtls",reason="source"', 'door="status",reason="door"', 'door="api",reason="rate"']) {
      expect(metrics).toMatch(new RegExp(`^signet_connections_refused_total\\{${labels}\\} [1-9]`, 'm'));
    }
  });
});

describe('heads', () => {
  const withHeaders = (lines: string[]): string => `GET /healthz HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
  function answerTo(text: string, door: 'status' | 'api'): Promise<string> {
    const socket = door === 'api' ? connectTls('api') : connect('status');
    const answered = answer(socket);
    socket.write(text);
    return answered;
  }

  test.each(['status', 'api'] as const)('of 64 KB, or of 21 fields, at the %s door: 431', async (door) => {
    expect(await answerTo(withHeaders([`X: ${'x'.repeat(65_536)}`]), door)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await answerTo(withHeaders(Array.from({ length: 800 }, (_, i) => `X${i}: ${'x'.repeat(70)}`)), door)).toMatch(/^HTTP\/1\.1 431 /);
    const many = await answerTo(withHeaders(Array.from({ length: 20 }, (_, i) => `X${i}: y`)), door);
    expect(many).toMatch(/^HTTP\/1\.1 431 [^]*"code":"headers-too-many"/);
    expect(await answerTo(withHeaders(Array.from({ length: 19 }, (_, i) => `X${i}: y`)), door)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('of thousands of tiny fields, where Node itself would drop the last ones in silence', async () => {
    expect(await answerTo(withHeaders(Array.from({ length: 3_000 }, () => 'a:')), 'status')).toMatch(/^HTTP\/1\.1 431 /);
  });
});

describe('pipelining', () => {
  const statusesIn = (text: string): (string | undefined)[] => [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status);
  const last = 'GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

  test.each(['status', 'api'] as const)('at the %s door: what may be under way at once is answered in order', async (door) => {
    const socket = door === 'api' ? connectTls('api') : connect('status');
    socket.write(request('/healthz').repeat(PIPELINED - 1) + last);
    expect(statusesIn(await untilClosed(socket))).toEqual([...Array<string>(PIPELINED - 1).fill('200'), '404']);
  });

  test.each(['status', 'operations'] as const)('at the %s door: a flood ends its connection, and is not worked off', async (door) => {
    const path = door === 'operations' ? '/metrics' : '/healthz';
    const text = await Promise.all(Array.from({ length: 4 }, () => {
      const socket = connect(door);
      socket.write(request(path).repeat(2_000));
      return untilClosed(socket);
    }));
    for (const answers of text) expect(statusesIn(answers).length).toBeLessThanOrEqual(PIPELINED);
    await expectOthersServed();
    const { body } = await createClient({ url: service.signet.urls.operations }).send('GET', '/metrics');
    expect(body.toString()).toMatch(new RegExp(`^signet_connections_refused_total\\{door="${door}",reason="pipelining"\\} 4$`, 'm'));
  });
});
