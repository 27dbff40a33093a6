import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createRevocationSignals } from '../../src/revocation/signals.ts';
import { alone } from '../../src/core/siblings.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Context } from '../../src/context.ts';
import { configSchema } from '../../src/config/schema.ts';
import { noBarrier } from '../../src/core/barrier.ts';
import { takeLease } from '../../src/db/job-runs.ts';
import { listPartitions } from '../../src/db/partitions.ts';
import { listAuditViews } from '../../src/db/views/audit.ts';
import { deleteDeadInstances } from '../../src/db/retention.ts';
import { dailyTimes } from '../../src/jobs/cron.ts';
import type { Job } from '../../src/jobs/job.ts';
import { listJobs } from '../../src/jobs/list-jobs.ts';
import { MAX_ATTEMPTS, runExclusive } from '../../src/jobs/run-exclusive.ts';
import { runAtStart } from '../../src/jobs/run-at-start.ts';
import { JOBS } from '../../src/jobs/schedule.ts';
import { startJobs, type RunningJobs } from '../../src/jobs/start-jobs.ts';
import { bucketOf } from '../../src/x509/serial.ts';
import { movableClock, openTestAuthority, type MovableClock } from '../support/authority.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';
import { LEAF_AGENT, LEAF_INSTANCE, leafSerial, storeLeaves } from '../support/leaves.ts';

let database: TestDatabase;
const closing: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await database.drop();
});

async function replica(clock: MovableClock = movableClock(), env: Record<string, string> = {}): Promise<Context & { clock: MovableClock }> {
  const authority = await openTestAuthority(database, { clock, env });
  closing.push(() => authority.authorities.close());
  return { ...authority, signals: createRevocationSignals(), siblings: alone, metrics: createMetrics(), barrier: noBarrier, crls: { put: () => undefined } } as unknown as Context & { clock: MovableClock };
}

function start(ctx: Context, jobs?: readonly Job[]): RunningJobs {
  const running = jobs === undefined ? startJobs(ctx) : startJobs(ctx, jobs);
  closing.push(() => running.stop());
  return running;
}

/** A job that notes when it ran, by the bucket its row names. */
function noted(overrides: Partial<Job> = {}): { job: Job; runs: () => number } {
  let count = 0;
  const job: Job = {
    name: 'noted',
    cron: '0 * * * *',
    backfill: 2,
    run: () => {
      count++;
      return Promise.resolve();
    },
    ...overrides,
  };
  return { job, runs: () => count };
}

const rows = () => database.db.jobRun.findMany({ orderBy: [{ job: 'asc' }, { bucket: 'asc' }] });
const expireLeases = () => database.db.$executeRaw`UPDATE job_runs SET lease_until = clock_timestamp() - interval '1 second'`;

