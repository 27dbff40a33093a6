/** Abuse in numbers: ten thousand idle connections, floods from a few addresses, scrapers that hang. Everybody else is served. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { rowsOf } from '../support/fault/sessions.ts';
import { createClient, type Client, type Reply } from '../support/https-client.ts';
import { startService, type Service } from '../support/service.ts';

const LONG = 600_000;
const openFiles = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
/** As many as this process and the service may have. */
const IDLE = Math.min(10_000, openFiles - 1_000);
const IDLE_TLS = Math.min(2_000, IDLE);
/** Connections under way at once. */
const AT_ONCE = 200;

let service: Service;
let honest: Client;
beforeAll(async () => {
  service = await startService({
    env: { SIGNET_KEEP_ALIVE_TIMEOUT_MS: '600000', SIGNET_MAX_CONNECTIONS: String(IDLE + 1_000), SIGNET_SOURCE_CONNECTION_RATE: '0', SIGNET_SOURCE_HEALTH_RATE: '0' },
  });
  const { urls, rootPem: ca, adminToken: token } = service.signet;
  honest = createClient({ url: urls.api, ca, token, from: '127.0.9.1' });
}, LONG);
afterAll(() => service.close(), LONG);

const residentBytes = (): number => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(service.signet.pid)]).toString()) * 1024;

/** What everybody else does meanwhile, on new connections: an enrollment, a read, a status page, a scrape. */
async function expectServed(): Promise<void> {
  const { urls, rootPem: ca } = service.signet;
  const from = '127.0.9.2';
  const token = await service.joinToken(await service.register());
  const replies = await Promise.all([
    createClient({ url: urls.api, ca, from }).send('POST', '/v1/certificates', { json: { csr: makeKeyAndCsr().csr, joinToken: token } }),
    honest.send('GET', '/v1/agents'),
    createClient({ url: urls.status, from }).send('GET', '/trust-bundle.pem'),
    createClient({ url: urls.operations }).send('GET', '/readyz'),
  ]);
  expect(replies.map(({ status }) => status)).toEqual([201, 200, 200, 200]);
}

/** Opens `count` connections that have asked once and are kept. */
async function openIdle(count: number, open: (i: number) => net.Socket): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  const one = async (): Promise<void> => {
    while (sockets.length < count) {
      const socket = open(sockets.length);
      sockets.push(socket);
      socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return sockets;
}

test.each([
  ['in clear', IDLE, 40_000, (i: number) => net.connect({ port: service.signet.ports.status, host: '127.0.0.1', localAddress: `127.0.10.${1 + (i % 50)}` })],
  ['over TLS', IDLE_TLS, 200_000, (i: number) => tls.connect({ port: service.signet.ports.api, host: '127.0.0.1', localAddress: `127.0.11.${1 + (i % 50)}`, ca: service.signet.rootPem } as tls.ConnectionOptions)],
] as const)('thousands of idle connections %s: everybody else is served, memory grows by so much a connection, all of them stay good', async (_, count, octetsEach, open) => {
  await expectServed();
  const before = residentBytes();
  const sockets = await openIdle(count, open);
  const after = residentBytes();
  process.stdout.write(`${count} idle connections: ${((after - before) / count / 1024).toFixed(1)} KB each, RSS ${(after / 1048576).toFixed(0)} MB\n`);
  await expectServed();
  expect((after - before) / count).toBeLessThan(octetsEach);
  expect(sockets.filter((socket) => socket.destroyed || socket.readableEnded)).toEqual([]);
  for (const socket of sockets) socket.destroy();
}, LONG);

test('floods from a few addresses: they are refused, nothing they asked for is kept, everybody else is served without one refusal', async () => {
  const { urls, rootPem: ca } = service.signet;
  const deniedBefore = await denied();
  let running = true;
  const answers = new Map<number, number>();
  const flood = async (client: Client, ask: () => Promise<Reply>) => {
    while (running) {
      const status = await ask().then((reply) => reply.status, () => 0);
      answers.set(status, (answers.get(status) ?? 0) + 1);
    }
    client.close();
  };
  const csr = makeKeyAndCsr().csr;
  let n = 0;
  const floods = Array.from({ length: 24 }, (_, i) => {
    const from = `127.0.12.${1 + (i % 3)}`;
    const api = createClient({ url: urls.api, ca, from, connections: 1 });
    const status = createClient({ url: urls.status, from, connections: 1 });
    const ways = [
      () => api.send('POST', '/v1/certificates', { json: { csr, joinToken: `sgj_01M7YKTGW9RER95PCHKHPXW1${10 + (n++ % 90)}_${'A'.repeat(43)}` } }),
      () => api.send('GET', '/v1/agents', { headers: { authorization: 'Bearer sga_wrong' } }),
      () => status.send('POST', '/ocsp', { bytes: Buffer.from('nonsense'), headers: { 'content-type': 'application/ocsp-request' } }),
      () => api.send('GET', '/v1/trust-bundle'),
    ];
    return flood(i % 4 === 2 ? status : api, ways[i % 4]!);
  });
  for (let i = 0; i < 10; i++) {
    await expectServed();
    await sleep(500);
  }
  running = false;
  await Promise.all(floods);
  process.stdout.write(`flood: ${JSON.stringify(Object.fromEntries(answers))}\n`);
  expect(answers.get(429)).toBeGreaterThan(100);
  expect([...answers.keys()].filter((status) => status >= 500)).toEqual([]);
  // Only what came before the addresses had to wait is in the audit log.
  expect((await denied()) - deniedBefore).toBeLessThan(3 * 2 * 40);
}, LONG);

const denied = async (): Promise<number> => (await rowsOf<{ count: number }>(service.database, `SELECT count(*)::int AS count FROM audit_events WHERE kind = 'request.denied'`, []))[0]?.count ?? 0;

test('a hundred scrapers that read nothing of what they asked for: the next one is answered, little memory is held', async () => {
  const before = residentBytes();
  const hanging = await Promise.all(Array.from({ length: 100 }, async () => {
    const socket = net.connect({ port: service.signet.ports.operations, host: '127.0.0.1' }).pause().on('error', () => undefined);
    await once(socket, 'connect');
    socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(10));
    return socket;
  }));
  for (let i = 0; i < 5; i++) {
    await expectServed();
    await sleep(500);
  }
  process.stdout.write(`100 hanging scrapers: RSS ${(before / 1048576).toFixed(0)} -> ${(residentBytes() / 1048576).toFixed(0)} MB\n`);
  expect(residentBytes() - before).toBeLessThan(100 * 1024 * 1024);
  for (const socket of hanging) socket.destroy();
}, LONG);

