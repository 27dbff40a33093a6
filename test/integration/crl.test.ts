import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { recoverRestored } from '../../src/admin/recover-restored.ts';
import { noBarrier, type Barrier } from '../../src/core/barrier.ts';
import { connect, inTransaction } from '../../src/db/client.ts';
import { COMPLETE } from '../../src/db/crls.ts';
import { appendFeedRows } from '../../src/db/feed.ts';
import { dueLists } from '../../src/db/retention.ts';
import { findEventView } from '../../src/db/views/enforcement-points.ts';
import { createCrlStore, type CrlStore } from '../../src/revocation/crl/crl-store.ts';
import { publishCrl, publishStale, type PublishedCrl, type PublishNeeds } from '../../src/revocation/crl/publish-crl.ts';
import { createCrlPublisher } from '../../src/revocation/crl/publisher.ts';
import { createRevocationSignals } from '../../src/revocation/signals.ts';
import { parseCrl } from '../../src/x509/crl.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { movableClock, openTestAuthority, TEST_ORIGIN, type TestAuthority } from '../support/authority.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';
import { changeStatus, leafSerial, storeLeaves } from '../support/leaves.ts';

const HOUR = 3_600_000;
const later = (ms: number): Date => new Date(FIXED_NOW.getTime() + ms);

let database: TestDatabase;
let authority: TestAuthority;
let issuerId: string;
const folder = mkdtempSync(path.join(tmpdir(), 'signet-crl-'));

beforeAll(async () => {
  database = await testDatabase();
  authority = await openTestAuthority(database, { env: { SIGNET_CRL_SHARDS: '2' } });
  issuerId = authority.authorities.snapshot().active.id;
});
afterAll(async () => {
  await authority.authorities.close();
  await database.drop();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  authority.clock.set(FIXED_NOW);
  await database.ownerDb.$executeRaw`TRUNCATE certificates, feed_events, crl_parts`;
  await database.ownerDb.$executeRaw`UPDATE crls SET number = 0, this_update = NULL, next_update = NULL, feed_n = 0, octets = NULL, stored_at = NULL, latest_end = NULL`;
  await database.ownerDb.$executeRaw`UPDATE counters SET value = 0 WHERE name = 'feed'`;
});

const needs = (barrier: Barrier = noBarrier): PublishNeeds => ({ ...authority, barrier });

async function publish(shard = COMPLETE, of = issuerId) {
  const list = await publishCrl(needs(), TEST_ORIGIN, { issuerId: of, shard, onlyIfStale: false });
  if (!list) throw new Error('nothing was published');
  const der = await octetsOf(list);
  return { ...list, der, parsed: parseCrl(der) };
}
async function octetsOf({ content }: PublishedCrl): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of content.read()) parts.push(part);
  content.release();
  return Buffer.concat(parts);
}
const entriesOf = (der: Uint8Array) => [...parseCrl(der).entries()].map(({ serial, revokedAt, reason }) => ({ serial: serial.toString('hex'), revokedAt, reason }));

/** Leaves that end in an hour, one a number, in shard n % 2. */
async function leaves(...numbers: number[]): Promise<Buffer[]> {
  const notAfter = later(HOUR);
  const stored = numbers.map((n) => ({ serial: leafSerial(notAfter, n), notAfter, shard: n % 2 }));
  await storeLeaves(database.db, issuerId, stored);
  return stored.map((leaf) => leaf.serial);
}

function file(name: string, pem: string): string {
  const full = path.join(folder, name);
  writeFileSync(full, pem);
  return full;
}

