/** What follows the feed: from a snapshot on, over two replicas of one database; killed, set back, disabled, silenced, replayed to. */
import https from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { followFeed, type Feed, type FeedState, type FollowOptions } from '../../src/client/feed/follow-feed.ts';
import { createSnapshotReader } from '../../src/client/feed/snapshot.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { decodePemAll } from '../../src/x509/pem.ts';
import { readFeedStream } from '../support/feed-reader.ts';
import { jsonOf } from '../support/https-client.ts';
import { selfSigned } from '../support/self-signed.ts';
import { startService, type Service } from '../support/service.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

let service: Service;
let second: SignetProcess;
let token: string;
let partyId: string;
const feeds: Feed[] = [];

beforeAll(async () => {
  service = await startService();
  second = await startSignet({ database: service.database, env: { SIGNET_LOG_LEVEL: 'warn' } });
  ({ id: partyId } = jsonOf<{ id: string }>(await service.order('/v1/relying-parties', { name: 'gateway', ownerEmail: 'bob@example.com', mayAsk: ['feed', 'identity'] })));
  ({ token } = jsonOf<{ token: string }>(await service.order(`/v1/relying-parties/${partyId}/tokens`, { name: 'gateway' })));
}, 120_000);
afterAll(async () => {
  await Promise.all(feeds.map((feed) => feed.close()));
  await second.stop();
  await service.close(/in epoch 1, and is of cluster/);
});

async function follow(more: Partial<FollowOptions> = {}): Promise<Feed & { states: FeedState[]; seen: number[] }> {
  const states: FeedState[] = [];
  const seen: number[] = [];
  const feed = await followFeed({ urls: [service.signet.urls.api], trustBundle: service.signet.rootPem, token, onState: (state) => states.push(state), onEvent: ({ n }) => seen.push(n), ...more });
  feeds.push(feed);
  return Object.assign(feed, { states, seen });
}
async function until(wanted: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 500; !(await wanted()); left--) {
    if (left === 0) throw new Error(`not so in 10 s: ${String(wanted)}`);
    await sleep(20);
  }
}
const last = async () => Number((await service.database.db.counter.findUniqueOrThrow({ where: { name: 'feed' } })).value);

describe('following', () => {
  test('what was not good before, and what ends now, is denied; what is released is allowed; everything applied is acknowledged', async () => {
    const [revoked, held, suspended, good] = [await service.enrolled(), await service.enrolled(), await service.enrolled(), await service.enrolled()];
    await service.order(`/v1/certificates/${revoked.serial}/revoke`, { reason: 'keyCompromise' });
    await service.order(`/v1/certificates/${held.serial}/hold`);
    await service.order(`/v1/agents/${suspended.agentId}/suspend`);
    const feed = await follow({ enforcementPoint: 'gw-1' });
    expect(feed.state()).toMatchObject({ open: true, epoch: 1, n: await last() });
    expect([revoked, held, good].map(({ serial }) => feed.judge(serial))).toMatchObject([{ allowed: false, why: 'revoked' }, { allowed: false, why: 'held' }, { allowed: true }]);
    expect(feed.judge({ agentId: suspended.agentId })).toMatchObject({ allowed: false, why: 'agent-suspended' });

    await service.order(`/v1/certificates/${good.serial}/revoke`, { reason: 'superseded' });
    await service.order(`/v1/certificates/${held.serial}/release`);
    await service.order(`/v1/agents/${suspended.agentId}/resume`);
    const end = await last();
    await until(() => feed.state().n === end && feed.state().acknowledged === end);
    expect([feed.judge(good.serial), feed.judge(held.serial), feed.judge({ agentId: suspended.agentId })]).toMatchObject([{ allowed: false }, { allowed: true }, { allowed: true }]);
    expect(jsonOf<{ summary: string }>(await service.admin.send('GET', `/v1/revocations/${end}`)).summary).toMatch(/^applied at 1 of 1 in \d+ ms; /);
    await feed.close();
    expect(feed.judge(held.serial)).toMatchObject({ allowed: false, why: 'closed' });
    expect(jsonOf<{ items: { state: string }[] }>(await service.admin.send('GET', '/v1/enforcement-points')).items).toMatchObject([{ state: 'left' }]);
  });

  test('the snapshot is of one moment, while revocations go on: with the events after its number nothing is missing', async () => {
    const agents = await Promise.all(Array.from({ length: 12 }, () => service.enrolled()));
    const revoking = Promise.all(agents.map(({ serial }) => service.order(`/v1/certificates/${serial}/revoke`, { reason: 'superseded' })));
    const following = await Promise.all(Array.from({ length: 4 }, () => follow()));
    await revoking;
    const end = await last();
    for (const feed of following) {
      await until(() => feed.state().n === end);
      expect(agents.filter(({ serial }) => feed.judge(serial).allowed)).toEqual([]);
      await feed.close();
    }
    const roots = decodePemAll(service.signet.rootPem, 'CERTIFICATE').map((der) => parseCertificate(der));
    const lines = (await service.admin.send('GET', '/v1/revocations/snapshot')).body.toString().split(/(?<=\n)/);
    const read = (of: string[]) => {
      const reader = createSnapshotReader(roots, () => new Date());
      for (const line of of) reader.line(Buffer.from(line));
      return reader.result();
    };
    expect(read(lines).end).toMatchObject({ n: end, entries: lines.length - 2 });
    expect(() => read(lines.slice(0, -1))).toThrow('broke off');
    expect(() => read(lines.toSpliced(1, 1))).toThrow('not what its signed end speaks of');
    expect(() => read(lines.with(1, (lines[1] ?? '').replace('revoked', 'held')))).toThrow('not what its signed end speaks of');
    expect(lines.some((line) => line.includes('agentId'))).toBe(true);
  });

  test('a replica that is killed is followed by another, without a gap', async () => {
    const feed = await follow({ urls: [second.urls.api, service.signet.urls.api], enforcementPoint: 'gw-2' });
    const from = feed.state().n;
    const agents = await Promise.all(Array.from({ length: 6 }, () => service.enrolled()));
    for (const [i, { serial }] of agents.entries()) {
      if (i === 3) second.kill('SIGKILL');
      await service.order(`/v1/certificates/${serial}/revoke`, { reason: 'superseded' });
    }
    const end = await last();
    await until(() => feed.state().n === end && feed.state().acknowledged === end);
    expect(feed.seen).toEqual(Array.from({ length: end - from }, (_, i) => from + 1 + i));
    const opened = feed.states.findIndex(({ open }) => open);
    expect(feed.states.slice(opened).map(({ open }) => open)).toEqual([true]);
    await feed.close();
  });
});

