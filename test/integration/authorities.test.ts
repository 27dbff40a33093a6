import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { bootstrapAuthority } from '../../src/authorities/bootstrap.ts';
import { renewDueResponders } from '../../src/authorities/renew-responder.ts';
import { renewFeedKeyIfDue } from '../../src/authorities/renew-feed-key.ts';
import { renewTlsIfDue } from '../../src/authorities/renew-tls.ts';
import { retireAuthorities } from '../../src/authorities/retire.ts';
import { rolloverRoot } from '../../src/authorities/rollover-root.ts';
import { rotateIssuer } from '../../src/authorities/rotate-issuer.ts';
import { spiffeBundle, trustBundlePem } from '../../src/authorities/trust-bundle.ts';
import { noBarrier } from '../../src/core/barrier.ts';
import { SignetError } from '../../src/core/errors.ts';
import { liveAuthorities, lockAuthorityChanges } from '../../src/db/authorities.ts';
import { inTransaction } from '../../src/db/client.ts';
import { listAuditViews } from '../../src/db/views/audit.ts';
import { listAuthorityViews } from '../../src/db/views/authorities.ts';
import { dueLists } from '../../src/db/retention.ts';
import { MAX_LEAF_SECONDS } from '../../src/profiles/profile.ts';
import { publishCrl } from '../../src/revocation/crl/publish-crl.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { openTestAuthority, TEST_ORIGIN, type TestAuthority } from '../support/authority.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

const folder = mkdtempSync(join(tmpdir(), 'signet-authorities-'));
afterAll(() => rmSync(folder, { recursive: true }));

let database: TestDatabase;
const open: TestAuthority[] = [];
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.authorities.close();
  await database.drop();
});

async function replica(options: Parameters<typeof openTestAuthority>[1] = {}): Promise<TestAuthority> {
  const one = await openTestAuthority(database, options);
  open.push(one);
  return one;
}

const states = async (ctx: TestAuthority, kind: string) =>
  (await listAuthorityViews(ctx.db)).filter((view) => view.kind === kind).map((view) => view.state);

async function auditKinds(ctx: TestAuthority): Promise<string[]> {
  return (await ctx.db.auditEvent.findMany({ orderBy: { n: 'asc' }, select: { kind: true } })).map((row) => row.kind);
}

/** Publishes every list that was never published, as the publisher does. */
async function publishFirstLists(ctx: TestAuthority): Promise<void> {
  for (const name of await dueLists(ctx.db, { now: new Date(0), intervalSeconds: 0, databaseNow: undefined })) await publishCrl({ ...ctx, barrier: noBarrier }, TEST_ORIGIN, { ...name, onlyIfStale: false });
}

async function prepareAndActivate(ctx: TestAuthority): Promise<void> {
  await rotateIssuer(ctx, TEST_ORIGIN, 'prepare');
  await publishFirstLists(ctx);
  await rotateIssuer(ctx, TEST_ORIGIN, 'activate');
}

/** Waits until `count` sessions of this database wait for a lock, on a connection of its own. */
async function untilWaiting(count: number): Promise<void> {
  for (let waiting = 0; waiting < count; ) {
    const [row] = await database.db.$queryRaw<{ waiting: bigint }[]>`
      SELECT count(DISTINCT l.pid) AS waiting FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE NOT l.granted AND a.datname = current_database()`;
    waiting = Number(row?.waiting ?? 0n);
  }
}