test('two workers share what they count: the documented bound holds, and an address that has to wait at one waits at both', async () => {
  const [rate, burst, failures] = [5, 20, 4];
  const pair = await startService({
    env: {
      SIGNET_WORKERS: '2', SIGNET_SOURCE_READ_RATE: String(rate), SIGNET_SOURCE_READ_BURST: String(burst),
      SIGNET_CREDENTIAL_FAILURES: String(failures), SIGNET_CREDENTIAL_FAILURE_WINDOW_SECONDS: '3600', SIGNET_CREDENTIAL_WAIT_MAX_SECONDS: '3600',
    },
  });
  const { urls, rootPem: ca } = pair.signet;
  /** Connections go to the workers in turns: these are with both. */
  const flooding = Array.from({ length: 6 }, () => createClient({ url: urls.api, ca, from: '127.0.13.1', connections: 1 }));
  const began = performance.now();
  let passed = 0;
  await Promise.all(flooding.map(async (client) => {
    while (performance.now() - began < 6_000) {
      const { status } = await client.send('GET', '/v1/trust-bundle');
      expect([200, 429]).toContain(status);
      if (status === 200) passed++;
    }
  }));
  const seconds = (performance.now() - began) / 1000;
  process.stdout.write(`two workers, ${rate} a second and ${burst} at once: ${passed} passed in ${seconds.toFixed(1)} s\n`);
  // Without telling each other both would let through all of it.
  expect(passed).toBeGreaterThanOrEqual(burst);
  expect(passed).toBeLessThanOrEqual(burst + rate * seconds + burst + 1);

  const wrong = Array.from({ length: 6 }, () => createClient({ url: urls.api, ca, from: '127.0.13.2', token: 'sga_wrong', connections: 1 }));
  for (let i = 0; i < failures + 8; i++) await wrong[0]!.send('POST', '/v1/agents', { json: {} });
  await sleep(500);
  const replies = await Promise.all(wrong.map((client) => client.send('POST', '/v1/agents', { json: {} })));
  expect(replies.map(({ status }) => status)).toEqual(wrong.map(() => 429));
  for (const client of [...flooding, ...wrong]) client.close();
  await pair.close();
}, LONG);
