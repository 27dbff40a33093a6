/** Bad days of those who follow the feed: the database is away, they are stopped themselves, they take slowly, the change comes from another replica; and `signet feed`. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import type http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { followFeed, type Feed, type FeedState, type FollowOptions } from '../../src/client/feed/follow-feed.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { readFeedStream } from '../support/feed-reader.ts';
import { createClient, jsonOf } from '../support/https-client.ts';
import { startService, type Service } from '../support/service.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';
import { startTcpProxy, through, type TcpProxy } from '../support/tcp-proxy.ts';

let database: TestDatabase;
let proxy: TcpProxy;
let service: Service;
/** Reaches the database through the proxy. */
let second: SignetProcess;
let token: string;
const feeds: Feed[] = [];

beforeAll(async () => {
  database = await testDatabase();
  const { hostname: host, port } = new URL(database.serviceUrl);
  proxy = await startTcpProxy({ host, port: Number(port) });
  service = await startService({ database, env: { SIGNET_ENFORCEMENT_POINTS_MAX: '2' } });
  second = await startSignet({
    database,
    env: {
      DATABASE_URL: through(proxy, database.serviceUrl), SIGNET_OWNER_DATABASE_URL: through(proxy, database.ownerUrl), SIGNET_LOG_LEVEL: 'error',
      SIGNET_STATEMENT_TIMEOUT_MS: '1500',
    },
  });
  const { id } = jsonOf<{ id: string }>(await service.order('/v1/relying-parties', { name: 'gateway', ownerEmail: 'bob@example.com', mayAsk: ['feed', 'identity'] }));
  ({ token } = jsonOf<{ token: string }>(await service.order(`/v1/relying-parties/${id}/tokens`, { name: 'gateway' })));
}, 120_000);
afterAll(async () => {
  await Promise.all(feeds.map((feed) => feed.close()));
  await second.stop();
  await service.close();
  await proxy.close();
  await database.drop();
});

/** Follows through the second replica. */
async function follow(more: Partial<FollowOptions> = {}): Promise<{ feed: Feed; until: (wanted: (state: FeedState) => boolean) => Promise<FeedState> }> {
  const feed = await followFeed({ urls: [second.urls.api], trustBundle: service.signet.rootPem, token, ...more });
  feeds.push(feed);
  const until = async (wanted: (state: FeedState) => boolean): Promise<FeedState> => {
    for (let left = 1_000; left > 0; left--) {
      const state = feed.state();
      if (wanted(state)) return state;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`not so in 20 s: ${String(wanted)}; ${JSON.stringify(feed.state())}`);
  };
  return { feed, until };
}
const last = async () => Number((await database.db.counter.findUniqueOrThrow({ where: { name: 'feed' } })).value);

test('an agent that is killed through one replica is denied by those who follow the other', async () => {
  const { agentId, serial } = await service.enrolled();
  const { feed, until } = await follow({ enforcementPoint: 'gw-1' });
  expect([feed.judge(serial), feed.judge({ agentId })]).toMatchObject([{ allowed: true }, { allowed: true }]);
  const kill = jsonOf<{ id: string }>(await service.order('/v1/kill', { selector: { agentId }, effect: 'suspend', reason: 'suspicious' }));
  const end = await last();
  await until(({ n, acknowledged }) => n === end && acknowledged === end);
  expect([feed.judge(serial), feed.judge({ agentId })]).toMatchObject([{ allowed: false, why: 'held' }, { allowed: false, why: 'agent-suspended' }]);
  await service.order(`/v1/kills/${kill.id}/resume`, { reason: 'a false alarm' });
  const resumed = await last();
  await until(({ n }) => n === resumed);
  expect([feed.judge(serial), feed.judge({ agentId })]).toMatchObject([{ allowed: true }, { allowed: true }]);
  await feed.close();
}, 60_000);

test('while the database is away nobody vouches: who follows denies everybody, says why, and comes back to what it missed', async () => {
  const [before, meanwhile] = [await service.enrolled(), await service.enrolled()];
  const reader = await readFeedStream({ url: second.urls.api, ca: service.signet.rootPem, token });
  await reader.until((one) => one.of('heartbeat').length > 0);
  const { feed, until } = await follow({ stalenessMs: 1_500 });
  expect(feed.judge(before.serial).allowed).toBe(true);
  proxy.silence();
  const closed = await until(({ open }) => !open);
  expect(closed).toMatchObject({ why: 'stale' });
  expect(feed.judge(before.serial)).toMatchObject({ allowed: false, why: 'stale' });
  const beats = reader.of('heartbeat').length;
  await service.order(`/v1/certificates/${meanwhile.serial}/revoke`, { reason: 'superseded' });
  const end = await last();
  expect(feed.judge(before.serial).allowed).toBe(false);
  expect(reader.of('heartbeat').length).toBe(beats);
  await proxy.restore();
  await until(({ open, n }) => open && n === end);
  expect([feed.judge(before.serial), feed.judge(meanwhile.serial)]).toMatchObject([{ allowed: true }, { allowed: false, why: 'revoked' }]);
  await feed.close();
  reader.close();
}, 60_000);