test('publishCrl: a list carries AKI, number, times in whole seconds, and is stored, audited and verified by openssl', async () => {
  authority.clock.set(later(700));
  const { number, thisUpdate, nextUpdate, entries, der, parsed } = await publish();
  expect({ number, thisUpdate, nextUpdate, entries }).toEqual({ number: 1n, thisUpdate: FIXED_NOW, nextUpdate: later(14_400_000), entries: 0 });
  expect(parsed.crlNumber).toBe(1n);
  expect(parsed.extensions.map(({ oid, critical }) => [oid, critical])).toEqual([['2.5.29.35', false], ['2.5.29.20', false]]);
  const stored = await database.db.crlPart.findMany({ where: { issuerId, shard: COMPLETE } });
  expect(Buffer.concat(stored.map(({ octets }) => octets)).equals(der)).toBe(true);
  const [event] = await database.db.auditEvent.findMany({ where: { kind: 'crl.published', target: `${issuerId}/complete` }, orderBy: { n: 'desc' } });
  expect(JSON.parse(Buffer.from(event?.event ?? []).toString())).toMatchObject({ authority: issuerId, detail: { number: '1', entries: 0 } });

  const issuer = file('issuer.pem', authority.authorities.snapshot().active.pem);
  const list = file('list.pem', encodePem('X509 CRL', der));
  expect(execFileSync('openssl', ['crl', '-in', list, '-CAfile', issuer, '-noout', '-text'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })).toContain('No Revoked Certificates');
});

test('publishCrl: revoked and held certificates are listed with reason and time, good ones and other issuers are not', async () => {
  const [good, compromised, unspecified, held, released] = (await leaves(1, 2, 3, 4, 5)) as [Buffer, Buffer, Buffer, Buffer, Buffer];
  await storeLeaves(database.db, 'someone else', [{ serial: leafSerial(later(HOUR), 6), notAfter: later(HOUR) }]);
  await changeStatus(database.db, { kind: 'revoked', serial: leafSerial(later(HOUR), 6), at: FIXED_NOW });
  await changeStatus(database.db, { kind: 'revoked', serial: compromised, at: later(1_000), reason: 1 });
  await changeStatus(database.db, { kind: 'revoked', serial: unspecified, at: later(2_000) });
  await changeStatus(database.db, { kind: 'held', serial: held, at: later(3_000) });
  await changeStatus(database.db, { kind: 'held', serial: released, at: FIXED_NOW });
  await changeStatus(database.db, { kind: 'released', serial: released, at: FIXED_NOW });
  const { der } = await publish();
  const listed = entriesOf(der);
  expect(listed).toHaveLength(3);
  expect(listed).toEqual(expect.arrayContaining([
    { serial: compromised.toString('hex'), revokedAt: later(1_000), reason: 1 },
    { serial: unspecified.toString('hex'), revokedAt: later(2_000), reason: undefined },
    { serial: held.toString('hex'), revokedAt: later(3_000), reason: 6 },
  ]));
  expect(listed.some(({ serial }) => serial === good.toString('hex'))).toBe(false);
});

test('publishCrl: a shard lists its own and says so critically, the complete list has all of them and no IDP', async () => {
  const [odd, even] = (await leaves(1, 2)) as [Buffer, Buffer];
  for (const serial of [odd, even]) await changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW, reason: 1 });
  const shards = [await publish(0), await publish(1)];
  expect(shards.map(({ der }) => entriesOf(der).map((entry) => entry.serial))).toEqual([[even.toString('hex')], [odd.toString('hex')]]);
  const idp = shards.map(({ parsed }) => parsed.extensions.find((extension) => extension.oid === '2.5.29.28'));
  expect(idp.map((extension) => [extension?.critical, extension?.value.toString('latin1').includes(`/crl/${issuerId}/`)])).toEqual([[true, true], [true, true]]);
  const complete = await publish();
  expect(entriesOf(complete.der).map((entry) => entry.serial).toSorted()).toEqual([even, odd].map((serial) => serial.toString('hex')).toSorted());
  expect(complete.parsed.extensions.some((extension) => extension.oid === '2.5.29.28')).toBe(false);
});

