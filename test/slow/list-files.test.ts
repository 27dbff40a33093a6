/** A large list lies in a file: clients that go in the middle, or read for long, and a list that is replaced meanwhile leave none open. */
import { readdirSync, readlinkSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { boundDelivery, send } from '../../src/http/send.ts';
import { createOctetsWriter, type ListOctets } from '../../src/revocation/crl/list-octets.ts';

const PARTS = 48;
const PART_BYTES = 1_048_576;
/** The list's own time for those who are about to read (CLOSE_AFTER_MS), and some more. */
const RELEASED_MS = 6_000;

let list: ListOctets;
let server: http.Server;
let port: number;
const sockets: net.Socket[] = [];
beforeAll(async () => {
  const writer = createOctetsWriter({ warn: () => undefined });
  for (let n = 0; n < PARTS; n++) await writer.push(Buffer.alloc(PART_BYTES, n + 1));
  list = writer.finish();
  server = http.createServer((req, res) => {
    send({ req, res, requestId: 'r', standings: [], hsts: undefined }, { status: 200, content: list, headers: { etag: '"7-1"' } }, false);
    boundDelivery(res, 60_000);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.closeAllConnections();
  server.close();
});

/** Files of lists that this process has open. */
const openFiles = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('signet-list-');
    } catch {
      return false;
    }
  }).length;

function ask(head = 'GET / HTTP/1.1\r\nhost: x'): net.Socket {
  const socket = net.connect(port, '127.0.0.1').on('error', () => undefined);
  sockets.push(socket);
  socket.write(`${head}\r\n\r\n`);
  return socket;
}

/** Reads a part of it now and then. */
async function readSlowly(): Promise<{ length: number; first: number | undefined; last: number | undefined }> {
  const [response] = (await once(http.get({ port, host: '127.0.0.1', agent: false }), 'response')) as [http.IncomingMessage];
  let [length, first, last]: [number, number | undefined, number | undefined] = [0, undefined, undefined];
  for await (const octets of response as AsyncIterable<Buffer>) {
    first ??= octets[0];
    [length, last] = [length + octets.length, octets.at(-1)];
    await sleep(8);
  }
  return { length, first, last };
}

test('it is sent to the end to whoever reads when it is replaced; then its file is closed, however others went', async () => {
  expect(openFiles()).toBe(1);
  for (let n = 0; n < 40; n++) setTimeout(() => ask().once('data', () => undefined).destroy(), n);
  for (let n = 0; n < 40; n++) {
    const socket = ask();
    socket.once('data', () => socket.destroy());
  }
  const silent = Array.from({ length: 10 }, () => ask().pause());
  ask('HEAD / HTTP/1.1\r\nhost: x');
  ask('GET / HTTP/1.1\r\nhost: x\r\nif-none-match: "7-1"');
  const reading = readSlowly();
  await sleep(300);
  list.release();
  await sleep(RELEASED_MS);
  expect(openFiles()).toBe(1);
  expect(await reading).toEqual({ length: PARTS * PART_BYTES, first: 1, last: PARTS });
  for (const socket of silent) socket.destroy();
  while (openFiles() > 0) await sleep(50);
  // Whoever comes so late is told nothing that looks like a list.
  await expect(readSlowly()).rejects.toThrow();
}, 60_000);
