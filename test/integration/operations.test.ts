import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { updateCertificateNumbers } from '../../src/db/certificate-numbers.ts';
import { createClient, jsonOf, type Client } from '../support/https-client.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';

/** The service logs every request to a pipe that nobody reads. */
const folder = temporaryFolder('signet-pipe-');
let reader: number;
let service: Service;
let operations: Client;
beforeAll(async () => {
  const pipe = path.join(folder, 'log');
  execFileSync('mkfifo', [pipe]);
  reader = fs.openSync(pipe, fs.constants.O_RDWR);
  service = await startService({ logTo: fs.openSync(pipe, 'w'), env: { SIGNET_LOG_LEVEL: 'trace', SIGNET_ACCESS_LOG: 'all', SIGNET_CREDENTIAL_FAILURES: '0' } });
  operations = createClient({ url: service.signet.urls.operations, connections: 4 });
}, 120_000);
afterAll(async () => {
  operations.close();
  await service.close();
  fs.closeSync(reader);
  fs.rmSync(folder, { recursive: true });
});

const scrape = async (): Promise<string[]> => (await operations.send('GET', '/metrics')).body.toString().split('\n');
const valueOf = (lines: string[], series: string): number => Number(lines.find((line) => line.startsWith(`${series} `))?.split(' ').at(-1));

test('certificates by state: counted from the audit log, once however often', async () => {
  const agents = [await service.register(), await service.register(), await service.register()];
  const [first, second, third] = [await service.enrolled(agents[0]), await service.enrolled(agents[1]), await service.enrolled(agents[2])];
  await service.order(`/v1/certificates/${second.serial}/hold`);
  await service.order(`/v1/certificates/${third.serial}/revoke`, { reason: 'keyCompromise' });
  const { db } = service.database;
  const numbers = async () => {
    const { good, held, revoked, issued, expired } = await db.certificateNumbers.findFirstOrThrow();
    return [good, held, revoked, issued, expired].map(Number);
  };
  // The service's own job may do the same at the same time.
  await Promise.all([updateCertificateNumbers(db, new Date()), updateCertificateNumbers(db, new Date())]);
  expect(await numbers()).toEqual([1, 1, 1, 3, 0]);
  const lines = await scrape();
  expect(['good', 'held', 'revoked'].map((state) => valueOf(lines, `signet_cluster_certificates{state="${state}"}`))).toEqual([1, 1, 1]);
  expect(valueOf(lines, 'signet_cluster_certificates_ever{event="issued"}')).toBe(3);
  await service.order(`/v1/certificates/${second.serial}/release`);
  await updateCertificateNumbers(db, new Date());
  expect(await numbers()).toEqual([2, 0, 1, 3, 0]);
  // All certificates are over in two hours.
  await updateCertificateNumbers(db, new Date(Date.now() + 7_200_000));
  expect(await numbers()).toEqual([0, 0, 0, 3, 3]);
  expect(first.serial).not.toBe(second.serial);
});

test('whatever strangers ask for makes no new series', async () => {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL', 'SEARCH', 'TRACE', 'PURGE'];
  const hammer = async (round: number) => {
    for (const method of methods) {
      for (const door of [service.open, service.status, operations]) {
        await door.send(method, `/v1/${round}/${method}?x=${round}`, { headers: { 'user-agent': `agent-${round}`, 'x-request-id': `id-${round}` } });
      }
    }
    await service.open.send('GET', `/v1/agents/01M7YKTGW9RER95PCHKHPXW1${round}C`, { headers: { authorization: `Bearer sga_${round}` } });
    await service.status.send('GET', `/crl/issuer-${round}/complete.crl`);
    await service.status.send('GET', `/ocsp/${Buffer.from(`ocsp ${round}`).toString('base64')}`);
  };
  const series = async () => (await scrape()).filter((line) => line.startsWith('signet_')).map((line) => line.replace(/ [^ ]+$/, '')).toSorted();
  await hammer(10);
  await scrape();
  const before = await series();
  for (let round = 11; round < 30; round++) await hammer(round);
  expect(await series()).toEqual(before);
  expect(before.filter((name) => name.includes('method="other"')).length).toBeGreaterThan(0);
});

test('a log that nobody reads costs lines and nothing else, and the reader is told when it is back', async () => {
  // A pipe holds 64 KiB, the program keeps a million octets: this is more than both.
  for (let round = 0; round < 50; round++) await Promise.all(Array.from({ length: 100 }, () => operations.send('GET', '/healthz')));
  const lines = await scrape();
  expect(valueOf(lines, 'signet_log_lines_dropped_total')).toBeGreaterThan(0);
  expect(await service.enrolled()).toBeDefined();
  const said = await readUntil(reader, 'log lines were dropped', () => operations.send('GET', '/healthz'));
  const line = said.split('\n').find((one) => one.includes('log lines were dropped')) ?? '';
  expect(JSON.parse(line)).toMatchObject({ level: 'warn', dropped: expect.any(Number) as unknown });
  const access = said.split('\n').find((one) => one.includes('"operation":"issueCertificate"')) ?? '';
  expect(JSON.parse(access)).toMatchObject({ level: 'info', door: 'api', method: 'POST', status: 201, caller: expect.stringMatching(/^enrollment:[0-9A-Z]{26}$/) as unknown, msg: 'request' });
});

/** Reads what is in the pipe until it holds `text`, doing `meanwhile` again and again. */
async function readUntil(fd: number, text: string, meanwhile: () => Promise<unknown>): Promise<string> {
  let said = '';
  const part = Buffer.alloc(65_536);
  while (!said.includes(text)) {
    said += part.toString('utf8', 0, fs.readSync(fd, part));
    await meanwhile();
  }
  return said;
}

test('a scraper that asks and never reads does not keep others from their answers', async () => {
  const { port } = new URL(service.signet.urls.operations);
  const hanging = Array.from({ length: 20 }, () => {
    const socket = net.connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined).pause();
    for (let i = 0; i < 20; i++) socket.write('GET /metrics HTTP/1.1\r\nhost: signet\r\n\r\n');
    return socket;
  });
  expect(valueOf(await scrape(), 'process_start_time_seconds')).toBeGreaterThan(0);
  expect(jsonOf<{ status: string }>(await operations.send('GET', '/readyz')).status).toBe('ready');
  for (const socket of hanging) socket.destroy();
});