test('publishCrl: certificates of the authority that were revoked are on the list of their signer, the root has a list too', async () => {
  const snapshot = authority.authorities.snapshot();
  const { roots, active } = snapshot;
  const responderId = snapshot.responderFor(active.id)?.id as string;
  const rootId = roots[0]?.id as string;
  const serials = await Promise.all([responderId, active.id].map(async (id) => {
    const { serial } = await database.ownerDb.authorityCertificate.update({ where: { id }, data: { revokedAt: FIXED_NOW, revocationReason: 4 } });
    return Buffer.from(serial).toString('hex');
  }));
  try {
    expect(entriesOf((await publish()).der)).toEqual([{ serial: serials[0], revokedAt: FIXED_NOW, reason: 4 }]);
    expect(entriesOf((await publish(0)).der)).toEqual([]);
    const root = await publish(COMPLETE, rootId);
    expect(entriesOf(root.der)).toEqual([{ serial: serials[1], revokedAt: FIXED_NOW, reason: 4 }]);
    const [anchor, list] = [file('root.pem', roots[0]?.pem ?? ''), file('root-crl.pem', encodePem('X509 CRL', root.der))];
    execFileSync('openssl', ['crl', '-in', list, '-CAfile', anchor, '-noout'], { stdio: 'pipe' });
  } finally {
    await database.ownerDb.authorityCertificate.updateMany({ where: { id: { in: [responderId, active.id] } }, data: { revokedAt: null, revocationReason: null } });
  }
});

test('publishCrl: an entry stays past its expiry for one list and one interval, then goes (RFC 5280 §3.3)', async () => {
  const notAfter = later(60_000);
  const serial = leafSerial(notAfter, 1);
  await storeLeaves(database.db, issuerId, [{ serial, notAfter }]);
  await changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW });
  const counts: Record<string, number> = {};
  // Expires at 60 s; the interval is 900 s.
  for (const seconds of [0, 61, 900, 961, 962]) {
    authority.clock.set(later(seconds * 1_000));
    counts[seconds] = (await publish()).entries;
  }
  expect(counts).toEqual({ 0: 1, 61: 1, 900: 1, 961: 0, 962: 0 });
});

test('publishCrl: after a long outage an expired entry is still on the first list', async () => {
  const notAfter = later(60_000);
  await storeLeaves(database.db, issuerId, [{ serial: leafSerial(notAfter, 1), notAfter }]);
  await changeStatus(database.db, { kind: 'revoked', serial: leafSerial(notAfter, 1), at: FIXED_NOW });
  await publish();
  authority.clock.set(later(100_000_000));
  expect((await publish()).entries).toBe(1);
  authority.clock.set(later(100_001_000));
  expect((await publish()).entries).toBe(0);
});

test('publishCrl: a clock that is ten minutes ahead, or steps there and back, takes nothing away that has not ended, however short the interval', async () => {
  const short = { ...needs(), config: { ...authority.config, crlIntervalSeconds: 10 } };
  const notAfter = later(300_000);
  const serial = leafSerial(notAfter, 1);
  await storeLeaves(database.db, issuerId, [{ serial, notAfter }]);
  await changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW });
  for (const seconds of [0, 600, 611, 20]) {
    authority.clock.set(later(seconds * 1_000));
    expect((await publishCrl(short, TEST_ORIGIN, { issuerId, shard: COMPLETE, onlyIfStale: false }))?.entries).toBe(1);
  }
});

