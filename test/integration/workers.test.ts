/** A replica of two workers over the same doors: who serves, who leads, who takes over, who ends. */
import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient, jsonOf, type Client } from '../support/https-client.ts';
import { startService, type Service } from '../support/service.ts';
import { startSignet } from '../support/signet-process.ts';
import { workersOf } from '../support/workers.ts';

const LONG = 90_000;
const TWO = { SIGNET_WORKERS: '2', SIGNET_LOG_LEVEL: 'info' };
const PATIENCE_MS = 20_000;

let service: Service;
let operations: Client;
beforeAll(async () => {
  service = await startService({ env: TWO });
  // A connection for each request: they are handed to the workers in turn.
  operations = createClient({ url: service.signet.urls.operations });
}, LONG);
afterAll(() => service.close(/a worker ended and is replaced/), LONG);

async function until<T>(what: string, probe: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; await sleep(20)) {
    const found = await Promise.resolve(probe()).catch(() => undefined);
    if (found !== undefined) return found;
  }
  throw new Error(`not seen: ${what}`);
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // A zombie has ended.
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
const leader = () => workersOf(service.signet).find(({ leads }) => leads);
const readiness = async () => {
  const { status, body } = await operations.send('GET', '/readyz');
  return { ...(JSON.parse(body.toString()) as { checks: Record<string, string>; warnings: string[] }), status };
};
/** Answers so far, by worker. */
async function answeredBy(): Promise<number[]> {
  const text = (await operations.send('GET', '/metrics')).body.toString();
  return [1, 2].map((worker) => [...text.matchAll(new RegExp(`^signet_http_requests_total{.*worker="${worker}"} (\\d+)`, 'gm'))].reduce((sum, [, count]) => sum + Number(count), 0));
}

test('two workers, processes of their own, answer at the same doors, and either speaks for both', async () => {
  const workers = workersOf(service.signet);
  expect(workers.map(({ number, leads }) => ({ number, leads }))).toEqual([{ number: 1, leads: true }, { number: 2, leads: false }]);
  expect(new Set([service.signet.pid, ...workers.map(({ pid }) => pid)]).size).toBe(3);
  expect(service.signet.stdout().match(/Signet is ready/g)).toHaveLength(1);

  const before = await answeredBy();
  const enough = Array.from({ length: 10 });
  for (const _ of enough) expect((await createClient({ url: service.signet.urls.status }).send('GET', '/healthz')).status).toBe(200);
  for (const _ of enough) expect((await readiness()).checks).toMatchObject({ process: 'ok', database: 'ok', workers: 'ok' });
  const after = await answeredBy();
  for (const worker of [0, 1]) expect((after[worker] ?? 0) - (before[worker] ?? 0)).toBeGreaterThanOrEqual(enough.length / 2);

  const text = (await operations.send('GET', '/metrics')).body.toString();
  for (const { number, pid } of workers) {
    expect(text).toMatch(new RegExp(`^process_resident_memory_bytes{worker="${number}"} \\d{8,}`, 'm'));
    expect(isAlive(pid)).toBe(true);
  }
  // What all see alike is one series, not a sum.
  expect(text.match(/^signet_feed_position .*/gm)).toHaveLength(1);
  const lists = text.match(/^signet_cluster_crl_number{[^}]*}/gm);
  expect(lists).toHaveLength(2);
  expect(new Set(lists).size).toBe(2);
}, LONG);

test('a TLS session begun with one worker is resumed by the other', async () => {
  let session: Buffer | undefined;
  const handshake = () =>
    new Promise<boolean>((resolve, reject) => {
      const socket = tls.connect({ host: '127.0.0.1', port: service.signet.ports.api, ca: service.signet.rootPem, ...(session && { session }) });
      let reused = false;
      // TLS 1.3: the ticket comes after the handshake, at the latest with the first answer.
      socket.once('secureConnect', () => {
        reused = socket.isSessionReused();
        socket.write('GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n');
      });
      socket.on('session', (given) => (session ??= given));
      socket.once('error', reject);
      socket.resume().once('close', () => resolve(reused));
    });
  expect(await handshake()).toBe(false);
  for (let again = 0; again < 4; again++) expect(await handshake()).toBe(true);
}, LONG);