test('a process that was stopped for a while denies at its first question, whatever lies in its buffers', async () => {
  const module = path.resolve(import.meta.dirname, '../../dist/client/feed/follow-feed.js');
  const program = `
    const { followFeed } = await import(${JSON.stringify(module)});
    const feed = await followFeed(JSON.parse(process.env.OPTIONS));
    let last = performance.now();
    console.log(JSON.stringify(feed.judge('00')));
    setInterval(() => {
      const stopped = performance.now() - last > 1500;
      last = performance.now();
      if (stopped) console.log(JSON.stringify(feed.judge('00')));
    }, 5);`;
  const options = { urls: [service.signet.urls.api], trustBundle: service.signet.rootPem, token, stalenessMs: 1_400 };
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { env: { PATH: process.env.PATH, OPTIONS: JSON.stringify(options) }, stdio: ['ignore', 'pipe', 'inherit'] });
  const judged: object[] = [];
  let onLine: () => void = () => undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    judged.push(JSON.parse(text) as object);
    onLine();
  });
  const line = () => new Promise<void>((resolve) => (onLine = resolve));
  await line();
  child.kill('SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  child.kill('SIGCONT');
  await line();
  child.kill('SIGKILL');
  expect(judged).toMatchObject([{ allowed: true }, { allowed: false, why: 'stale' }]);
}, 60_000);

test('signet feed prints what it missed and what comes, and ends where it is told to', async () => {
  const from = await last();
  const [one, two] = [await service.enrolled(), await service.enrolled()];
  await service.order(`/v1/certificates/${one.serial}/revoke`, { reason: 'keyCompromise' });
  const { dataDir, rootPem, urls } = service.signet;
  const [tokenFile, bundle] = [path.join(dataDir, 'feed-token'), path.join(dataDir, 'bundle.pem')];
  fs.writeFileSync(tokenFile, token, { mode: 0o600 });
  fs.writeFileSync(bundle, rootPem);
  const program = path.resolve(import.meta.dirname, '../../dist/signet.js');
  const env = { PATH: process.env.PATH, HOME: dataDir, SIGNET_API_URL: urls.api, SIGNET_TOKEN_FILE: tokenFile, SIGNET_TRUST_BUNDLE: bundle };
  const child = spawn(process.execPath, [program, 'feed', '--since', String(from), '--until', String(from + 2), '--json'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  let onLine: () => void = () => undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.out += text;
    onLine();
  });
  await new Promise<void>((resolve) => (onLine = resolve));
  await service.order(`/v1/certificates/${two.serial}/hold`);
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
  expect(said.out.trimEnd().split('\n').map((line) => JSON.parse(line) as object)).toMatchObject([
    { n: from + 1, kind: 'revoked', serial: one.serial, reason: 'keyCompromise' }, { n: from + 2, kind: 'held', serial: two.serial },
  ]);
  expect(said.err).toMatch(/^live: cluster \w+, epoch 1, from \d+ on$/m);
}, 60_000);

test('programs that come and go under new names do not fill the places of their relying party', async () => {
  const { id } = jsonOf<{ id: string }>(await service.order('/v1/relying-parties', { name: 'pods', ownerEmail: 'bob@example.com', mayAsk: ['feed'] }));
  const { token: own } = jsonOf<{ token: string }>(await service.order(`/v1/relying-parties/${id}/tokens`, { name: 'pods' }));
  const client = createClient({ url: service.signet.urls.api, ca: service.signet.rootPem, token: own });
  const register = async (name: string) => jsonOf<{ id: string; code?: string }>(await client.send('POST', '/v1/enforcement-points', { json: { name } }));
  const [first, second] = [await register('pod-1'), await register('pod-2')];
  expect((await register('pod-3')).code).toBe('enforcement-point-full');
  await client.send('POST', `/v1/enforcement-points/${first.id}/leave`);
  const third = await register('pod-3');
  expect(third.code).toBeUndefined();
  expect((await database.db.enforcementPoint.findMany({ where: { relyingPartyId: id } })).map((point) => point.id).toSorted()).toEqual([second.id, third.id].toSorted());
  expect((await register('pod-4')).code).toBe('enforcement-point-full');
});

test('a certificate that ended a moment ago is in the snapshot still: a clock elsewhere may not be there yet', async () => {
  const { serial } = await service.enrolled();
  await service.order(`/v1/certificates/${serial}/revoke`, { reason: 'superseded' });
  await database.ownerDb.$executeRaw`UPDATE certificates SET not_after = now() - interval '30 seconds' WHERE serial = ${Buffer.from(serial, 'hex')}`;
  expect((await service.admin.send('GET', '/v1/revocations/snapshot')).body.toString()).toContain(serial);
});

test('snapshots that one caller takes slowly, or not at all, leave room for others', async () => {
  // More than the system's own buffers take.
  await database.ownerDb.$executeRaw`INSERT INTO issuance_stops (kind, target, cause, created_at) SELECT 'profile', lpad(i::text, 1000, 'x'), 'test', now() FROM generate_series(1, 14000) AS i`;
  const { urls, rootPem: ca } = service.signet;
  const slow: { statusCode: number | undefined; close(): void }[] = [];
  for (let i = 0; i < 4; i++) {
    const request = https.get(new URL('/v1/revocations/snapshot', urls.api), { agent: false, ca, headers: { authorization: `Bearer ${token}` } }).on('error', () => undefined);
    const response = await new Promise<http.IncomingMessage>((resolve) => request.once('response', resolve));
    slow.push({ statusCode: response.statusCode, close: () => request.destroy() });
  }
  expect(slow.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 503]);
  expect((await service.admin.send('GET', '/v1/revocations/snapshot')).status).toBe(200);
  for (const one of slow) one.close();
  await database.ownerDb.$executeRaw`DELETE FROM issuance_stops WHERE cause = 'test'`;
});