test('publishCrl: a clock that is days ahead neither dates a list beyond the database nor takes away what has not ended', async () => {
  const notAfter = later(HOUR);
  const serial = leafSerial(notAfter, 1);
  await storeLeaves(database.db, issuerId, [{ serial, notAfter }]);
  await changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW });
  await publish();
  authority.clock.set(later(72 * HOUR));
  const astray = { ...needs(), databaseTime: () => later(60_000) };
  for (const number of [2n, 3n]) {
    const list = await publishCrl(astray, TEST_ORIGIN, { issuerId, shard: COMPLETE, onlyIfStale: false });
    expect(list).toMatchObject({ number, thisUpdate: later(60_000), entries: 1 });
    list?.content.release();
  }
  // Nor is it due all the time.
  const intervalSeconds = authority.config.crlIntervalSeconds;
  const due = (databaseNow: Date) => dueLists(database.db, { now: later(72 * HOUR), intervalSeconds, databaseNow });
  expect(await due(later(59_000 + intervalSeconds * 1_000))).not.toContainEqual({ issuerId, shard: COMPLETE });
  expect(await due(later(60_000 + intervalSeconds * 1_000))).toContainEqual({ issuerId, shard: COMPLETE });
  authority.clock.set(later(120_000));
  expect(await publish()).toMatchObject({ number: 4n, thisUpdate: later(120_000), entries: 1 });
});

test("publishCrl: the limit is the database's own clock", async () => {
  authority.clock.set(new Date(Date.now() + 72 * HOUR));
  const { databaseTime, ...own } = { ...authority, barrier: noBarrier };
  expect(databaseTime()).toEqual(authority.clock.now());
  const list = await publishCrl(own, TEST_ORIGIN, { issuerId, shard: COMPLETE, onlyIfStale: false });
  list?.content.release();
  // Another machine's clock need not agree to the second.
  expect(Math.abs((list?.thisUpdate.getTime() ?? 0) - Date.now())).toBeLessThan(HOUR);
});

test('publishCrl: thisUpdate never goes back when the clock does, and nextUpdate follows it', async () => {
  authority.clock.set(later(600_000));
  await publish();
  authority.clock.set(FIXED_NOW);
  const { number, thisUpdate, nextUpdate } = await publish();
  expect({ number, thisUpdate, nextUpdate }).toEqual({ number: 2n, thisUpdate: later(600_000), nextUpdate: later(15_000_000) });
});

test('publishCrl: onlyIfStale publishes when the feed has a change of this list, and takes no number otherwise', async () => {
  const [odd] = (await leaves(1)) as [Buffer];
  const ifStale = async (shard: number) => (await publishCrl(needs(), TEST_ORIGIN, { issuerId, shard, onlyIfStale: true }))?.number;
  expect([await ifStale(COMPLETE), await ifStale(0), await ifStale(1)]).toEqual([1n, 1n, 1n]);
  expect([await ifStale(COMPLETE), await ifStale(0), await ifStale(1)]).toEqual([undefined, undefined, undefined]);
  await changeStatus(database.db, { kind: 'revoked', serial: odd, at: FIXED_NOW });
  expect([await ifStale(COMPLETE), await ifStale(0), await ifStale(1)]).toEqual([2n, undefined, 2n]);
  await inTransaction(database.db, (tx) => appendFeedRows(tx, FIXED_NOW, [{ kind: 'agent-suspended', agentId: 'a' }]));
  expect(await ifStale(COMPLETE)).toBeUndefined();
});

test('publishCrl: what fails after the number was taken leaves number and list as they were', async () => {
  await publish();
  for (const step of ['crl:numbered', 'crl:before-commit'] as const) {
    const failing: Barrier = (name) => (name === step ? Promise.reject(new Error(step)) : undefined);
    await expect(publishCrl(needs(failing), TEST_ORIGIN, { issuerId, shard: COMPLETE, onlyIfStale: false })).rejects.toThrow(step);
  }
  expect((await publish()).number).toBe(2n);
});

test('publishCrl: more entries than one chunk are each listed once', async () => {
  const [model] = (await leaves(0)) as [Buffer];
  const day = model.readUIntBE(1, 3);
  // A third of them a day later: chunks end inside a shard and inside a partition.
  await database.ownerDb.$executeRaw`
    INSERT INTO certificates SELECT (jsonb_populate_record(c, jsonb_build_object('bucket', ${day}::int + n % 3 / 2, 'shard', n % 2,
      'serial', '\\x01' || encode(substr(int4send(${day}::int + n % 3 / 2), 2) || substr(sha256(int4send(n)), 1, 16), 'hex')))).*
    FROM certificates c, generate_series(1, 10001) n`;
  await database.db.$executeRaw`UPDATE certificates SET revoked_at = ${FIXED_NOW}, revocation_reason = 1`;
  const { der, entries } = await publish();
  expect(entries).toBe(10_002);
  expect(new Set(entriesOf(der).map((entry) => entry.serial)).size).toBe(10_002);
  expect(entriesOf((await publish(1)).der)).toHaveLength(5_001);
});

