import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { emptyDatabase, type TestDatabase } from '../support/db.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

const LONG = 120_000;
const tokenFile = (signet: SignetProcess) => path.join(signet.dataDir, 'bootstrap-admin-token');
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

/** Status of the first answer an operator would try with the token. */
function adminSees(signet: SignetProcess, token: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { ca: signet.rootPem, agent: false, headers: { authorization: `Bearer ${token}` } } as const;
    https.get(`${signet.urls.api}/v1/agents`, options, (response) => resolve(response.resume().statusCode)).once('error', reject);
  });
}

let database: TestDatabase;
beforeAll(async () => {
  database = await emptyDatabase();
});
afterAll(() => database.drop());

test('two replicas that start at the same instant on an empty database: one authority, one admin token, one printer of it', async () => {
  const replicas = await Promise.all([startSignet({ database }), startSignet({ database })]);
  const [a, b] = replicas;
  expect(a.rootPem).toContain('BEGIN CERTIFICATE');
  expect(b.rootPem).toBe(a.rootPem);
  expect(await database.db.adminToken.count()).toBe(1);
  expect(await database.db.authorityCertificate.count({ where: { kind: 'root' } })).toBe(1);
  expect(await database.db.authorityCertificate.count({ where: { kind: 'issuing' } })).toBe(1);
  const printers = replicas.filter((replica) => fs.existsSync(tokenFile(replica)));
  expect(printers).toHaveLength(1);
  const token = printers[0]?.adminToken ?? '';
  expect(fs.statSync(tokenFile(printers[0] ?? a)).mode & 0o777).toBe(0o600);
  for (const replica of replicas) {
    expect(await adminSees(replica, token)).toBe(200);
    expect(replica.stdout() + replica.stderr()).not.toContain(token);
  }
  expect(await Promise.all(replicas.map((replica) => replica.stop()))).toEqual([{ code: 0, signal: null }, { code: 0, signal: null }]);
}, LONG);

test('with the embedded database: a second start, and one after SIGKILL, find everything as it was', async () => {
  const dataDir = temporaryFolder('signet-data-');
  folders.push(dataDir);
  const first = await startSignet({ dataDir });
  const { rootPem, adminToken } = first;
  expect(fs.statSync(tokenFile(first)).mode & 0o777).toBe(0o600);
  expect(fs.statSync(path.join(dataDir, 'kek')).mode & 0o777).toBe(0o600);
  expect(first.stdout() + first.stderr()).not.toContain(adminToken);
  expect(await adminSees(first, adminToken)).toBe(200);
  expect(await first.stop()).toEqual({ code: 0, signal: null });
  expect(first.stdout()).toMatch(/"seconds":[\d.]+,"msg":"stopped"}\n$/);
  expect(fs.existsSync(path.join(dataDir, 'postgres/data/postmaster.pid'))).toBe(false);

  const second = await startSignet({ dataDir });
  expect(second.rootPem).toBe(rootPem);
  expect(await adminSees(second, adminToken)).toBe(200);
  second.kill('SIGKILL');
  expect(await second.exited).toEqual({ code: null, signal: 'SIGKILL' });

  const third = await startSignet({ dataDir });
  expect(third.rootPem).toBe(rootPem);
  expect(await adminSees(third, adminToken)).toBe(200);
  const fourth = await startSignet({ dataDir, ready: false });
  expect((await fourth.exited).code).toBe(73);
  expect(fourth.stderr()).toContain('another Signet is using');
  expect(await adminSees(third, adminToken)).toBe(200);
  await third.stop();
}, LONG);

test('an address that is taken ends the start with 69, before anything was made', async () => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as net.AddressInfo;
  const dataDir = path.join(temporaryFolder('signet-taken-'), 'data');
  folders.push(path.dirname(dataDir));
  try {
    const signet = await startSignet({ dataDir, ready: false, env: { SIGNET_MTLS_LISTEN: `127.0.0.1:${port}`, SIGNET_STATUS_LISTEN: '192.0.2.1:8080' } });
    expect(await signet.exited).toEqual({ code: 69, signal: null });
    expect(signet.stderr()).toBe(
      `signet: the mtls door cannot listen on 127.0.0.1:${port}: listen EADDRINUSE: address already in use 127.0.0.1:${port} (another address: SIGNET_MTLS_LISTEN)\n`
        + 'the status door cannot listen on 192.0.2.1:8080: listen EADDRNOTAVAIL: address not available 192.0.2.1:8080 (another address: SIGNET_STATUS_LISTEN)\n',
    );
    expect(fs.existsSync(path.join(dataDir, 'postgres'))).toBe(false);
  } finally {
    taken.close();
  }
}, LONG);

test('a database that is not there ends the start with 69 and says so', async () => {
  const signet = await startSignet({ database, ready: false, env: { DATABASE_URL: 'postgresql://u:hidden@127.0.0.1:9/d', SIGNET_OWNER_DATABASE_URL: undefined } });
  expect((await signet.exited).code).toBe(69);
  expect(signet.stderr()).toContain('the database cannot be reached');
  expect(signet.stdout() + signet.stderr()).not.toContain('hidden');
}, LONG);

/** The server that runs on a data folder, by its postmaster.pid. */
function serverOf(dataDir: string): number | undefined {
  try {
    return Number(fs.readFileSync(path.join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]);
  } catch {
    return undefined;
  }
}

test('when the embedded database ends by itself, Signet says so and ends with 70', async () => {
  const signet = await startSignet();
  process.kill(serverOf(signet.dataDir) ?? 0, 'SIGQUIT');
  expect(await signet.exited).toEqual({ code: 70, signal: null });
  expect(signet.stdout()).toContain('cannot go on');
  await signet.stop();
}, LONG);

test('told to stop before it is up, it leaves no database behind', async () => {
  const signet = await startSignet({ ready: false });
  while (serverOf(signet.dataDir) === undefined) await sleep(5);
  signet.kill('SIGTERM');
  expect((await signet.exited).code).toBe(130);
  for (let left = 500; serverOf(signet.dataDir) !== undefined; left--) {
    expect(left).toBeGreaterThan(0);
    await sleep(20);
  }
  await signet.stop();
}, LONG);

test('on a Node that is too old it says so at once, before it touches anything', () => {
  const older = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})`;
  const program = path.resolve(import.meta.dirname, '../../dist/main.js');
  const folder = temporaryFolder('signet-old-node-');
  folders.push(folder);
  const ran = spawnSync(process.execPath, ['--import', older, program], { encoding: 'utf8', env: { PATH: process.env.PATH, SIGNET_DATA_DIR: path.join(folder, 'data') } });
  expect({ code: ran.status, said: ran.stderr, left: fs.readdirSync(folder) }).toEqual({ code: 78, said: expect.stringMatching(/Node 20\.20\.2, and Signet needs Node 24 or newer/), left: [] });
});