describe('run-exclusive', () => {
  test('of many runners of one bucket exactly one runs', async () => {
    const ctx = await replica();
    const { job, runs } = noted();
    const results = await Promise.all(Array.from({ length: 8 }, (_, i) => runExclusive(ctx, job, FIXED_NOW, `holder-${i}`)));
    expect(results.toSorted()).toEqual(['succeeded', ...Array<string>(7).fill('taken')]);
    expect(runs()).toBe(1);
    expect(await runExclusive(ctx, job, FIXED_NOW, 'later')).toBe('taken');
  });

  test('a crashed runner holds the bucket until its lease has run out, and no longer', async () => {
    const ctx = await replica();
    const { job, runs } = noted();
    await takeLease(ctx.db, { job: job.name, bucket: FIXED_NOW }, { holder: 'crashed', leaseSeconds: 60, maxAttempts: 5 });
    expect(await runExclusive(ctx, job, FIXED_NOW, 'other')).toBe('taken');
    await expireLeases();
    expect(await runExclusive(ctx, job, FIXED_NOW, 'other')).toBe('succeeded');
    expect(runs()).toBe(1);
    expect(await rows()).toMatchObject([{ holder: 'other', attempts: 2, outcome: 'succeeded' }]);
  });

  test('a failure is recorded without secrets and tried again only after a wait, at most five times', async () => {
    const ctx = await replica();
    const failing = noted({ run: () => Promise.reject(new Error('no route to postgres://signet:hunter2@db/signet')) }).job;
    expect(await runExclusive(ctx, failing, FIXED_NOW, 'a')).toBe('failed');
    expect(await runExclusive(ctx, failing, FIXED_NOW, 'a')).toBe('taken');
    const [row] = await rows();
    expect(row).toMatchObject({ outcome: 'failed', attempts: 1 });
    expect(row?.error).toContain('no route');
    expect(row?.error).not.toContain('hunter2');
    for (let attempt = 2; attempt <= MAX_ATTEMPTS; attempt++) {
      await expireLeases();
      expect(await runExclusive(ctx, failing, FIXED_NOW, 'a')).toBe('failed');
    }
    await expireLeases();
    expect(await runExclusive(ctx, failing, FIXED_NOW, 'a')).toBe('taken');
    expect(await ctx.metrics.text()).toContain('signet_job_runs_total{job="noted",outcome="failed"} 5');
  });

  test('a runner that lost its lease does not overwrite the record of the one that has it', async () => {
    const ctx = await replica();
    const slow = noted({
      run: async () => {
        await expireLeases();
        expect(await runExclusive(ctx, noted().job, FIXED_NOW, 'second')).toBe('succeeded');
        throw new Error('too late');
      },
    }).job;
    await runExclusive(ctx, slow, FIXED_NOW, 'first');
    expect(await rows()).toMatchObject([{ holder: 'second', outcome: 'succeeded', error: null }]);
  });
});

describe('schedule', () => {
  test('missed buckets are back-filled, oldest first and no more than the job wants', async () => {
    const ctx = await replica(movableClock(new Date('2026-11-21T00:30:00Z')));
    const { job } = noted();
    const jobs = start(ctx, [job]);
    await jobs.tick();
    expect((await rows()).map(({ bucket }) => bucket.toISOString())).toEqual(['2026-11-21T00:00:00.000Z']);
    ctx.clock.set(new Date('2026-11-21T09:30:00Z'));
    await jobs.tick();
    expect((await rows()).map(({ bucket }) => bucket.toISOString().slice(11, 16))).toEqual(['00:00', '07:00', '08:00', '09:00']);
    await jobs.tick();
    expect(await rows()).toHaveLength(4);
  });

  test('two replicas share the buckets: each runs once', async () => {
    const clock = movableClock(new Date('2026-11-21T00:30:00Z'));
    const [one, two] = [await replica(clock), await replica(clock)];
    const { job, runs } = noted();
    const both = [start(one, [job]), start(two, [job])];
    for (let hour = 1; hour <= 3; hour++) {
      await Promise.all(both.map((jobs) => jobs.tick()));
      clock.set(new Date(Date.UTC(2026, 10, 21, hour, 30)));
    }
    await Promise.all(both.map((jobs) => jobs.tick()));
    const finished = await rows();
    expect(finished.map(({ outcome }) => outcome)).toEqual(Array(finished.length).fill('succeeded'));
    expect(runs()).toBe(finished.length);
  });

  test('a bucket in which nothing is due leaves no run', async () => {
    const ctx = await replica();
    const { job, runs } = noted({ isDue: () => Promise.resolve(false) });
    await start(ctx, [job]).tick();
    expect(runs()).toBe(0);
    expect(await rows()).toEqual([]);
  });

  test('a job that fails does not keep the others from running', async () => {
    const ctx = await replica();
    const good = noted({ name: 'good' });
    const bad = noted({ name: 'bad', run: () => Promise.reject(new Error('bad')) });
    await start(ctx, [bad.job, good.job]).tick();
    expect(good.runs()).toBe(1);
  });

  test('stop: waits for the run under way, then nothing starts', async () => {
    const ctx = await replica();
    const { promise, resolve } = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const { job, runs } = noted({
      run: () => {
        entered.resolve();
        return promise;
      },
    });
    const jobs = startJobs(ctx, [job]);
    await entered.promise;
    const stopped = jobs.stop();
    resolve();
    await stopped;
    expect(await rows()).toMatchObject([{ outcome: 'succeeded' }]);
    ctx.clock.advance(1);
    await jobs.tick();
    expect(runs()).toBe(0);
    expect(await rows()).toHaveLength(1);
  });

  test('the real schedule: every job runs once on a fresh database and is listed with last and next run', async () => {
    const ctx = await replica();
    // Without one of each these jobs have nothing to do and leave no run.
    await database.db.$executeRaw`INSERT INTO idempotency_records (caller, route, key, body_hash, status, created_at, expires_at) VALUES ('c', 'r', 'k', '\\x00', 201, ${new Date(0)}, ${new Date(0)})`;
    await database.db.$executeRaw`INSERT INTO kills (id, selector, target, effect, reason, state, actor_kind, actor_id, created_at, touched_at) VALUES ('k', 'profile', 'none', 'suspend', 'r', 'running', 'admin', 'a', ${new Date(0)}, ${new Date(0)})`;
    await start(ctx).tick();
    const listed = await listJobs(ctx);
    expect(listed.map(({ name }) => name)).toEqual(JOBS.map(({ name }) => name));
    for (const { lastRun, nextRunAt } of listed) {
      expect(lastRun).toMatchObject({ outcome: 'succeeded', attempts: 1, error: null });
      expect(nextRunAt.getTime()).toBeGreaterThan(FIXED_NOW.getTime());
    }
    expect(await ctx.db.crl.count({ where: { number: 1n } })).toBe(2);
    // What a job finishes it finishes for whoever began it.
    const { items } = await listAuditViews(database.db, { kind: 'kill.finished' }, { cursor: undefined, limit: 5, scanMax: 100 });
    expect(items).toMatchObject([{ target: 'k', actor: { kind: 'job', id: 'finish-kills' }, onBehalfOf: { kind: 'admin', id: 'a' }, credential: null }]);
  });
});