test('publishCrl: an unknown list or issuer is refused', async () => {
  await expect(publish(7)).rejects.toMatchObject({ code: 'authority-not-found' });
  await expect(publish(COMPLETE, 'nobody')).rejects.toMatchObject({ code: 'authority-not-found' });
});

test('publishCrl: many publishers and revocations at once: numbers are unique, and each list holds all that a lower one held (invariant 6)', async () => {
  const serials = await leaves(...Array.from({ length: 60 }, (_, n) => n * 2));
  const lists: { number: bigint; serials: Set<string> }[] = [];
  const revoke = Promise.all(serials.map((serial) => changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW, reason: 1 })));
  const publishing = Promise.all(Array.from({ length: 4 }, async () => {
    for (let i = 0; i < 6; i++) {
      const { number, der } = await publish(0);
      lists.push({ number, serials: new Set(entriesOf(der).map((entry) => entry.serial)) });
    }
  }));
  await Promise.all([revoke, publishing]);
  lists.sort((a, b) => Number(a.number - b.number));
  expect(lists.map(({ number }) => number)).toEqual(Array.from({ length: 24 }, (_, i) => BigInt(i + 1)));
  for (const [i, list] of lists.entries()) {
    const missing = [...(lists[i - 1]?.serials ?? [])].filter((serial) => !list.serials.has(serial));
    expect(missing).toEqual([]);
  }
  expect(entriesOf((await publish(0)).der)).toHaveLength(60);
});

test('publishCrl: a revocation committed while the row was waited for is on the list', async () => {
  const [serial] = (await leaves(2)) as [Buffer];
  const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
  const { promise: isNumbered, resolve: numbered } = Promise.withResolvers<void>();
  const slow: Barrier = async (name) => {
    if (name === 'crl:numbered') numbered();
    if (name === 'crl:before-commit') await mayCommit;
  };
  const first = publishCrl(needs(slow), TEST_ORIGIN, { issuerId, shard: 0, onlyIfStale: false });
  await isNumbered;
  const second = publish(0); // begins now, waits for the row
  await new Promise((resolve) => setTimeout(resolve, 100));
  await changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW });
  commit();
  expect((await first)?.entries).toBe(0);
  expect(await second).toMatchObject({ number: 2n, entries: 1 });
});

/** The lists were stored so long ago that nothing has to wait. */
const longAgo = () => database.ownerDb.$executeRaw`UPDATE crls SET stored_at = stored_at - interval '1 minute'`;

function openPublisher() {
  const signals = createRevocationSignals();
  const clock = movableClock();
  const crls = createCrlStore({ ...authority, clock });
  return { signals, crls, publisher: createCrlPublisher({ ...needs(), log: authority.log, clock, signals, crls }) };
}

test('CrlPublisher: a signalled revocation is on its shard and the complete list without anyone asking', async () => {
  const [serial] = (await leaves(1)) as [Buffer];
  const { signals, crls, publisher } = openPublisher();
  await publisher.start();
  await publisher.idle();
  signals.changed([await changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW, reason: 1 })]);
  await publisher.close();
  for (const shard of [1, COMPLETE]) expect(entriesOf((await crls.get({ issuerId, shard })).content.bytes ?? Buffer.alloc(0))).toEqual([{ serial: serial.toString('hex'), revokedAt: FIXED_NOW, reason: 1 }]);
  expect((await crls.get({ issuerId, shard: 0 })).number).toBe(1n);
});

