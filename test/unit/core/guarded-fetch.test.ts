import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createGuardedFetch } from '../../../src/core/guarded-fetch.ts';

let server: Server;
let base: string;
beforeAll(async () => {
  server = createServer((req, res) => {
    if (req.url === '/slow') return;
    if (req.url === '/drip') return void setInterval(() => res.write('x'), 10).unref();
    res.writeHead(req.url === '/moved' ? 301 : 200, { location: `${base}/`, 'content-type': 'text/plain' }).end('x'.repeat(100));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const get = (url: string, more: { timeoutMs?: number; maxOctets?: number } = {}) => createGuardedFetch([])({ url, method: 'GET', timeoutMs: 5_000, maxOctets: 100, ...more });

test('an answer with its status, type and body; a redirect is not followed', async () => {
  expect(await get(`${base}/`)).toEqual({ status: 200, contentType: 'text/plain', body: Buffer.from('x'.repeat(100)) });
  expect(await get(`${base}/moved`)).toMatchObject({ status: 301 });
});

test.each([
  'http://169.254.169.254/latest/meta-data/', 'https://169.254.169.254/', 'https://[fe80::1]/', 'https://[::ffff:169.254.169.254]/', 'https://[::ffff:a9fe:a9fe]/', 'https://[fd00:ec2::254]/', 'https://100.100.100.200/',
  'https://0.0.0.0/', 'https://[::]/', 'https://224.0.0.1/', 'https://2852039166/', 'https://0xa9fea9fe/', 'https://[64:ff9b::a9fe:a9fe]/',
  'https://[64:ff9b:1::a9fe:a9fe]/', 'https://[2002:a9fe:a9fe::]/', 'https://[::a9fe:a9fe]/', 'https://[::ffff:0:a9fe:a9fe]/', 'https://[fd20:ce::254]/', 'https://168.63.129.16/',
])('%s is never called', async (url) => {
  await expect(get(url)).rejects.toThrow(/is not called/);
});

test.each([
  ['http://192.0.2.1/', /https only/], ['ftp://127.0.0.1/', /neither https nor http/], ['file:///etc/passwd', /neither/], ['http://user:secret@127.0.0.1/', /credential/], ['nothing', /neither/],
])('%s is refused', async (url, why) => {
  const refusal = await get(url).then(() => 'none', (error: unknown) => (error as Error).message);
  expect(refusal).toMatch(why);
  expect(refusal).not.toContain('secret');
});

test('what a name resolves to is judged as well: localhost is loopback', async () => {
  expect(await get(base.replace('127.0.0.1', 'localhost'))).toMatchObject({ status: 200 });
});

test('limits: size, and time for all of it', async () => {
  await expect(get(`${base}/`, { maxOctets: 99 })).rejects.toThrow(/longer than 99 octets/);
  await expect(get(`${base}/slow`, { timeoutMs: 50 })).rejects.toThrow(/no whole answer in 50 ms/);
  await expect(get(`${base}/drip`, { timeoutMs: 100, maxOctets: 1_000_000 })).rejects.toThrow(/no whole answer/);
});