describe('failing closed', () => {
  test('a relying party that is disabled denies everybody, and says why', async () => {
    const { id } = jsonOf<{ id: string }>(await service.order('/v1/relying-parties', { name: 'leaver', ownerEmail: 'bob@example.com', mayAsk: ['feed'] }));
    const { token: own } = jsonOf<{ token: string }>(await service.order(`/v1/relying-parties/${id}/tokens`, { name: 'leaver' }));
    const feed = await follow({ token: own });
    await service.order(`/v1/relying-parties/${id}/disable`);
    await until(() => !feed.state().open);
    expect(feed.judge('00')).toMatchObject({ allowed: false, why: 'refused' });
    await service.order(`/v1/relying-parties/${id}/enable`);
    await until(() => feed.state().open);
    await feed.close();
    await expect(follow({ token: `${own.slice(0, -4)}AAAA` })).rejects.toMatchObject({ status: 401 });
  });

  test('silence, and heartbeats that were recorded, are stale within the limit', async () => {
    const recorded = await readFeedStream({ url: service.signet.urls.api, ca: service.signet.rootPem, token });
    await recorded.until((reader) => reader.of('heartbeat').length >= 2);
    recorded.close();
    const snapshot = (await service.admin.send('GET', '/v1/revocations/snapshot')).body;
    const own = selfSigned('127.0.0.1', { names: ['IP:127.0.0.1'] });
    const octets = recorded.events.map(({ name, data, id }) => `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
    // Somebody with a TLS key that is trusted, but without the feed key: all it can do is say again what was said.
    const impostor = https.createServer({ key: own.key, cert: own.certificate }, (req, res) => {
      if (req.url?.endsWith('/snapshot') === true) return void res.end(snapshot);
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const event of octets) res.write(event);
      const again = setInterval(() => res.write(octets.at(-1) ?? ''), 100);
      res.once('close', () => clearInterval(again));
    });
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
    const { port } = impostor.address() as { port: number };
    const feed = await follow({ urls: [`https://127.0.0.1:${port}`], trustBundle: service.signet.rootPem + own.certificate, stalenessMs: 1_000, openWithinMs: 2_500 });
    await until(() => !feed.state().open);
    expect(feed.judge('00')).toMatchObject({ allowed: false, why: expect.stringMatching(/stale|starting/) as unknown });
    await feed.close();
    impostor.closeAllConnections();
    impostor.close();
  });

  test('a database that was set back is another epoch: the replica ends, and what follows begins anew from a snapshot', async () => {
    const agent = await service.enrolled();
    await service.order(`/v1/certificates/${agent.serial}/hold`);
    const feed = await follow();
    const before = feed.state();
    expect(feed.judge(agent.serial).allowed).toBe(false);
    // As after a restore that was recovered from: a new epoch, and the hold never was.
    await service.database.ownerDb.$executeRaw`UPDATE certificates SET held_at = NULL, hold_causes = '{}' WHERE agent_id = ${agent.agentId}`;
    await service.database.ownerDb.$executeRaw`UPDATE cluster SET epoch = epoch + 1`;
    await service.signet.exited;
    const { ports } = service.signet;
    expect(before.epoch).toBe(1);
    const third = await startSignet({ database: service.database, ports, env: { SIGNET_LOG_LEVEL: 'warn' } });
    await until(() => feed.state().epoch === 2 && feed.state().open);
    expect(feed.judge(agent.serial).allowed).toBe(true);
    await feed.close();
    await third.stop();
  }, 60_000);
});
