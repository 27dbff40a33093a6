import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import type { Context } from '../../../src/context.ts';
import { StartupError } from '../../../src/core/errors.ts';
import { openDoors, type Doors } from '../../../src/http/server.ts';
import type { TlsMaterial } from '../../../src/http/tls.ts';
import { request, skeletonContext } from './serving.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'signet-doors-'));
function selfSigned(name: string): TlsMaterial & { keyPem: string } {
  const [keyFile, certificateFile] = [path.join(folder, `${name}.key`), path.join(folder, `${name}.pem`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyFile, '-out', certificateFile, '-subj', `/CN=${name}`, '-days', '1'], { stdio: 'ignore' });
  const keyPem = readFileSync(keyFile, 'utf8');
  return { key: createPrivateKey(keyPem), chainPem: readFileSync(certificateFile, 'utf8'), keyPem };
}

const [first, second, stranger] = [selfSigned('first'), selfSigned('second'), selfSigned('stranger')];
const anyPort = { host: '127.0.0.1', port: 0 };
const config = {
  apiUrl: 'https://signet.example', publicUrl: 'http://status.example', hstsSeconds: 60, trustedProxies: [], apiListen: anyPort, mtlsListen: anyPort, statusListen: anyPort, operationsListen: anyPort, tlsMinVersion: 'TLSv1.3',
  headersTimeoutMs: 1000, requestTimeoutMs: 2000, keepAliveTimeoutMs: 5000, stallTimeoutMs: 10_000, responseTimeoutMs: 10_000, maxConnections: 100, maxConnectionsPerSource: 0, maxPipelined: 16, databaseConnections: 1, maxHeaderBytes: 4096, maxHeaders: 100, drainDelaySeconds: 0, drainSeconds: 1,
  jsonMaxBytes: 1024, csrMaxBytes: 512, jsonMaxDepth: 8, trustDomain: 'signet.test', accessLog: 'off', logLevel: 'silent',
};
/** Answers when the test says so. */
const slow = { entered: () => {}, gate: Promise.resolve() };
const context = (change: object = {}): Context =>
  skeletonContext({
    config: { ...config, ...change } as unknown as Context['config'],
    liveFeed: { drain: () => undefined } as unknown as Context['liveFeed'],
    profiles: { shortestTtlSeconds: 300 } as Context['profiles'],
    ocsp: {
      recall: () => undefined,
      answer: async () => {
        slow.entered();
        await slow.gate;
        return { bytes: Buffer.from('ocsp'), headers: { 'content-type': 'application/ocsp-response' } };
      },
    },
  });

let doors: Doors;
beforeAll(async () => {
  doors = await openDoors(context(), { tls: first, warnings: ['look here'] });
});
afterAll(async () => {
  await doors.close();
  rmSync(folder, { recursive: true });
});
const sockets: Socket[] = [];
afterEach(() => sockets.splice(0).forEach((socket) => socket.destroy()));

const api = (options: https.RequestOptions = {}) => secure(doors.addresses.api.port, options);
const mtls = (options: https.RequestOptions = {}) => secure(doors.addresses.mtls.port, { ...options });
function secure(port: number, options: https.RequestOptions): Promise<{ status: number; json: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const req = https.request({ host: '127.0.0.1', port, agent: false, rejectUnauthorized: false, ...options }, (res) => {
      let text = '';
      res.on('data', (chunk: Buffer) => (text += chunk.toString()));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, json: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) }));
    });
    req.on('error', reject);
    req.end();
  });
}
const handshake = (port: number, options: object = {}) =>
  new Promise<TLSSocket>((resolve, reject) => {
    const socket = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => resolve(socket));
    sockets.push(socket);
    socket.on('error', reject);
  });
const rawAnswer = (port: number, text: string) =>
  new Promise<string>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    sockets.push(socket);
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', () => undefined);
  });

test('each door serves its own routes only', async () => {
  expect(await api({ path: '/healthz' })).toEqual({ status: 200, json: { status: 'ok' } });
  expect((await api({ path: '/metrics' })).json.code).toBe('not-found');
  expect((await mtls({ path: '/v1/agents' })).json.code).toBe('not-found');
  expect((await request({ port: doors.addresses.status.port, path: '/readyz' })).json().code).toBe('not-found');
  expect((await request({ port: doors.addresses.operations.port, path: '/metrics' })).text).toContain('signet_http_requests_total{door="api",route="/healthz",method="GET",status="200"} 1');
});

