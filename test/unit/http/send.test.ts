import { afterEach, expect, test } from '@jest/globals';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { boundDelivery } from '../../../src/http/send.ts';

/** More than any system buffers for a connection. */
const LARGE = Buffer.alloc(32 * 1024 * 1024, 'x');
let server: http.Server;
let client: net.Socket;
afterEach(() => {
  client.destroy();
  server.closeAllConnections();
  server.close();
});

async function asked(body: Buffer, limitMs: number): Promise<{ connection: net.Socket }> {
  server = http.createServer((_req, res) => {
    res.end(body);
    boundDelivery(res, limitMs);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = net.connect((server.address() as AddressInfo).port, '127.0.0.1').pause().on('error', () => undefined);
  const [connection] = (await once(server, 'connection')) as [net.Socket];
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  return { connection };
}

test('a large answer that is taken a little at a time ends with its connection', async () => {
  const { connection } = await asked(LARGE, 300);
  let received = 0;
  const reading = setInterval(() => (received += (client.read(1024) as Buffer | null)?.length ?? 0), 10);
  await once(connection, 'close');
  clearInterval(reading);
  // Whatever the system still holds is all that comes now.
  client.on('data', (part) => (received += part.length)).resume();
  await once(client, 'close');
  expect(received).toBeLessThan(LARGE.length);
});

test('one that is taken whole leaves its connection open', async () => {
  const { connection } = await asked(LARGE, 5_000);
  let received = 0;
  client.on('data', (part) => (received += part.length)).resume();
  while (received < LARGE.length) await once(client, 'data');
  expect(connection.destroyed).toBe(false);
});

test('what the system takes at once is not waited for', async () => {
  const { connection } = await asked(Buffer.from('small'), 0);
  client.resume();
  await once(client, 'data');
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(client, 'data');
  expect(connection.destroyed).toBe(false);
});