test('CrlPublisher: its start publishes what a killed process left behind, and nothing else', async () => {
  const numbers = async () => (await database.db.crl.findMany({ where: { issuerId }, orderBy: { shard: 'asc' } })).map((row) => row.number);
  const start = openPublisher().publisher;
  await start.start();
  await start.idle();
  expect(await numbers()).toEqual([1n, 1n, 1n]);
  const [serial] = (await leaves(1)) as [Buffer];
  await changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW });
  await longAgo();
  const again = openPublisher().publisher;
  await again.start();
  await again.idle();
  expect(await numbers()).toEqual([2n, 1n, 2n]);
});

test('CrlPublisher: two processes told of the same change make one list of it', async () => {
  const [serial] = (await leaves(1)) as [Buffer];
  await publish(1);
  await publish(COMPLETE);
  const [a, b] = [openPublisher(), openPublisher()];
  for (const { publisher } of [a, b]) {
    await publisher.start();
    await publisher.idle();
  }
  const changed = await changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW });
  await longAgo();
  for (const { signals } of [a, b]) signals.changed([changed]);
  await Promise.all([a.publisher.idle(), b.publisher.idle()]);
  expect((await database.db.crl.findMany({ where: { issuerId, shard: { not: 0 } } })).map((row) => row.number)).toEqual([2n, 2n]);
});

test('CrlStore: a list published elsewhere is served after its next look; numbers never go back; unknown lists are refused', async () => {
  let at = 0;
  const clock = { now: () => FIXED_NOW, monotonicMs: () => at };
  const crls: CrlStore = createCrlStore({ ...authority, clock });
  const name = { issuerId, shard: COMPLETE };
  await expect(crls.get(name)).rejects.toMatchObject({ code: 'authority-not-found' });
  await expect(crls.get({ issuerId: 'nobody', shard: 0 })).rejects.toMatchObject({ code: 'authority-not-found' });
  await publish();
  expect((await crls.get(name)).number).toBe(1n);
  const second = await publish();
  expect((await crls.get(name)).number).toBe(1n);
  at = 1_000;
  const served = await crls.get(name);
  expect(served.number).toBe(2n);
  expect(served.content.bytes?.equals(second.der)).toBe(true);
  expect(served.etag).not.toBe((await crls.get(name)).etag.replace('2-', '1-'));
  await crls.put(name, { ...second, number: 1n });
  expect((await crls.get(name)).number).toBe(2n);
});

test('CrlStore: while the database is away the last list is served, and a process that has none says so', async () => {
  await publish();
  let at = 0;
  const db = connect(database.serviceUrl, { maxConnections: 1, statementTimeoutMs: 5_000, applicationName: 'away' });
  await db.$connect();
  const crls = createCrlStore({ db, log: authority.log, clock: { now: () => FIXED_NOW, monotonicMs: () => at } });
  const name = { issuerId, shard: COMPLETE };
  await crls.get(name);
  await db.$disconnect();
  at = 5_000;
  expect((await crls.get(name)).number).toBe(1n);
  await expect(crls.get({ issuerId, shard: 0 })).rejects.toThrow('pool');
});

test('publishStale: one pace over all publishers, by the clock of the database; a clock that was set back holds up nothing', async () => {
  const [odd, other] = (await leaves(1, 3)) as [Buffer, Buffer];
  const name = { issuerId, shard: 1 };
  const asked: unknown[] = [];
  const paced = async () => {
    const { list, waitMs } = await publishStale(needs(), TEST_ORIGIN, name, (last) => {
      asked.push(last.entries);
      return 60_000;
    });
    return [list?.number, waitMs > 10_000 && waitMs <= 60_000] as const;
  };
  expect(await paced()).toEqual([1n, false]);
  expect(await paced()).toEqual([undefined, false]);
  await changeStatus(database.db, { kind: 'revoked', serial: odd, at: FIXED_NOW });
  expect(await paced()).toEqual([undefined, true]);
  await longAgo();
  expect(await paced()).toEqual([2n, false]);
  await changeStatus(database.db, { kind: 'revoked', serial: other, at: FIXED_NOW });
  await database.ownerDb.$executeRaw`UPDATE crls SET stored_at = stored_at + interval '10 minutes'`;
  expect(await paced()).toEqual([3n, false]);
  expect(asked).toEqual([0, 0]);
});