test('the mutual TLS door lets everyone in, and wants a certificate in every request', async () => {
  const renewal = { method: 'POST', path: '/v1/certificates/renew', headers: { 'content-length': 0 } };
  expect(await mtls(renewal)).toMatchObject({ status: 401, json: { code: 'client-certificate-required' } });
  expect((await mtls({ path: `/v1/status/${'01'.repeat(20)}` })).json.code).toBe('client-certificate-required');
});

test('a stranger’s certificate reaches the judge, who gets its DER', async () => {
  const withStranger = { key: stranger.keyPem, cert: stranger.chainPem };
  // The body is refused before the certificate is judged by the use case: the credential was there.
  expect((await mtls({ ...withStranger, method: 'POST', path: '/v1/certificates/renew', headers: { 'content-type': 'text/plain', 'content-length': 1 } })).json.code).toBe('unsupported-media-type');
});

test('another certificate is shown from the next handshake on; an open connection stays', async () => {
  const subjectOf = (socket: TLSSocket) => socket.getPeerCertificate().subject.CN;
  const before = await handshake(doors.addresses.api.port);
  doors.updateTls(second);
  const after = await handshake(doors.addresses.api.port);
  expect([subjectOf(before), subjectOf(after), subjectOf(await handshake(doors.addresses.mtls.port))]).toEqual(['first', 'second', 'second']);
  const answer = new Promise<string>((resolve) => before.once('data', (chunk: Buffer) => resolve(chunk.toString())));
  before.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
  expect(await answer).toContain('HTTP/1.1 200 OK');
});

test('a session ticket lives no longer than the shortest profile', async () => {
  const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${doors.addresses.mtls.port}`], { stdio: ['pipe', 'pipe', 'ignore'] });
  let shown = '';
  for await (const chunk of client.stdout) {
    shown += String(chunk);
    if (shown.includes('ticket lifetime hint')) break;
  }
  client.kill();
  expect(shown).toMatch(/lifetime hint: 300 \(seconds\)/);
});

test('TLS 1.2 is not spoken by default', async () => {
  await expect(handshake(doors.addresses.api.port, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
});

test('what is not HTTP, has too long a head, or is too slow is refused', async () => {
  const { port } = doors.addresses.status;
  expect(await rawAnswer(port, 'garbage\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  expect(await rawAnswer(port, `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(5000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  expect(await rawAnswer(port, 'GET / HTTP/1.1\r\nhost: x\r\n')).toMatch(/^HTTP\/1\.1 408 /);
});

test.each([
  ['what is not HTTP', 'status', 'garbage\r\n\r\n'],
  ['a TLS handshake that does not begin', 'api', ''],
  ['a TLS handshake that is none', 'mtls', 'GET / HTTP/1.1\r\n\r\n'],
] as const)('the connection of %s is closed by us, even if the other end stays', async (_, door, text) => {
  const socket = connect({ port: doors.addresses[door].port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(text));
  sockets.push(socket);
  const ended = new Promise((resolve) => socket.once('end', resolve).once('error', resolve).resume());
  await ended;
  // Half of it is closed now. Writing goes on until nobody is there to read.
  const reset = new Promise((resolve) => socket.once('error', resolve).once('close', resolve));
  const writing = setInterval(() => socket.write('x'), 50);
  await reset;
  clearInterval(writing);
  expect(socket.destroyed).toBe(true);
});

test('OCSP by GET takes the rest of the path, by POST its own content type', async () => {
  const { port } = doors.addresses.status;
  expect(await request({ port, path: '/ocsp/MEQwQjBA%2Bw==' })).toMatchObject({ status: 200, text: 'ocsp', headers: { 'content-type': 'application/ocsp-response' } });
  expect((await request({ port, path: '/ocsp', method: 'POST', headers: { 'content-type': 'application/ocsp-request' } }, 'x')).text).toBe('ocsp');
  expect((await request({ port, path: '/ocsp', method: 'POST', headers: { 'content-type': 'application/json' } }, '{}')).json().code).toBe('unsupported-media-type');
  expect((await request({ port, path: '/ocsp', method: 'POST', headers: { 'content-type': 'application/ocsp-request' } }, Buffer.alloc(1_000_000))).status).toBe(413);
});

test('an address that is taken is a startup fault that names the door, and no door stays open', async () => {
  const { port } = doors.addresses.status;
  const failing = openDoors(context({ statusListen: { host: '127.0.0.1', port } }), { tls: first, warnings: [] });
  await expect(failing).rejects.toThrow(StartupError);
  await expect(failing).rejects.toThrow(new RegExp(`the status door cannot listen on 127.0.0.1:${port}`));
});

test('a client that reads nothing of a large answer is cut off, and what it did not read is not kept for it', async () => {
  const large = Buffer.alloc(32 * 1024 * 1024, 'x');
  const crls = { get: () => Promise.resolve({ content: { bytes: large }, number: 1n, etag: '"x"', thisUpdate: new Date(0), nextUpdate: new Date(0) }) } as unknown as Context['crls'];
  const own = await openDoors({ ...context({ stallTimeoutMs: 300 }), crls }, { tls: first, warnings: [] });
  const socket = connect(own.addresses.status.port, '127.0.0.1').pause();
  sockets.push(socket);
  socket.write(`GET /crl/01KAMV3W5QZ3C1D6X2G7R8S9TB/complete.crl HTTP/1.1\r\nhost: x\r\n\r\n`);
  // Long past the time limit, which runs on this very event loop. Meanwhile nothing is read: reading would be progress.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  let received = 0;
  const end = new Promise<string | undefined>((resolve) => socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code)).on('end', () => resolve('end')));
  socket.on('data', (part: Buffer) => (received += part.length)).resume();
  expect(await end).toBe('ECONNRESET');
  expect(received).toBeLessThan(large.length);
  await own.close();
});