test('a worker that stands still makes the replica not ready, and is named', async () => {
  const [, { pid = 0 } = {}] = workersOf(service.signet);
  process.kill(pid, 'SIGSTOP');
  try {
    // Every other connection is handed to the one that stands still, once.
    const { status, checks } = await Promise.any([readiness(), readiness()]);
    expect([status, checks.workers]).toEqual([503, 'worker 2: no answer']);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await until('ready again', async () => ((await readiness()).status === 200 ? true : undefined));
}, LONG);

test('kill -9 of the leader: the other leads, runs the jobs and publishes; the killed one is replaced', async () => {
  const killed = leader();
  const holders = new Set((await service.database.db.jobRun.findMany()).map(({ holder }) => holder));
  expect(holders.size).toBe(1);
  // A bucket that has yet to run, as far as a new leader can see.
  await service.database.ownerDb.jobRun.deleteMany({ where: { job: 'rotate-tls' } });
  process.kill(killed?.pid ?? 0, 'SIGKILL');
  await until('another leader', () => (leader()?.number === 2 ? true : undefined));
  const run = await until('a job run', async () => (await service.database.db.jobRun.findFirst({ where: { job: 'rotate-tls', outcome: 'succeeded' } })) ?? undefined);
  expect(holders).not.toContain(run.holder);

  const { serial } = await service.enrolled();
  await service.order(`/v1/certificates/${serial}/revoke`, { reason: 'keyCompromise' });
  const { items } = jsonOf<{ items: { id: string; kind: string; state: string }[] }>(await service.admin.send('GET', '/v1/authorities'));
  const issuer = items.find(({ kind, state }) => kind === 'issuing' && state === 'active');
  await until('the revocation on the list', async () => ((await service.status.send('GET', `/crl/${issuer?.id}/complete.crl`)).body.toString('hex').includes(serial) ? true : undefined));

  const replaced = await until('a replacement', () => workersOf(service.signet).find(({ number, pid }) => number === 1 && pid !== killed?.pid));
  expect(replaced.leads).toBe(false);
  await until('ready again', async () => ((await readiness()).checks.workers === 'ok' ? true : undefined));
  expect((await readiness()).warnings.join()).not.toContain('worker');
}, LONG);

test('kill -9 of the supervisor: the workers end with it, and the doors are free', async () => {
  const pids = workersOf(service.signet).map(({ pid }) => pid);
  expect(pids.map(isAlive)).toEqual([true, true]);
  service.signet.kill('SIGKILL');
  await service.signet.exited;
  await until('the end of the workers', () => (pids.some(isAlive) ? undefined : true));
  await expect(operations.send('GET', '/healthz')).rejects.toThrow('ECONNREFUSED');
}, LONG);

test('a door that is taken ends the start with 69, and says so once', async () => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as net.AddressInfo;
  try {
    const signet = await startSignet({ database: service.database, ready: false, env: { ...TWO, SIGNET_STATUS_LISTEN: `127.0.0.1:${port}` } });
    expect(await signet.exited).toEqual({ code: 69, signal: null });
    expect(signet.stderr()).toBe(`signet: the status door cannot listen on 127.0.0.1:${port}: listen EADDRINUSE: address already in use 127.0.0.1:${port} (another address: SIGNET_STATUS_LISTEN)\n`);
  } finally {
    taken.close();
  }
}, LONG);

test('a fault of the configuration ends the start with 78, and is told once', async () => {
  const signet = await startSignet({ database: service.database, ready: false, env: { ...TWO, SIGNET_WORKERS: 'many' } });
  expect(await signet.exited).toEqual({ code: 78, signal: null });
  expect(signet.stderr().match(/SIGNET_WORKERS: must be `auto` or a whole number from 1 to 64/g)).toHaveLength(1);
}, LONG);