test('CrlPublisher: what may not be published yet is published later by itself, and at once when the process ends', async () => {
  const serials = (await leaves(1, 3, 5)) as [Buffer, Buffer, Buffer];
  const { signals, publisher } = openPublisher();
  await publisher.start();
  await publisher.idle();
  await longAgo();
  for (const serial of serials) {
    signals.changed([await changeStatus(database.db, { kind: 'revoked', serial, at: FIXED_NOW })]);
    // Somebody else's list of something else meanwhile: time for the first one to come out.
    await publish(0);
  }
  await publisher.close();
  const stored = await database.db.crl.findMany({ where: { issuerId, shard: { not: 0 } }, orderBy: { shard: 'asc' } });
  expect(stored.map(({ shard, entries }) => [shard, entries])).toEqual([[COMPLETE, 3], [1, 3]]);
  // The first, that at the leading edge, that at the end; not one a change.
  for (const { number } of stored) expect(number).toBeLessThanOrEqual(3n);
});

test('a list of many parts: stored, read back, kept in a file and served as one, while it is replaced too', async () => {
  const [model] = (await leaves(0)) as [Buffer];
  const count = 180_000;
  // On the list without a row each of `certificates`: what a restored database carries over is read the same way.
  await database.ownerDb.$executeRaw`
    INSERT INTO carried_revocations (serial, issuer_id, shard, reason, revoked_at, not_after)
    SELECT substr(${model}::bytea, 1, 4) || substr(sha256(int4send(n)), 1, 16), ${issuerId}, 0, 1, ${FIXED_NOW}, ${later(HOUR)} FROM generate_series(1, ${count}::int) n`;
  try {
    const list = await publishCrl(needs(), TEST_ORIGIN, { issuerId, shard: COMPLETE, onlyIfStale: false });
    if (!list) throw new Error('nothing was published');
    expect(list.content.bytes).toBeUndefined();
    const der = Buffer.concat(await collect(list.content.read()));
    expect(der).toHaveLength(list.octets);
    expect([...parseCrl(der).entries()]).toHaveLength(count);
    const issuer = file('issuer.pem', authority.authorities.snapshot().active.pem);
    execFileSync('openssl', ['crl', '-in', file('large.pem', encodePem('X509 CRL', der)), '-CAfile', issuer, '-noout'], { stdio: 'pipe' });
    expect(await database.db.crlPart.count({ where: { issuerId, shard: COMPLETE } })).toBeGreaterThan(8);

    // Another process reads it from the database.
    const crls = createCrlStore({ ...authority });
    const served = await crls.get({ issuerId, shard: COMPLETE });
    expect(served.content.bytes).toBeUndefined();
    const reading = served.content.read()[Symbol.asyncIterator]();
    const first = await reading.next();
    await crls.put({ issuerId, shard: COMPLETE }, { ...list, number: list.number + 1n });
    const rest: Buffer[] = [first.value as Buffer];
    for (let next = await reading.next(); !next.done; next = await reading.next()) rest.push(next.value);
    expect(Buffer.concat(rest).equals(der)).toBe(true);
  } finally {
    await database.ownerDb.$executeRaw`TRUNCATE carried_revocations`;
  }
});

async function collect(parts: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const part of parts) all.push(part);
  return all;
}