test('a list that is read as it is sent: whole by GET, its head by HEAD and If-None-Match; one that breaks off ends the connection', async () => {
  const part = Buffer.alloc(100_000, 'x');
  let reads = 0;
  let parts = 20;
  async function* read() {
    reads++;
    for (let i = 0; i < parts; i++) yield await Promise.resolve(part);
    if (parts < 20) throw new Error('gone');
  }
  const content = { bytes: undefined, length: 20 * part.length, read };
  const crls = { get: () => Promise.resolve({ content, number: 1n, etag: '"x"', thisUpdate: new Date(0), nextUpdate: new Date(0) }) } as unknown as Context['crls'];
  const own = await openDoors({ ...context(), crls }, { tls: first, warnings: [] });
  const url = `http://127.0.0.1:${own.addresses.status.port}/crl/01KAMV3W5QZ3C1D6X2G7R8S9TB/complete.crl`;
  const whole = await fetch(url);
  expect([whole.status, whole.headers.get('content-type'), whole.headers.get('content-length')]).toEqual([200, 'application/pkix-crl', '2000000']);
  expect((await whole.arrayBuffer()).byteLength).toBe(2_000_000);
  const head = await fetch(url, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), head.headers.get('etag')]).toEqual([200, '2000000', '"x"']);
  expect((await fetch(url, { headers: { 'if-none-match': '"x"' } })).status).toBe(304);
  expect(reads).toBe(1);
  parts = 3;
  await expect(fetch(url).then((answer) => answer.arrayBuffer())).rejects.toThrow();
  await own.close();
});

test('draining: a request under way is answered, new connections are refused, idle ones are closed', async () => {
  const own = await openDoors(context(), { tls: first, warnings: [] });
  const { port } = own.addresses.status;
  const idle = new http.Agent({ keepAlive: true });
  await request({ agent: idle, port, path: '/healthz' });

  let open = () => {};
  slow.gate = new Promise((resolve) => (open = resolve));
  const entered = new Promise<void>((resolve) => (slow.entered = resolve));
  const underWay = request({ port, path: '/ocsp/AAAA', agent: new http.Agent({ keepAlive: true }) });
  await entered;
  const closed = own.close();
  await expect(request({ port, path: '/healthz' })).rejects.toThrow('ECONNREFUSED');
  open();
  const answer = await underWay;
  expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
  await closed;
  idle.destroy();
});

test('draining ends: what is still under way after drainSeconds is cut off', async () => {
  const own = await openDoors(context({ drainSeconds: 0 }), { tls: first, warnings: [] });
  slow.gate = new Promise(() => {});
  const entered = new Promise<void>((resolve) => (slow.entered = resolve));
  const underWay = request({ port: own.addresses.status.port, path: '/ocsp/AAAA' }).then(() => 'answered', () => 'cut off');
  await entered;
  await own.close();
  expect(await underWay).toBe('cut off');
});

test('draining ends: a handshake that never does is cut off as well', async () => {
  const own = await openDoors(context({ drainSeconds: 0, headersTimeoutMs: 600_000, requestTimeoutMs: 600_000 }), { tls: first, warnings: [] });
  const started = ['api', 'mtls'] as const;
  const ends = started.map((door) => {
    const socket = connect(own.addresses[door].port, '127.0.0.1', () => socket.write(Buffer.from([0x16, 3, 1])));
    sockets.push(socket);
    return new Promise<string>((resolve) => socket.on('error', () => undefined).once('close', () => resolve('closed')));
  });
  await handshake(own.addresses.api.port);
  await own.close();
  expect(await Promise.all(ends)).toEqual(['closed', 'closed']);
});
