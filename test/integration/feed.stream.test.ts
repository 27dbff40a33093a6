/** The live feed over the wire: order, catching up, cursors, slow readers, who may follow, acknowledgements; one replica of two workers. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LeaseAnswer, PropagationAnswer } from '../../src/api/feed.ts';
import { inTransaction } from '../../src/db/client.ts';
import { appendFeedRows, type FeedRow } from '../../src/db/feed.ts';
import { readStatement, trustFeedKey } from '../../src/verify/feed-statement.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { decodePemAll } from '../../src/x509/pem.ts';
import { readFeedStream, type FeedReader, type ReaderOptions } from '../support/feed-reader.ts';
import { createClient, jsonOf, type Client, type Reply } from '../support/https-client.ts';
import { selfSigned } from '../support/self-signed.ts';
import { startService, type Service } from '../support/service.ts';

let service: Service;
let token: string;
let bareToken: string;
let partyId: string;
const readers: FeedReader[] = [];

beforeAll(async () => {
  service = await startService({ env: { SIGNET_WORKERS: '2', SIGNET_FEED_BUFFER_BYTES: '8192', SIGNET_FEED_SLOW_READER_MS: '700', SIGNET_FEED_STREAMS_PER_CALLER_MAX: '40', SIGNET_RESPONSE_TIMEOUT_MS: '700' } });
  ({ id: partyId, token } = await party('gateway', ['feed', 'identity']));
  ({ token: bareToken } = await party('bare', ['feed']));
}, 90_000);
afterAll(async () => {
  for (const reader of readers) reader.close();
  await service.close();
});

let parties = 0;
async function party(name: string, mayAsk: string[]): Promise<{ id: string; token: string }> {
  const { id } = jsonOf<{ id: string }>(await service.order('/v1/relying-parties', { name: `${name}-${++parties}`, ownerEmail: 'bob@example.com', mayAsk }));
  return { id, token: jsonOf<{ token: string }>(await service.order(`/v1/relying-parties/${id}/tokens`, { name })).token };
}
async function open(more: Partial<ReaderOptions> = {}): Promise<FeedReader> {
  const { urls, rootPem: ca } = service.signet;
  const reader = await readFeedStream({ url: more.identity ? urls.mtls : urls.api, ca, ...(more.identity ? {} : { token }), ...more });
  readers.push(reader);
  return reader;
}
const since = (n: number | string, more: Partial<ReaderOptions> = {}) => open({ path: `/v1/revocations/stream?since=${n}`, ...more });
const as = (bearer: string): Client => createClient({ url: service.signet.urls.api, ca: service.signet.rootPem, token: bearer });
const answerOf = (reply: Reply) => [reply.status, jsonOf<{ code?: string }>(reply).code];
const problemOf = ({ status, events }: FeedReader) => [status, events[0]?.data.code];
const append = (rows: FeedRow[]) => inTransaction(service.database.db, (tx) => appendFeedRows(tx, new Date(), rows));
const last = async () => Number((await service.database.db.counter.findUniqueOrThrow({ where: { name: 'feed' } })).value);
const numbers = (reader: FeedReader) => reader.of('change').map(({ n }) => n);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const roots = () => decodePemAll(service.signet.rootPem, 'CERTIFICATE').map((der) => parseCertificate(der));

describe('following', () => {
  test('every change comes with its number, to readers of both workers alike; a signed heartbeat says that nothing is missing', async () => {
    const from = await last();
    const following = await Promise.all(Array.from({ length: 4 }, () => since(from)));
    const bare = await since(from, { token: bareToken });
    const agent = await service.enrolled();
    await service.order(`/v1/certificates/${agent.serial}/hold`);
    await service.order(`/v1/certificates/${agent.serial}/release`);
    await service.order(`/v1/agents/${agent.agentId}/suspend`);
    await service.order(`/v1/certificates/${agent.serial}/revoke`, { reason: 'keyCompromise' });
    const end = await last();
    for (const reader of [...following, bare]) await reader.until(({ events }) => events.some(({ name, data }) => name === 'change' && data.n === end));
    const [first] = following;
    expect(first?.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    expect(first?.of('change').map(({ kind }) => kind)).toEqual(['held', 'released', 'agent-suspended', 'held', 'revoked']);
    expect(first?.of('change').at(-1)).toMatchObject({ serial: agent.serial, reason: 'keyCompromise', agentId: agent.agentId });
    for (const reader of following) expect(reader.of('change')).toEqual(first?.of('change'));
    expect(numbers(bare)).toEqual(range(from + 1, end));
    expect(JSON.stringify(bare.events)).not.toContain(agent.agentId);

    const saidOf = (jws: unknown) => JSON.parse(Buffer.from(String(jws).split('.')[1] ?? '', 'base64url').toString()) as { n: number };
    await first?.until((reader) => reader.of('heartbeat').some(({ jws }) => saidOf(jws).n === end));
    const [{ x5c } = { x5c: [] }] = (first?.of('key') ?? []) as { x5c: string[] }[];
    const key = trustFeedKey(x5c, roots(), new Date());
    const beats = (first?.of('heartbeat') ?? []).map(({ jws }) => readStatement('heartbeat', String(jws), key, new Date()));
    const [hello] = first?.of('hello') ?? [];
    expect(beats.at(-1)).toMatchObject({ cluster: hello?.cluster, epoch: hello?.epoch, n: end });
    expect(beats.map(({ time }) => Date.parse(time))).toEqual(beats.map(({ time }) => Date.parse(time)).toSorted((a, b) => a - b));
    // By a feed key, not by any certificate of ours: the door's own is refused.
    expect(() => trustFeedKey(x5c.slice(1), roots(), new Date())).toThrow('another purpose');
    for (const reader of [...following, bare]) reader.close();
  });

  test('a stream has no end of its own: the limit for taking an answer is not for it', async () => {
    const reader = await open();
    // A second apart.
    await reader.until((one) => one.of('heartbeat').length > 2);
    reader.close();
  });

  test('whoever comes back gets what it missed once, by number, by id or by Last-Event-ID, while more is being appended', async () => {
    const from = await last();
    const writing = (async () => {
      for (let i = 0; i < 20; i++) await append(Array.from({ length: 100 }, () => ({ kind: 'agent-suspended', agentId: 'A'.repeat(26) })));
    })();
    const [cluster] = await service.database.db.cluster.findMany();
    const cursor = `${cluster?.id}:${cluster?.epoch}:${from + 250}`;
    await sleep(50);
    while ((await last()) < from + 250) await sleep(5);
    const back = [await since(from + 100), await since(cursor), await open({ headers: { 'last-event-id': cursor } }), await since(from, { token: bareToken })];
    await writing;
    for (const reader of back) await reader.until((one) => one.of('change').at(-1)?.n === from + 2_000);
    expect(back.map(numbers)).toEqual([range(from + 101, from + 2_000), range(from + 251, from + 2_000), range(from + 251, from + 2_000), range(from + 1, from + 2_000)]);
    for (const reader of back) reader.close();
  });

  test('each bad cursor is refused before the stream begins, and told apart', async () => {
    const [cluster] = await service.database.db.cluster.findMany();
    const end = await last();
    expect(problemOf(await since(end + 1_000))).toEqual([409, 'feed-cursor-ahead']);
    expect(problemOf(await since(`${cluster?.id}:7:${end}`))).toEqual([409, 'feed-other-world']);
    expect(problemOf(await since(`${end}&epoch=9`))).toEqual([409, 'feed-other-world']);
    expect(problemOf(await since(`01M7YV54J0C1R5T2E3R4J5D6F7:1:${end}`))).toEqual([409, 'feed-other-world']);
    expect(problemOf(await since('-1'))).toEqual([400, 'invalid-request']);
    expect(problemOf(await since('1e3'))).toEqual([400, 'invalid-request']);
    expect(problemOf(await open({ headers: { 'last-event-id': 'x' } }))).toEqual([400, 'cursor-invalid']);
  });

  test('a reader that takes nothing is sent away with a reason, and catches up when it comes back', async () => {
    const from = await last();
    const slow = await since(from);
    await slow.until((reader) => reader.of('heartbeat').length > 0);
    slow.pause();
    // More than the system's own buffers take.
    const rows = Array.from({ length: 100 }, () => ({ kind: 'issuance-stopped' as const, stop: 'x'.repeat(15_000) }));
    for (let i = 0; i < 10; i++) await append(rows);
    const other = await since(from + 990);
    await other.until((reader) => reader.of('change').length === 10);
    other.close();
    const ended = async () => /signet_feed_streams_ended_total\{[^}]*reason="slow-reader"[^}]*\} 1/.test((await createClient({ url: service.signet.urls.operations }).send('GET', '/metrics')).body.toString());
    while (!(await ended())) await sleep(50);
    const taken = numbers(slow);
    slow.close();
    expect(taken).toEqual(range(from + 1, from + taken.length));
    const back = await since(from + taken.length);
    await back.until((reader) => reader.of('change').length === 1_000 - taken.length);
    expect(numbers(back)).toEqual(range(from + taken.length + 1, from + 1_000));
    back.close();
  });

  test('what was cleared away is no longer served, and said so', async () => {
    // More than is kept in memory.
    for (let i = 0; i < 4; i++) await append(Array.from({ length: 5_000 }, () => ({ kind: 'agent-resumed' as const })));
    await service.database.ownerDb.$executeRaw`DELETE FROM feed_events WHERE n <= 2`;
    // Until then a worker serves it from memory.
    let first = await since(0);
    for (; first.status === 200; first = await since(0)) first.close();
    expect(problemOf(first)).toEqual([410, 'feed-cursor-expired']);
    for (let left = 50; left > 0 && (await since(1)).status === 200; left--) await sleep(20);
    expect(problemOf(await since(1))).toEqual([410, 'feed-cursor-expired']);
    const kept = await since(2);
    await kept.until((reader) => reader.events.length > 10);
    expect(numbers(kept)[0]).toBe(3);
    kept.close();
  });
});

describe('who may follow', () => {
  test('only who is registered for it; an agent is not, staff are', async () => {
    const { token: status } = await party('status-only', ['status', 'identity']);
    expect(problemOf(await open({ token: status }))).toEqual([403, 'permission-denied']);
    const agent = await service.enrolled();
    expect(problemOf(await open({ identity: agent }))).toEqual([403, 'permission-denied']);
    const staff = await open({ token: service.signet.adminToken });
    await staff.until((reader) => reader.of('heartbeat').length > 0);
    staff.close();
  });

  test('a relying party that is disabled, loses its grant or its credential loses its open streams', async () => {
    const made = await Promise.all([party('gone', ['feed']), party('narrowed', ['feed', 'status']), party('blinded', ['feed', 'identity']), party('revoked', ['feed']), party('unpinned', ['feed'])]);
    const [gone, narrowed, blinded, revoked, unpinned] = made;
    const pin = selfSigned('follower');
    const { id: pinId } = jsonOf<{ id: string }>(await service.order(`/v1/relying-parties/${unpinned.id}/certificates`, { certificate: pin.certificate }));
    const following = [...(await Promise.all([gone, narrowed, blinded, revoked].map((one) => open({ token: one.token })))), await open({ identity: pin.identity })];
    for (const reader of following) await reader.until((one) => one.of('heartbeat').length > 0);
    await service.order(`/v1/relying-parties/${gone.id}/disable`);
    await service.admin.send('PATCH', `/v1/relying-parties/${narrowed.id}`, { json: { mayAsk: ['status'] } });
    await service.admin.send('PATCH', `/v1/relying-parties/${blinded.id}`, { json: { mayAsk: ['feed'] } });
    const [{ id: tokenId } = { id: '' }] = jsonOf<{ items: { id: string }[] }>(await service.admin.send('GET', `/v1/relying-parties/${revoked.id}/tokens`)).items;
    await service.order(`/v1/relying-parties/${revoked.id}/tokens/${tokenId}/revoke`);
    await service.order(`/v1/relying-parties/${unpinned.id}/certificates/${pinId}/remove`);
    for (const reader of following) await reader.until((one) => one.of('end').length > 0);
    expect(following.map((reader) => reader.of('end')[0]?.reason)).toEqual(Array.from({ length: 5 }, () => 'credential-ended'));
  });

  test('one caller has so many streams and no more', async () => {
    const { token: greedy } = await party('greedy', ['feed']);
    // 40 of the replica: 20 of each worker, whichever of them is asked.
    const opened = await Promise.all(Array.from({ length: 60 }, () => open({ token: greedy })));
    const statuses = opened.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(40);
    expect(opened.filter(({ status }) => status === 503).map((reader) => reader.events[0]?.data.code)).toEqual(expect.arrayContaining(['feed-full']));
    for (const reader of opened) reader.close();
  });
});

describe('enforcement points', () => {
  const register = async (bearer: string, name: string) => jsonOf<LeaseAnswer>(await as(bearer).send('POST', '/v1/enforcement-points', { json: { name } }));
  const acknowledge = (bearer: string, { id, cluster, epoch }: LeaseAnswer, n: number) => as(bearer).send('POST', `/v1/enforcement-points/${id}/acknowledge`, { json: { n, cluster, epoch } });
  const propagation = async (n: number) => jsonOf<PropagationAnswer>(await service.admin.send('GET', `/v1/revocations/${n}`));

  test('who applied an event, who is missing, and by when offline parties know', async () => {
    const points = [await register(token, 'gw-1'), await register(token, 'gw-2'), await register(token, 'gw-3')];
    expect(new Set(points.map(({ id }) => id)).size).toBe(3);
    const agent = await service.enrolled();
    await service.order(`/v1/certificates/${agent.serial}/revoke`, { reason: 'keyCompromise' });
    const n = await last();
    const [one, two, three] = points as [LeaseAnswer, LeaseAnswer, LeaseAnswer];
    expect((await acknowledge(token, one, n)).status).toBe(200);
    expect((await acknowledge(token, two, n - 1)).status).toBe(200);
    await as(token).send('POST', `/v1/enforcement-points/${three.id}/leave`);
    const late = await register(token, 'gw-4');
    await acknowledge(token, late, n);
    const seen = await propagation(n);
    expect(seen).toMatchObject({ event: { n, kind: 'revoked', serial: agent.serial }, enforcementPoints: { expected: 3, applied: 1, pending: [{ name: 'gw-2' }], lost: [], left: [{ name: 'gw-3' }] } });
    expect(seen.summary).toMatch(/^applied at 1 of 3 in \d+ ms \(1 pending, 1 left\); offline parties: by \S+Z at the latest$/);
    expect(seen.offline?.by).toBe(seen.offline?.notAfter);
    expect(Date.parse(seen.offline?.ocspBy ?? '')).toBe(Date.parse(seen.event.at) + 602_000);
    await acknowledge(token, two, n);
    expect((await propagation(n)).enforcementPoints).toMatchObject({ expected: 3, applied: 2, pending: [] });

    // A lease that ran out is shown, and still missed for what was committed while it held.
    await service.database.db.enforcementPoint.updateMany({ where: { id: two.id }, data: { leaseUntil: new Date(Date.now() - 5) } });
    const { items } = jsonOf<{ items: { name: string; state: string; connected: boolean; lagNumbers: number }[] }>(await service.admin.send('GET', '/v1/enforcement-points?limit=100'));
    expect(items.map(({ name, state, connected }) => `${name} ${state} ${connected}`)).toEqual(['gw-1 live true', 'gw-2 lost false', 'gw-3 left false', 'gw-4 live true']);
    // Its lease holds, but it should have renewed it by now.
    await service.database.db.enforcementPoint.updateMany({ where: { id: late.id }, data: { leaseUntil: new Date(Date.now() + 12_000) } });
    const later = jsonOf<{ items: { name: string; state: string; connected: boolean }[] }>(await service.admin.send('GET', '/v1/enforcement-points?limit=100')).items;
    expect(later.find(({ name }) => name === 'gw-4')).toMatchObject({ state: 'live', connected: false });
    const other = await service.enrolled();
    await service.order(`/v1/certificates/${other.serial}/hold`);
    expect((await propagation(await last())).enforcementPoints).toMatchObject({ expected: 2, pending: [{ name: 'gw-1' }, { name: 'gw-4' }] });
    expect((await acknowledge(token, two, n)).status).toBe(200);
    expect((await propagation(n)).enforcementPoints).toMatchObject({ expected: 3, applied: 2 });
    expect((await propagation(await last())).enforcementPoints.expected).toBe(2);
    expect(answerOf(await service.admin.send('GET', `/v1/revocations/${(await last()) + 1}`))).toEqual([404, 'revocation-not-found']);

    // Of an event from before acknowledgements are kept nothing is claimed.
    await service.database.ownerDb.$executeRaw`UPDATE feed_events SET at = at - interval '8 days' WHERE n = ${n}`;
    expect(await propagation(n)).toMatchObject({ enforcementPoints: { known: false, expected: 0, applied: 0, appliedMs: null }, summary: expect.stringContaining('not kept any more') });
  });

  test('nobody acknowledges what was never sent, in another world, or in another name; a lower number changes nothing', async () => {
    const mine = await register(token, 'honest');
    const end = await last();
    expect(answerOf(await acknowledge(token, mine, end + 1))).toEqual([409, 'acknowledgement-not-sent']);
    expect(answerOf(await acknowledge(token, { ...mine, epoch: 2 }, end))).toEqual([409, 'feed-other-world']);
    expect(answerOf(await acknowledge(token, { ...mine, cluster: 'another' }, end))).toEqual([409, 'feed-other-world']);
    expect(answerOf(await acknowledge(bareToken, mine, end))).toEqual([404, 'enforcement-point-not-found']);
    expect(answerOf(await acknowledge(service.signet.adminToken, mine, end))).toEqual([404, 'enforcement-point-not-found']);
    expect(answerOf(await as(service.signet.adminToken).send('POST', '/v1/enforcement-points', { json: { name: 'mine' } }))).toEqual([403, 'permission-denied']);
    expect(answerOf(await as(bareToken).send('POST', `/v1/enforcement-points/${mine.id}/leave`))).toEqual([404, 'enforcement-point-not-found']);
    expect(jsonOf<LeaseAnswer>(await acknowledge(token, mine, end)).appliedN).toBe(end);
    expect(jsonOf<LeaseAnswer>(await acknowledge(token, mine, end - 5)).appliedN).toBe(end);
    // The same name is the same place, for its own relying party alone.
    expect((await register(token, 'honest')).id).toBe(mine.id);
    expect((await register(bareToken, 'honest')).id).not.toBe(mine.id);
    expect((await service.database.db.auditEvent.findMany({ where: { kind: 'enforcement-point.registered', target: mine.id } })).length).toBe(1);
    expect(partyId).toBeTruthy();
  });
});

test('told to stop, a replica ends its streams with a reason and a time to come back', async () => {
  const reader = await open();
  await reader.until((one) => one.of('heartbeat').length > 0);
  service.signet.kill('SIGTERM');
  await reader.ended;
  expect(reader.of('end')).toEqual([{ reason: 'draining', detail: expect.any(String) as unknown }]);
  expect((await service.signet.exited).code).toBe(0);
});