test('recovery: the list a retired issuer published last is still served, those of the others are made anew', async () => {
  await publish();
  const rootId = authority.authorities.snapshot().roots[0]?.id as string;
  await publish(COMPLETE, rootId);
  await database.ownerDb.$executeRaw`UPDATE authority_certificates SET state = 'retired' WHERE id = ${issuerId}`;
  try {
    await recoverRestored({ ownerDb: database.ownerDb, clock: authority.clock, random: authority.random, barrier: noBarrier }, TEST_ORIGIN, [], ['a test']);
    const crls = createCrlStore({ ...authority });
    expect(await crls.get({ issuerId, shard: COMPLETE })).toMatchObject({ number: 1n, nextUpdate: later(14_400_000) });
    await expect(crls.get({ issuerId: rootId, shard: COMPLETE })).rejects.toMatchObject({ code: 'authority-not-found' });
    expect((await publish(COMPLETE, rootId)).number).toBeGreaterThan(1_000_000n);
  } finally {
    await database.ownerDb.$executeRaw`UPDATE authority_certificates SET state = 'active' WHERE id = ${issuerId}`;
    // It may have been looked at meanwhile.
    await authority.authorities.reload();
  }
});

test('a list that ends before an older one does not shorten the time in which that may be believed', async () => {
  const [serial = Buffer.alloc(0)] = await leaves(2);
  const short = { ...authority.config, crlValiditySeconds: 3_600, crlIntervalSeconds: 1_200 };
  const publishShort = () => publishCrl({ ...needs(), config: short }, TEST_ORIGIN, { issuerId, shard: COMPLETE, onlyIfStale: false });
  authority.clock.set(later(50 * HOUR));
  const long = await publish();
  expect(long.nextUpdate).toEqual(later(54 * HOUR));
  authority.clock.set(later(51.5 * HOUR));
  await publishShort();
  await changeStatus(database.db, { kind: 'revoked', serial, at: later(51.6 * HOUR), reason: 1 });
  const crlBy = async () => (await findEventView(database.db, 1n, { now: later(51.7 * HOUR), crlValidityMs: short.crlValiditySeconds * 1000, keptSince: later(0) }))?.crlBy;
  // The list in force lacks it; then there is one that has it.
  expect(await crlBy()).toEqual(long.nextUpdate);
  authority.clock.set(later(51.7 * HOUR));
  await publishShort();
  expect(await crlBy()).toEqual(long.nextUpdate);
  // Nothing was published for longer than a list is valid now.
  await changeStatus(database.db, { kind: 'held', serial, at: later(60 * HOUR) });
  authority.clock.set(later(60 * HOUR));
  await publishShort();
  expect((await findEventView(database.db, 2n, { now: later(60 * HOUR), crlValidityMs: short.crlValiditySeconds * 1000, keptSince: later(0) }))?.crlBy).toEqual(long.nextUpdate);
});

test('recovery: what the lost world published last may be believed for as long as a list is valid, from then on', async () => {
  const { nextUpdate, thisUpdate } = await publish();
  const latestEnd = async () => {
    const [row] = await database.ownerDb.$queryRaw<{ at: Date; until: Date | null }[]>`SELECT latest_end AS at, next_update AS until FROM crls WHERE issuer_id = ${issuerId} AND shard = ${COMPLETE}`;
    return row;
  };
  expect(await latestEnd()).toEqual({ at: nextUpdate, until: nextUpdate });
  const earliest = Date.now() + nextUpdate.getTime() - thisUpdate.getTime();
  await recoverRestored({ ownerDb: database.ownerDb, clock: authority.clock, random: authority.random, barrier: noBarrier }, TEST_ORIGIN, [], ['a test']);
  const after = await latestEnd();
  expect(after?.until).toBeNull();
  // The database's clock need not agree to the second.
  expect(after?.at.getTime()).toBeGreaterThanOrEqual(Math.max(nextUpdate.getTime(), earliest - 60_000));
  // A list after it that ends earlier does not take that back.
  authority.clock.set(later(60_000));
  await publish();
  expect((await latestEnd())?.at.getTime()).toBeGreaterThanOrEqual(after?.at.getTime() ?? Infinity);
});
