/** A monitor and a server that would keep it from alarming: real HTTP on loopback, a log in memory. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { monitor } from '../../../src/cli/audit-monitor.ts';
import type { CliContext } from '../../../src/cli/command.ts';
import { openLogDoor } from '../../../src/client/log/tile-door.ts';
import type { WatchState } from '../../../src/client/log/watch-log.ts';
import { parseTilePath } from '../../../src/verify/log/tiles.ts';
import { MemoryLog } from '../../support/log.ts';

const AGENT = '01M7YV5B0RBS4E4WP8XD9NKT4E';
const issued = (serial: string): string => JSON.stringify({ v: 2, id: serial, kind: 'certificate.issued', outcome: 'success', at: '2026-11-21T12:00:00.000Z', actor: { kind: 'agent', id: AGENT }, agent: AGENT, serial });

let folder: string;
let server: Server;
let url: string;
let log: MemoryLog;
let answers: RequestListener;

const serve: RequestListener = (req, res) => {
  const name = (req.url ?? '').slice('/tlog/'.length);
  if (name === 'checkpoint') res.end(log.checkpoint());
  else void Promise.resolve(log.readTiles([parseTilePath(name)])).then(([octets]) => res.end(octets));
};

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'signet-monitor-'));
  writeFileSync(path.join(folder, 'token'), 'token');
  log = new MemoryLog([issued('00')]);
  answers = serve;
  server = createServer((req, res) => answers(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

const file = (): string => path.join(folder, 'state.json');
const remembered = (): WatchState => JSON.parse(readFileSync(file(), 'utf8')) as WatchState;

/** One look, with what was said. `onSaid`: told each line on standard error. */
async function look(values: Record<string, string | string[] | boolean> = {}, onSaid: (line: string) => void = () => undefined): Promise<{ code: unknown; said: string }> {
  let said = '';
  const err = {
    write: (line: string) => {
      onSaid(line);
      said += line;
    },
  };
  const cli = { io: { out: { write: () => undefined }, err, env: { SIGNET_PUBLIC_URL: url, SIGNET_API_URL: url, SIGNET_TOKEN_FILE: path.join(folder, 'token') } }, json: true, trustBundle: () => Promise.resolve('') } as unknown as CliContext;
  const code = await monitor.run(cli, { positionals: [], values: { 'log-key': log.signer.vkey, state: file(), once: true, ...values } });
  return { code, said };
}

test('a log that answers no more is stale all the same', async () => {
  await look();
  writeFileSync(file(), JSON.stringify({ ...remembered(), since: '2026-11-21T00:00:00.000Z' }));
  answers = (_, res) => res.writeHead(503).end();
  const { code, said } = await look({ 'stale-after': '60' });
  expect([code, said]).toEqual([1, expect.stringMatching(/"alarm":"stale"/)]);
  await expect(look()).rejects.toThrow(/503/);
});

test('a log that shows checkpoints and keeps the events to itself: they are told as unseen', async () => {
  await look({ watch: [AGENT] });
  log.append(issued('01'));
  answers = (req, res) => (req.url?.includes('/entries/') === true ? res.writeHead(404).end() : serve(req, res));
  const { code, said } = await look({ watch: [AGENT] });
  expect([code, said]).toEqual([1, expect.stringMatching(/"alarm":"unseen".*events 2 to 2 .*withheld/)]);
  answers = serve;
  log.append(issued('02'));
  expect((await look({ watch: [AGENT] })).said).toMatch(/"alarm":"issued".*"event":3/);
});

test('a monitor that ends before it has told of a certificate tells of it the next time; the checkpoint is remembered meanwhile', async () => {
  await look({ watch: [AGENT] });
  log.append(issued('01'));
  const killed = (line: string): never => {
    throw new Error(`killed before ${line}`);
  };
  await expect(look({ watch: [AGENT] }, killed)).rejects.toThrow(/killed/);
  expect(remembered().size).toBe(2);
  const { code, said } = await look({ watch: [AGENT] });
  expect([code, said]).toEqual([1, expect.stringMatching(/"alarm":"issued".*"event":2/)]);
  expect(await look({ watch: [AGENT] })).toEqual({ code: 0, said: '' });
});

test('who sends an octet now and then is not waited for', async () => {
  answers = (_, res) => {
    const dripping = setInterval(() => res.write('x'), 20);
    res.on('close', () => clearInterval(dripping));
  };
  const door = openLogDoor(url, undefined, 300);
  await expect(door.checkpoint()).rejects.toThrow(/as a whole/);
  door.close();
});