/** Runs contenders so that all have decided what to do before any can write: the worst moment, every time. */
async function allAtOnce<T>(contenders: (() => Promise<T>)[]): Promise<PromiseSettledResult<T>[]> {
  const { promise, resolve } = Promise.withResolvers<PromiseSettledResult<T>[]>();
  await inTransaction(database.ownerDb, async (tx) => {
    await tx.$executeRaw`LOCK TABLE authority_certificates IN EXCLUSIVE MODE`;
    void Promise.allSettled(contenders.map((contend) => contend())).then(resolve);
    await untilWaiting(contenders.length);
  });
  return promise;
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** What openssl says of a chain at the authority's time; throws what it says when it refuses. */
function opensslVerify(ctx: TestAuthority, chain: { roots: string; untrusted: string; leaf: string; purpose?: string }): string {
  const purpose = chain.purpose === undefined ? [] : ['-purpose', chain.purpose];
  const untrusted = chain.untrusted === '' ? [] : ['-untrusted', file('untrusted.pem', chain.untrusted)];
  const at = String(Math.floor(ctx.clock.now().getTime() / 1000));
  return execFileSync(
    'openssl',
    ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-attime', at, ...purpose, '-CAfile', file('roots.pem', chain.roots), ...untrusted, file('leaf.pem', chain.leaf)],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  );
}

const pem = (der: Buffer) => encodePem('CERTIFICATE', der);

describe('first start', () => {
  test('makes root, issuer, responder and TLS certificate once; later starts find them', async () => {
    const ctx = await replica();
    const before = await liveAuthorities(ctx.db);
    expect(before.map(({ kind, state }) => `${kind} ${state}`)).toEqual(expect.arrayContaining(['root active', 'issuing active', 'ocsp active', 'tls active']));
    expect(before).toHaveLength(5);
    expect(await ctx.db.crl.findMany({ select: { shard: true, number: true } })).toEqual([{ shard: -1, number: 0n }, { shard: -1, number: 0n }]);
    expect(await auditKinds(ctx)).toEqual(Array(5).fill('authority.created'));
    expect(await ctx.db.cluster.findFirst()).toMatchObject({ trustDomain: ctx.config.trustDomain, epoch: 1 });

    const again = await bootstrapAuthority(ctx);
    expect(again).toEqual({ created: false, rootFingerprint: before.find(({ kind }) => kind === 'root')?.fingerprint.toString('hex') });
    expect(await liveAuthorities(ctx.db)).toEqual(before);
    expect(await auditKinds(ctx)).toHaveLength(5);
  });

  test('replicas that start at the same instant make one authority, even without the start lock', async () => {
    const { keyStore, config, db, clock, random, log } = await replica();
    await database.db.$executeRaw`DELETE FROM crls`;
    await database.db.$executeRaw`DELETE FROM authority_certificates`;
    await database.db.$executeRaw`DELETE FROM cluster`;
    const made = await allAtOnce(Array.from({ length: 4 }, () => () => bootstrapAuthority({ config, db, keyStore, clock, random, log })));
    const values = made.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
    expect(values.map((value) => value?.created).toSorted()).toEqual([false, false, false, true]);
    expect(new Set(values.map((value) => value?.rootFingerprint)).size).toBe(1);
    expect(await liveAuthorities(db)).toHaveLength(5);
  });

  test('a database of another trust domain is refused', async () => {
    await replica();
    await expect(openTestAuthority(database, { env: { SIGNET_TRUST_DOMAIN: 'other.example' } })).rejects.toMatchObject({ name: 'StartupError', exitCode: 78 });
  });

  test.each(['ecdsa-p256', 'ecdsa-p384', 'ed25519'])('%s: openssl takes every certificate for its purpose', async (algorithm) => {
    const ctx = await replica({ env: { SIGNET_AUTHORITY_KEY_ALGORITHM: algorithm, SIGNET_API_URL: 'https://ca.example.test', SIGNET_CRL_SHARDS: '4' } });
    const { active, activeRoot, roots, tls, responderFor, chainFor } = ctx.authorities.snapshot();
    const trusted = roots.map((root) => root.pem).join('');
    expect(opensslVerify(ctx, { roots: trusted, untrusted: '', leaf: active.pem })).toContain('OK');
    const responder = responderFor(active.id);
    if (!responder || !tls) throw new Error('no responder or TLS certificate');
    expect(opensslVerify(ctx, { roots: trusted, untrusted: active.pem, leaf: pem(responder.der), purpose: 'ocsphelper' })).toContain('OK');
    expect(opensslVerify(ctx, { roots: trusted, untrusted: active.pem, leaf: tls.certificateChainPem, purpose: 'sslserver' })).toContain('OK');
    const text = execFileSync('openssl', ['x509', '-noout', '-ext', 'subjectAltName', '-in', file('tls.pem', tls.certificateChainPem)], { encoding: 'utf8' });
    for (const name of ['DNS:ca.example.test', 'DNS:localhost', 'IP Address:127.0.0.1', 'IP Address:0:0:0:0:0:0:0:1']) expect(text).toContain(name);
    expect(chainFor(active.id)).toEqual([active.der]);
    expect(active.issuerId).toBe(activeRoot.id);
    expect(active.shardCount).toBe(4);
    expect(await ctx.db.crl.count({ where: { issuerId: active.id } })).toBe(5);
  });

  test('nothing is valid before its issuer, ends after it, or counts its life from the back-dated start', async () => {
    const ctx = await replica();
    const now = ctx.clock.now().getTime();
    const records = await liveAuthorities(ctx.db);
    const days = { root: 3650, issuing: 365, ocsp: 7, tls: 30, feed: 7, cross: 0 };
    for (const record of records) {
      expect(record.notBefore.getTime()).toBe(now - 3_600_000);
      expect(record.notAfter.getTime()).toBe(now + days[record.kind] * 86_400_000);
    }
  });

  test('name constraints stand in the issuing certificate only when configured', async () => {
    const ctx = await replica({ env: { SIGNET_NAME_CONSTRAINTS: 'critical' } });
    const { active } = ctx.authorities.snapshot();
    const text = execFileSync('openssl', ['x509', '-noout', '-ext', 'nameConstraints', '-in', file('issuer.pem', active.pem)], { encoding: 'utf8' });
    expect(text).toMatch(/critical[\s\S]*URI:signet\.internal/);
  });
});

describe('issuer rotation', () => {
  const code = (expected: string) => expect.objectContaining({ code: expected }) as unknown;

  test('shards are fixed when an issuer is made: after more were configured, a rotation brings them, and the old issuer keeps its lists', async () => {
    const before = (await replica()).authorities.snapshot().active;
    const ctx = await replica({ env: { SIGNET_CRL_SHARDS: '8' } });
    ctx.clock.advance(300);
    await prepareAndActivate(ctx);
    await ctx.authorities.reload();
    const snapshot = ctx.authorities.snapshot();
    expect([snapshot.active.shardCount, snapshot.issuerById(before.id)?.shardCount]).toEqual([8, 1]);
    const published = await ctx.db.crl.groupBy({ by: ['issuerId'], where: { number: { gt: 0 } }, _count: true });
    expect(published).toEqual(expect.arrayContaining([expect.objectContaining({ issuerId: before.id, _count: 1 }), expect.objectContaining({ issuerId: snapshot.active.id, _count: 9 })]));
  });

  test('prepare, activate: each step only in its place, and not before the lists are published', async () => {
    const ctx = await replica();
    const first = ctx.authorities.snapshot().active;
    await expect(rotateIssuer(ctx, TEST_ORIGIN, 'activate')).rejects.toEqual(code('authority-state-conflict'));
    ctx.clock.advance(300);
    await rotateIssuer(ctx, TEST_ORIGIN, 'auto');
    expect(ctx.authorities.snapshot().active.id).toBe(first.id);
    const prepared = ctx.authorities.snapshot().issuing.find((issuer) => issuer.state === 'prepared');
    expect(ctx.authorities.snapshot().responderFor(prepared?.id ?? '')).toBeDefined();
    await expect(rotateIssuer(ctx, TEST_ORIGIN, 'prepare')).rejects.toEqual(code('authority-state-conflict'));
    await expect(rotateIssuer(ctx, TEST_ORIGIN, 'auto')).rejects.toMatchObject({ code: 'authority-state-conflict', retryAfterSeconds: 15 });

    await publishFirstLists(ctx);
    await rotateIssuer(ctx, TEST_ORIGIN, 'auto');
    const { active, issuing } = ctx.authorities.snapshot();
    expect(active.id).toBe(prepared?.id);
    expect(issuing.map(({ id, state }) => [id, state])).toEqual([[first.id, 'retiring'], [active.id, 'active']]);
    expect((await auditKinds(ctx)).filter((kind) => kind.startsWith('authority.')).slice(5)).toEqual(['authority.change-begun', 'authority.prepared', 'authority.created', 'authority.change-ended', 'authority.activated']);
  });

  test('a change says before that it begins, and after how it ended; one that is cut short is left without an end', async () => {
    const ctx = await replica();
    const told = async () => (await listAuditViews(database.db, {}, { cursor: undefined, limit: 200, scanMax: 1000 })).items.filter(({ kind }) => kind.startsWith('authority.change'));
    const failing = (error: Error): TestAuthority => ({ ...ctx, keyStore: { ...ctx.keyStore, generate: () => Promise.reject(error) } });
    await expect(rolloverRoot(failing(new SignetError('database-unavailable', 'no key store')), TEST_ORIGIN)).rejects.toEqual(code('database-unavailable'));
    const [begun, ended, ...more] = await told();
    expect(more).toEqual([]);
    expect(begun).toMatchObject({ kind: 'authority.change-begun', outcome: 'success', actor: TEST_ORIGIN.actor, detail: { change: 'rollover-root' } });
    expect(ended).toMatchObject({ kind: 'authority.change-ended', outcome: 'failure', target: begun?.target, detail: { change: 'rollover-root', code: 'database-unavailable' } });
    // A process that dies there never comes back from the key store.
    void rolloverRoot({ ...ctx, keyStore: { ...ctx.keyStore, generate: () => new Promise(() => undefined) } }, TEST_ORIGIN);
    while ((await told()).length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await told()).at(-1)).toMatchObject({ kind: 'authority.change-begun' });
    expect(await states(ctx, 'root')).toEqual(['active']);
  });

  test('two operators prepare at once: one wins, the other is told', async () => {
    const ctx = await replica();
    ctx.clock.advance(1);
    const results = await allAtOnce([() => rotateIssuer(ctx, TEST_ORIGIN, 'prepare'), () => rotateIssuer(ctx, TEST_ORIGIN, 'prepare')]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(await states(ctx, 'issuing')).toEqual(['active', 'prepared']);
  });

  test('another replica sees the switch by NOTIFY', async () => {
    const [ctx, other] = [await replica(), await replica({ listen: true })];
    const seen = new Promise<void>((resolve) => other.authorities.subscribe((snapshot) => snapshot.issuing.some(({ state }) => state === 'retiring') && resolve()));
    ctx.clock.advance(1);
    await prepareAndActivate(ctx);
    await seen;
    expect(other.authorities.snapshot().active.id).toBe(ctx.authorities.snapshot().active.id);
  });

  test('the switch waits for the issuance batches in flight', async () => {
    const ctx = await replica();
    ctx.clock.advance(1);
    await rotateIssuer(ctx, TEST_ORIGIN, 'prepare');
    await publishFirstLists(ctx);
    const order: string[] = [];
    let switching = Promise.resolve();
    await inTransaction(database.db, async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock_shared(7305, 1)`;
      switching = rotateIssuer(ctx, TEST_ORIGIN, 'activate').then(() => void order.push('switched'));
      const waiting = untilWaiting(1).then(() => true);
      // Without the gate the switch would be over at once, and nobody would ever wait.
      expect(await Promise.race([waiting, switching.then(() => false)])).toBe(true);
      order.push('batch committed');
    });
    await switching;
    expect(order).toEqual(['batch committed', 'switched']);
  });

  test('a retiring issuer keeps its responder until its last leaf must be dead, then goes, without a look at the certificates', async () => {
    const ctx = await replica();
    const old = ctx.authorities.snapshot().active;
    await publishFirstLists(ctx);
    ctx.clock.advance(1);
    await prepareAndActivate(ctx);

    // The longest leaf there may be is over seven days after a replica that saw the switch late has signed it.
    const lastLeafEnds = new Date(ctx.clock.now().getTime() + 3_600_000 + MAX_LEAF_SECONDS * 1000);
    ctx.clock.set(new Date(lastLeafEnds.getTime() - 1_000));
    expect(await retireAuthorities(ctx, TEST_ORIGIN)).toEqual([]);
    // Dead, but not yet on one more list.
    ctx.clock.set(new Date(lastLeafEnds.getTime() + 1_000));
    expect(await retireAuthorities(ctx, TEST_ORIGIN)).toEqual([]);
    expect(ctx.authorities.snapshot().responderFor(old.id)).toBeDefined();
    ctx.clock.advance(1);
    // Signet's own TLS certificate still comes from it, and the key of the feed.
    expect(await retireAuthorities(ctx, TEST_ORIGIN)).toEqual([]);
    expect(await renewTlsIfDue(ctx, TEST_ORIGIN)).toBe(true);
    expect(await retireAuthorities(ctx, TEST_ORIGIN)).toEqual([]);
    const feedKey = ctx.authorities.snapshot().feed;
    expect(await renewFeedKeyIfDue(ctx, TEST_ORIGIN)).toBe(true);
    expect(await renewFeedKeyIfDue(ctx, TEST_ORIGIN)).toBe(false);
    expect(ctx.authorities.snapshot().feed?.id).not.toBe(feedKey?.id);
    expect(ctx.authorities.snapshot().feed?.issuerId).toBe(ctx.authorities.snapshot().active.id);
    // Nobody can read certificates now, and so nobody waits for somebody who does.
    await inTransaction(database.ownerDb, async (tx) => {
      await tx.$executeRaw`LOCK TABLE certificates IN ACCESS EXCLUSIVE MODE`;
      expect(await retireAuthorities(ctx, TEST_ORIGIN)).toEqual([old.id]);
    });
    const { issuing, responderFor } = ctx.authorities.snapshot();
    expect(issuing.map(({ id }) => id)).not.toContain(old.id);
    expect(responderFor(old.id)).toBeUndefined();
    expect((await auditKinds(ctx)).at(-1)).toBe('authority.retired');
  });

  test('a root that ends before a new issuer would outlast the active one must be rolled over first', async () => {
    const ctx = await replica({ env: { SIGNET_ROOT_VALIDITY_DAYS: '400', SIGNET_ISSUER_VALIDITY_DAYS: '399' } });
    ctx.clock.advance(2);
    await prepareAndActivate(ctx);
    ctx.clock.advance(1);
    await expect(rotateIssuer(ctx, TEST_ORIGIN, 'prepare')).rejects.toEqual(code('authority-state-conflict'));
  });

  test('an expired issuer signs nothing', async () => {
    const ctx = await replica();
    ctx.clock.advance(365);
    expect(() => ctx.authorities.snapshot().active).toThrow(SignetError);
  });
});

describe('root rollover', () => {
  test('both roots are trusted, and each alone leads to the new issuer', async () => {
    const ctx = await replica();
    const before = ctx.authorities.snapshot();
    ctx.clock.advance(30);
    await rolloverRoot(ctx, TEST_ORIGIN);
    const { roots, activeRoot, issuing, bundleSequence } = ctx.authorities.snapshot();
    expect(roots.map(({ state }) => state)).toEqual(['active', 'prepared']);
    expect(activeRoot.id).toBe(before.activeRoot.id);
    expect(bundleSequence).toBeGreaterThan(before.bundleSequence);
    const next = issuing.find(({ state }) => state === 'prepared');
    expect(next?.issuerId).toBe(roots[1]?.id);
    await expect(rolloverRoot(ctx, TEST_ORIGIN)).rejects.toMatchObject({ code: 'authority-state-conflict' });

    await publishFirstLists(ctx);
    await rotateIssuer(ctx, TEST_ORIGIN, 'activate');
    expect(await renewTlsIfDue(ctx, TEST_ORIGIN)).toBe(true);
    const after = ctx.authorities.snapshot();
    expect(after.roots.map(({ state }) => state)).toEqual(['retiring', 'active']);
    expect(after.active.id).toBe(next?.id);
    const chain = after.chainFor(after.active.id);
    expect(chain).toHaveLength(2);
    const untrusted = chain.map(pem).join('');
    const leaf = after.tls?.certificateChainPem ?? '';
    for (const root of after.roots) expect(opensslVerify(ctx, { roots: root.pem, untrusted, leaf, purpose: 'sslserver' })).toContain('OK');
    // Without the cross certificate the old root alone leads nowhere: the test can fail.
    expect(() => opensslVerify(ctx, { roots: after.roots[0]?.pem ?? '', untrusted: after.active.pem, leaf })).toThrow();
    expect((await auditKinds(ctx)).filter((kind) => kind === 'authority.cross-signed')).toHaveLength(1);
  });

  test('the old root goes at its end, and its cross certificate with it', async () => {
    const ctx = await replica({ env: { SIGNET_ROOT_VALIDITY_DAYS: '400' } });
    const [old] = ctx.authorities.snapshot().roots;
    ctx.clock.advance(100);
    await rolloverRoot(ctx, TEST_ORIGIN);
    await publishFirstLists(ctx);
    await rotateIssuer(ctx, TEST_ORIGIN, 'activate');
    await renewTlsIfDue(ctx, TEST_ORIGIN);
    await renewFeedKeyIfDue(ctx, TEST_ORIGIN);
    ctx.clock.advance(299);
    await retireAuthorities(ctx, TEST_ORIGIN);
    const { bundleSequence } = ctx.authorities.snapshot();
    expect(ctx.authorities.snapshot().roots).toHaveLength(2);
    ctx.clock.advance(1);
    expect(await retireAuthorities(ctx, TEST_ORIGIN)).toEqual([old?.id]);
    const after = ctx.authorities.snapshot();
    expect(after.roots.map(({ state }) => state)).toEqual(['active']);
    expect(after.chainFor(after.active.id)).toEqual([after.active.der]);
    expect(after.bundleSequence).toBeGreaterThan(bundleSequence);
  });

  test('trust bundle: all living roots as PEM, and as a SPIFFE bundle with one certificate a key', async () => {
    const ctx = await replica();
    ctx.clock.advance(1);
    await rolloverRoot(ctx, TEST_ORIGIN);
    const snapshot = ctx.authorities.snapshot();
    expect(trustBundlePem(snapshot).match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const bundle = spiffeBundle(snapshot);
    expect(bundle).toMatchObject({ spiffe_sequence: 2, spiffe_refresh_hint: 300 });
    expect(bundle.keys.map(({ x5c }) => x5c)).toEqual(snapshot.roots.map((root) => [root.der.toString('base64')]));
    for (const key of bundle.keys) expect(Object.keys(key).toSorted()).toEqual(['crv', 'kty', 'use', 'x', 'x5c', 'y']);
  });
});

describe('responders and TLS', () => {
  test('a responder is renewed after half of its life, not before, once for all replicas', async () => {
    const [ctx, other] = [await replica(), await replica()];
    ctx.clock.advance(3.4);
    expect(await renewDueResponders(ctx, TEST_ORIGIN)).toBe(0);
    ctx.clock.advance(0.1);
    other.clock.set(ctx.clock.now());
    const issuer = ctx.authorities.snapshot().active;
    const old = ctx.authorities.snapshot().responderFor(issuer.id);
    const renewed = await allAtOnce([ctx, other].map((one) => () => renewDueResponders(one, TEST_ORIGIN)));
    expect(renewed.map((result) => (result.status === 'fulfilled' ? result.value : undefined)).toSorted()).toEqual([0, 1]);
    await Promise.all([ctx, other].map(({ authorities }) => authorities.reload()));
    const current = ctx.authorities.snapshot().responderFor(issuer.id);
    expect(current?.id).not.toBe(old?.id);
    expect(other.authorities.snapshot().responderFor(issuer.id)?.id).toBe(current?.id);
    expect((await states(ctx, 'ocsp')).toSorted()).toEqual(['active', 'retired']);
  });

  test('a responder that ends with its issuer is left alone', async () => {
    const ctx = await replica();
    ctx.clock.advance(364);
    expect(await renewDueResponders(ctx, TEST_ORIGIN)).toBe(1);
    const { active, responderFor } = ctx.authorities.snapshot();
    expect(responderFor(active.id)?.notAfter).toEqual(active.notAfter);
    ctx.clock.advance(0.9);
    expect(await renewDueResponders(ctx, TEST_ORIGIN)).toBe(0);
  });

  test('the TLS certificate is renewed after half of its life', async () => {
    const ctx = await replica();
    ctx.clock.advance(14.9);
    expect(await renewTlsIfDue(ctx, TEST_ORIGIN)).toBe(false);
    ctx.clock.advance(0.1);
    expect(await renewTlsIfDue(ctx, TEST_ORIGIN)).toBe(true);
    expect(await renewTlsIfDue(ctx, TEST_ORIGIN)).toBe(false);
    expect((await auditKinds(ctx)).slice(-3)).toEqual(['authority.change-begun', 'authority.tls-renewed', 'authority.change-ended']);
  });

  test('replicas with different names settle on one TLS certificate with all of them', async () => {
    const one = await replica({ env: { SIGNET_API_LISTEN: '10.0.0.1:8443' } });
    const two = await replica({ env: { SIGNET_API_LISTEN: '10.0.0.2:8443' } });
    one.clock.advance(1);
    two.clock.advance(1);
    expect(await renewTlsIfDue(two, TEST_ORIGIN)).toBe(true);
    expect(await renewTlsIfDue(one, TEST_ORIGIN)).toBe(false);
    expect(await renewTlsIfDue(two, TEST_ORIGIN)).toBe(false);
    const names = two.authorities.snapshot().tls?.certificate.subjectAlternativeName;
    expect(names?.ipAddresses).toEqual(expect.arrayContaining(['10.0.0.1', '10.0.0.2', '127.0.0.1']));
  });
});

describe('the view of a replica', () => {
  test('without NOTIFY the poll finds a change within its two seconds', async () => {
    const [ctx, deaf] = [await replica(), await replica()];
    const { promise, resolve } = Promise.withResolvers<void>();
    deaf.authorities.subscribe(() => resolve());
    ctx.clock.advance(1);
    await rotateIssuer(ctx, TEST_ORIGIN, 'prepare');
    await promise;
    expect(deaf.authorities.snapshot().issuing).toHaveLength(2);
  });

  test('reload: callers during a read get one that starts after their call', async () => {
    const ctx = await replica();
    let changed = Promise.resolve();
    await inTransaction(database.db, async (tx) => {
      await lockAuthorityChanges(tx);
      await tx.$executeRaw`UPDATE authority_certificates SET state = 'retired' WHERE kind IN ('tls', 'feed')`;
      // Both read what was before: the change is not committed.
      changed = Promise.all([ctx.authorities.reload(), ctx.authorities.reload()]).then(() => undefined);
      await changed;
      expect(ctx.authorities.snapshot().tls).toBeDefined();
    });
    await Promise.all([ctx.authorities.reload(), ctx.authorities.reload(), ctx.authorities.reload()]);
    expect(ctx.authorities.snapshot().tls).toBeUndefined();
  });

  test('a failed read leaves the last snapshot in use', async () => {
    const ctx = await replica();
    const before = ctx.authorities.snapshot();
    await database.ownerDb.$executeRawUnsafe('ALTER TABLE authority_certificates RENAME TO gone');
    await expect(ctx.authorities.reload()).rejects.toThrow();
    expect(ctx.authorities.snapshot()).toBe(before);
    await database.ownerDb.$executeRawUnsafe('ALTER TABLE gone RENAME TO authority_certificates');
    await ctx.authorities.reload();
  });

  test('an issuer signs lists and linted certificates, and nothing else', async () => {
    const ctx = await replica();
    const { active } = ctx.authorities.snapshot();
    for (const parts of [[active.certificate.tbs], [], [Buffer.alloc(0)]]) await expect(active.signCrl(Readable.from(parts))).rejects.toMatchObject({ code: 'internal' });
  });

  test('metrics: notAfter of everything in force, and of nothing that is gone', async () => {
    const ctx = await replica();
    ctx.clock.advance(15);
    await renewTlsIfDue(ctx, TEST_ORIGIN);
    await renewFeedKeyIfDue(ctx, TEST_ORIGIN);
    const text = await ctx.metrics.text();
    expect(text.match(/signet_authority_not_after_timestamp_seconds\{kind="tls"/g)).toHaveLength(1);
    expect(text.match(/signet_authority_not_after_timestamp_seconds\{/g)).toHaveLength(5);
  });
});