describe('jobs', () => {
  const run = async (ctx: Context, name: string) => {
    const job = JOBS.find((candidate) => candidate.name === name);
    if (!job) throw new Error(`no job ${name}`);
    await job.run(ctx, { actor: { kind: 'job', id: name }, requestId: null, source: null }, new AbortController().signal);
  };
  const cleared = (ctx: Context) => ctx.db.auditEvent.findMany({ where: { kind: { in: ['records.cleared', 'join-token.cleared'] } }, select: { target: true, actorId: true } });

  test('publish-crls: publishes what was never published, then each list after its interval', async () => {
    const ctx = await replica();
    const publish = JOBS.find(({ name }) => name === 'publish-crls');
    const numbers = async () => (await ctx.db.crl.findMany({ orderBy: { issuerId: 'asc' } })).map(({ number }) => Number(number));
    expect(await publish?.isDue?.(ctx)).toBe(true);
    await run(ctx, 'publish-crls');
    expect(await numbers()).toEqual([1, 1]);
    expect(await publish?.isDue?.(ctx)).toBe(false);
    ctx.clock.set(new Date(FIXED_NOW.getTime() + ctx.config.crlIntervalSeconds * 1000));
    expect(await publish?.isDue?.(ctx)).toBe(true);
    await run(ctx, 'publish-crls');
    expect(await numbers()).toEqual([2, 2]);
  });

  test('rotate-issuers: prepares, activates and retires by the calendar; a leaf always fits into its issuer', async () => {
    const ctx = await replica();
    const first = ctx.authorities.snapshot().active.id;
    const states = () => ctx.authorities.snapshot().issuing.map(({ state }) => state);
    const day = async (day: number) => {
      ctx.clock.set(new Date(FIXED_NOW.getTime() + day * 86_400_000));
      await run(ctx, 'publish-crls');
      await run(ctx, 'rotate-tls');
      await run(ctx, 'rotate-feed-key');
      await run(ctx, 'rotate-issuers');
    };
    await day(274);
    expect(states()).toEqual(['active']);
    await day(275);
    expect(states()).toEqual(['active', 'prepared']);
    await day(304);
    expect(states()).toEqual(['active', 'prepared']);
    await day(305);
    expect(states()).toEqual(['retiring', 'active']);
    await day(312);
    expect(states()).toEqual(['retiring', 'active']);
    await day(313);
    expect(ctx.authorities.snapshot().issuing.map(({ id }) => id)).not.toContain(first);
    expect(states()).toEqual(['active']);
  });

  test('rotate-issuers: after a standstill longer than the issuer lived one run brings a new one into force', async () => {
    const ctx = await replica();
    ctx.clock.advance(400);
    expect(() => ctx.authorities.snapshot().active).toThrow();
    await runAtStart(ctx);
    const { active, tls, responderFor } = ctx.authorities.snapshot();
    expect(active.notAfter > ctx.clock.now()).toBe(true);
    expect(tls?.issuerId).toBe(active.id);
    expect(responderFor(active.id)).toBeDefined();
  });

  test('partitions: made ahead for the longest leaf, dropped only when no list can still need them', async () => {
    const ctx = await replica(movableClock(), { SIGNET_PARTITION_DAYS_AHEAD: '2' });
    ctx.clock.advance(20);
    const today = bucketOf(ctx.clock.now());
    const buckets = async () => (await listPartitions(ctx.ownerDb)).map(({ bucket }) => bucket);
    await ctx.ownerDb.$executeRawUnsafe(`DROP TABLE certificates_d${today + 3}`);
    const before = await buckets();
    await run(ctx, 'partitions');
    // The service profile lives up to seven days.
    expect(await buckets()).toEqual(expect.arrayContaining(Array.from({ length: 10 }, (_, i) => today + i)));
    // No list was ever published: nothing may go.
    expect(Math.min(...(await buckets()))).toBe(Math.min(...before));
    await run(ctx, 'publish-crls');
    await run(ctx, 'partitions');
    expect(Math.min(...(await buckets()))).toBe(today - 7);
    const kinds = await ctx.db.auditEvent.groupBy({ by: ['kind'], where: { kind: { startsWith: 'partition.' } }, _count: true });
    expect(kinds.map(({ kind }) => kind).toSorted()).toEqual(['partition.created', 'partition.drop-begun', 'partition.dropped']);
  });

  test('clear-join-tokens: only what expired long enough ago', async () => {
    const ctx = await replica();
    await database.db.$executeRaw`INSERT INTO agents (id, name, state, purpose, risk_class, environment, profile, created_at, updated_at) VALUES ('a', 'a', 'proposed', 'p', 'minimal', 'test', 'agent', now(), now())`;
    const token = (id: string, expiresAt: Date) =>
      database.db.$executeRaw`INSERT INTO join_tokens (id, secret_hash, agent_id, created_by, created_at, expires_at) VALUES (${id}, '\\x00', 'a', 'x', ${FIXED_NOW}, ${expiresAt})`;
    await token('young', new Date('2026-12-10T00:00:00Z'));
    await token('old', new Date('2026-11-22T00:00:00Z'));
    ctx.clock.advance(32);
    await run(ctx, 'clear-join-tokens');
    expect((await ctx.db.joinToken.findMany()).map(({ id }) => id)).toEqual(['young']);
    expect(await cleared(ctx)).toEqual([{ target: 'join_tokens', actorId: 'clear-join-tokens' }]);
  });

  test('clear-admin-tokens: what ended long enough ago; warn-of-last-admin: nothing while there is time', async () => {
    const ctx = await replica();
    const token = (id: string, expiresAt: Date) => database.db.adminToken.create({ data: { id, name: id, role: 'admin', secretHash: new Uint8Array(32), createdAt: FIXED_NOW, expiresAt } });
    const days = (count: number) => new Date(FIXED_NOW.getTime() + count * 86_400_000);
    await token('old', days(1));
    await token('young', days(60));
    await token('usable', days(120));
    const said: unknown[] = [];
    const speaking = { ...ctx, log: { ...ctx.log, warn: (text: unknown) => void said.push(text) } } as unknown as typeof ctx;
    ctx.clock.advance(92);
    await run(ctx, 'clear-admin-tokens');
    expect((await ctx.db.adminToken.findMany({ orderBy: { expiresAt: 'asc' } })).map(({ id }) => id)).toEqual(['young', 'usable']);
    expect(await cleared(ctx)).toEqual([{ target: 'admin_tokens', actorId: 'clear-admin-tokens' }]);
    await run(speaking, 'warn-of-last-admin');
    expect(said).toEqual([]);
    ctx.clock.advance(15);
    await run(speaking, 'warn-of-last-admin');
    ctx.clock.advance(15);
    await run(speaking, 'warn-of-last-admin');
    expect(said).toEqual([expect.stringContaining(`the last API token of role admin ends at ${days(120).toISOString()}`), expect.stringContaining('no API token of role admin is usable')]);
  });

  test('clear-idempotency-records, clear-public-keys, clear-feed: only what is over', async () => {
    const ctx = await replica();
    const late = new Date(FIXED_NOW.getTime() + 500 * 86_400_000);
    for (const [key, end] of [['over', FIXED_NOW], ['open', late]] as const) {
      await database.db.$executeRaw`INSERT INTO idempotency_records (caller, route, key, body_hash, status, created_at, expires_at) VALUES ('c', 'r', ${key}, '\\x00', 201, ${FIXED_NOW}, ${end})`;
      await database.db.$executeRaw`INSERT INTO public_keys (key_hash, agent_id, instance_id, first_seen_at, not_after) VALUES (${Buffer.from(key)}, 'a', 'i', ${FIXED_NOW}, ${end})`;
    }
    for (const n of [1, 2]) await database.db.$executeRaw`INSERT INTO feed_events (n, epoch, kind, at) VALUES (${n}, 1, 'agent-retired', ${n === 1 ? FIXED_NOW : late})`;
    ctx.clock.advance(401);
    for (const name of ['clear-idempotency-records', 'clear-public-keys', 'clear-feed']) await run(ctx, name);
    expect((await ctx.db.idempotencyRecord.findMany()).map(({ key }) => key)).toEqual(['open']);
    expect((await ctx.db.publicKey.findMany()).map(({ keyHash }) => Buffer.from(keyHash).toString())).toEqual(['open']);
    expect((await ctx.db.feedEvent.findMany()).map(({ n }) => n)).toEqual([2n]);
    expect(await cleared(ctx)).toHaveLength(3);
    for (const name of ['clear-idempotency-records', 'clear-public-keys', 'clear-feed']) await run(ctx, name);
    expect(await cleared(ctx)).toHaveLength(3);
  });

  test('clear-feed: who acknowledged what is forgotten before the event is', async () => {
    const ctx = await replica();
    const { db } = database;
    const daysLater = (count: number) => new Date(FIXED_NOW.getTime() + count * 86_400_000);
    for (const [n, day] of [[1, 0], [2, 9]] as const) await db.$executeRaw`INSERT INTO feed_events (n, epoch, kind, at) VALUES (${n}, 1, 'agent-retired', ${daysLater(day)})`;
    await db.$executeRaw`INSERT INTO owners (id, email, created_at) VALUES ('o', 'o@example.com', ${FIXED_NOW})`;
    await db.$executeRaw`INSERT INTO relying_parties (id, name, owner_id, may_ask, state, created_at, updated_at) VALUES ('p', 'p', 'o', '{feed}', 'active', ${FIXED_NOW}, ${FIXED_NOW})`;
    await db.$executeRaw`INSERT INTO enforcement_points (id, relying_party_id, name, epoch, lease_n, lease_from, lease_until, applied_n, applied_at, created_at)
      VALUES ('e', 'p', 'gw', 1, 0, ${FIXED_NOW}, ${daysLater(11)}, 2, ${daysLater(9)}, ${FIXED_NOW})`;
    for (const [n, day] of [[1, 0], [2, 9]] as const) await db.$executeRaw`INSERT INTO feed_acknowledgements (enforcement_point_id, n, at) VALUES ('e', ${n}, ${daysLater(day)})`;
    ctx.clock.advance(10);
    await run(ctx, 'clear-feed');
    expect((await db.$queryRaw<{ n: bigint }[]>`SELECT n FROM feed_acknowledgements`).map(({ n }) => n)).toEqual([2n]);
    expect((await db.feedEvent.findMany({ orderBy: { n: 'asc' } })).map(({ n }) => n)).toEqual([1n, 2n]);
  });

  test('a sealed answer is gone 10 minutes after it was given, whenever the job looks', async () => {
    const ctx = await replica();
    const job = JOBS.find(({ name }) => name === 'clear-idempotency-records');
    if (!job) throw new Error('no job');
    const { offsets } = dailyTimes(job.cron);
    const longestWaitMs = Math.max(...offsets.map((offset, i) => (offsets[i + 1] ?? 86_400_000) - offset));
    expect(configSchema.shape.idempotencySecretTtlSeconds.safeParse(600 - longestWaitMs / 1000 + 1).success).toBe(false);
    expect(ctx.config.idempotencySecretTtlSeconds * 1000 + longestWaitMs).toBeLessThan(600_000);

    const expiresAt = new Date(FIXED_NOW.getTime() + ctx.config.idempotencySecretTtlSeconds * 1000);
    await database.db.$executeRaw`INSERT INTO idempotency_records (caller, route, key, body_hash, status, sealed, created_at, expires_at) VALUES ('c', 'r', 'k', '\\x00', 201, true, ${FIXED_NOW}, ${expiresAt})`;
    ctx.clock.set(expiresAt);
    expect(await job.isDue?.(ctx)).toBe(false);
    const jobs = start(ctx, [job]);
    await jobs.tick();
    ctx.clock.set(new Date(FIXED_NOW.getTime() + 599_000));
    await jobs.tick();
    expect(await ctx.db.idempotencyRecord.count()).toBe(0);
  });

  test('clear-findings: what was resolved long enough ago, never what is open', async () => {
    const ctx = await replica();
    const finding = (id: string, resolvedAt: Date | null) => database.db.finding.create({ data: { id, kind: 'copied-key', createdAt: FIXED_NOW, resolvedAt } });
    await finding('open', null);
    await finding('old', FIXED_NOW);
    await finding('young', new Date(FIXED_NOW.getTime() + 2 * 86_400_000));
    ctx.clock.advance(ctx.config.findingRetentionDays + 1);
    await run(ctx, 'clear-findings');
    expect((await ctx.db.finding.findMany({ orderBy: { id: 'asc' } })).map(({ id }) => id)).toEqual(['open', 'young']);
    expect(await cleared(ctx)).toEqual([{ target: 'findings', actorId: 'clear-findings' }]);
  });

  test('clear-instances: only what has no certificate left, no open finding, and did not change for as long as certificates are kept', async () => {
    const ctx = await replica();
    await database.db.$executeRaw`INSERT INTO agents (id, name, state, purpose, risk_class, environment, profile, created_at, updated_at) VALUES (${LEAF_AGENT}, 'a', 'proposed', 'p', 'minimal', 'test', 'agent', now(), now())`;
    const young = new Date(FIXED_NOW.getTime() + 5 * 86_400_000);
    const instance = (id: string, updatedAt: Date) =>
      database.db.$executeRaw`INSERT INTO instances (id, agent_id, state, generation, tip_serial, enrolled_by, created_at, updated_at) VALUES (${id}, ${LEAF_AGENT}, 'active', 1, '\\x00', 'x', ${FIXED_NOW}, ${updatedAt})`;
    for (const id of ['dead', 'suspect', LEAF_INSTANCE]) await instance(id, FIXED_NOW);
    await instance('changed', young);
    const notAfter = new Date(FIXED_NOW.getTime() + 3_600_000);
    await storeLeaves(database.db, 'issuer', [{ serial: leafSerial(notAfter, 1), notAfter }]);
    await database.db.finding.create({ data: { id: 'f', kind: 'copied-key', instanceId: 'suspect', createdAt: FIXED_NOW } });
    const left = async () => (await ctx.db.instance.findMany({ orderBy: { id: 'asc' } })).map(({ id }) => id);
    ctx.clock.advance(ctx.config.certificateRetentionDays);
    await run(ctx, 'clear-instances');
    expect(await left()).toHaveLength(4);
    ctx.clock.advance(1);
    await run(ctx, 'clear-instances');
    expect(await left()).toEqual([LEAF_INSTANCE, 'changed', 'suspect']);
    expect(await cleared(ctx)).toEqual([{ target: 'instances', actorId: 'clear-instances' }]);
    await database.db.certificate.deleteMany();
    await database.db.finding.updateMany({ data: { resolvedAt: young } });
    // One by one: the walk goes on behind those that stay.
    expect(await deleteDeadInstances(database.db, new Date(FIXED_NOW.getTime() + 1), { signal: new AbortController().signal, record: () => Promise.resolve() }, 1)).toBe(2);
    expect(await left()).toEqual(['changed']);
  });

  test('clear-authority-keys: destroys the key of a responder a day after it was retired, and keys without a certificate; what signs goes on', async () => {
    const ctx = await replica();
    const keys = () => ctx.db.keystoreKey.findMany({ orderBy: { createdAt: 'asc' } });
    const orphan = await ctx.keyStore.generate('ecdsa-p256', 'ocsp');
    ctx.clock.advance(4);
    await run(ctx, 'rotate-responders');
    const retired = await ctx.db.authorityCertificate.findFirstOrThrow({ where: { kind: 'ocsp', state: 'retired' } });
    expect(retired.retiredAt).toEqual(ctx.clock.now());
    await run(ctx, 'clear-authority-keys');
    expect((await keys()).map(({ id }) => id)).not.toContain(orphan.id);
    expect((await keys()).every(({ sealedPkcs8 }) => sealedPkcs8 !== null)).toBe(true);

    ctx.clock.advance(1.1);
    const young = await ctx.keyStore.generate('ecdsa-p256', 'ocsp');
    await run(ctx, 'clear-authority-keys');
    expect((await keys()).filter(({ sealedPkcs8 }) => sealedPkcs8 === null).map(({ id }) => id)).toEqual([retired.keyId]);
    expect((await keys()).map(({ id }) => id)).toContain(young.id);
    expect(await cleared(ctx)).toEqual(Array(2).fill({ target: 'keystore_keys', actorId: 'clear-authority-keys' }));
    await run(ctx, 'clear-authority-keys');
    expect(await cleared(ctx)).toHaveLength(2);

    const afresh = await replica(ctx.clock);
    await expect(afresh.keyStore.open(retired.keyId)).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('was destroyed') });
    await run(afresh, 'publish-crls');
    expect(await ctx.db.crl.count({ where: { number: 1n } })).toBe(2);
  });

  test('clear-job-runs: the newest run of a job stays, however old', async () => {
    const ctx = await replica();
    const { job } = noted();
    for (const day of [1, 2]) await runExclusive(ctx, job, new Date(Date.UTC(2026, 0, day)), 'a');
    await run(ctx, 'clear-job-runs');
    expect((await rows()).map(({ bucket }) => bucket.toISOString().slice(0, 10))).toEqual(['2026-01-02']);
  });
});
