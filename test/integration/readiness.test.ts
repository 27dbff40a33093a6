import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ensureLog, stopLog } from '../../src/audit/log.ts';
import { createSequencer } from '../../src/audit/sequence.ts';
import type { Context } from '../../src/context.ts';
import { noBarrier } from '../../src/core/barrier.ts';
import { alone } from '../../src/core/siblings.ts';
import { finishRun, takeLease } from '../../src/db/job-runs.ts';
import { readinessHere } from '../../src/http/readiness.ts';
import { replicaReadiness } from '../../src/http/replica.ts';
import { publishDueLists } from '../../src/jobs/publish-crls.ts';
import { startJobs } from '../../src/jobs/start-jobs.ts';
import { bucketOf } from '../../src/x509/serial.ts';
import { movableClock, openTestAuthority, TEST_ORIGIN, type MovableClock } from '../support/authority.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';
import { runSql } from '../support/postgres.ts';

let database: TestDatabase;
let ctx: Context & { clock: MovableClock };
/** What the parts outside the database say. */
const parts = { feedAgeMs: 0, keyStoreCheck: () => Promise.resolve(), looks: 0 };

/** The database's own clock, set by the test: a function that its sessions find before PostgreSQL's. */
const CLOCKWORK = `
  CREATE SCHEMA clockwork;
  CREATE TABLE clockwork.hand (at timestamptz);
  INSERT INTO clockwork.hand VALUES ('${FIXED_NOW.toISOString()}');
  CREATE FUNCTION clockwork.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT at FROM clockwork.hand';
  GRANT USAGE ON SCHEMA clockwork TO PUBLIC;
  GRANT SELECT ON clockwork.hand TO PUBLIC`;

/** As the sequencer of a cluster that runs does it: all there is comes under a checkpoint. */
const logAll = () => createSequencer({ ...ctx, copyDir: undefined }).step();

/** What time it is here and in the database. */
async function setTime(at: Date): Promise<void> {
  await logAll();
  ctx.clock.set(at);
  await database.ownerDb.$executeRaw`UPDATE clockwork.hand SET at = ${at}`;
}
const minutes = (count: number) => setTime(new Date(FIXED_NOW.getTime() + count * 60_000));
const days = (count: number) => minutes(count * 24 * 60);

beforeEach(async () => {
  database = await testDatabase();
  await runSql(database.ownerUrl, CLOCKWORK);
  await runSql(database.ownerUrl, `ALTER DATABASE ${database.name} SET search_path = clockwork, pg_catalog, public`);
  await database.db.adminToken.create({ data: { id: 'A', name: 'a', role: 'admin', secretHash: new Uint8Array(32), createdAt: FIXED_NOW, expiresAt: new Date(FIXED_NOW.getTime() + 365 * 86_400_000) } });
  Object.assign(parts, { feedAgeMs: 0, keyStoreCheck: () => Promise.resolve(), looks: 0 });
  const authority = await openTestAuthority(database, { clock: movableClock(), env: { DATABASE_URL: 'postgresql://elsewhere/signet', SIGNET_KEK_FILE: '/run/secrets/kek' } });
  const keyStore = Object.create(authority.keyStore, { check: { value: () => (parts.looks++, parts.keyStoreCheck()) } }) as Context['keyStore'];
  ctx = { ...authority, keyStore, barrier: noBarrier, crls: { put: () => undefined }, siblings: alone, feed: { positionAgeMs: () => parts.feedAgeMs } } as unknown as typeof ctx;
  await ensureLog({ ...ctx, copyDir: undefined }, TEST_ORIGIN);
  const jobs = startJobs(ctx);
  await jobs.tick();
  await jobs.stop();
});
afterEach(async () => {
  await ctx.authorities.close();
  await database.drop();
});

/** A look of its own: another context is another process. */
const look = (process = { draining: false, warnings: [] as string[] }) => readinessHere({ ...ctx }, process);

test('a cluster that runs: ready, nothing to warn about', async () => {
  expect(await look()).toEqual({
    worker: 1,
    isReady: true,
    checks: { process: 'ok', database: 'ok', keyStore: 'ok', clock: 'ok', issuer: 'ok', lists: 'ok', listLife: 'ok', feed: 'ok', jobs: 'ok', partitions: 'ok', authorities: 'ok', adminTokens: 'ok', disk: 'ok', keyEncryptionKey: 'ok', kills: 'ok', auditLog: 'ok' },
    warnings: [],
  });
  // Each has its line in the page that says what makes a replica unready.
  const page = readFileSync('docs/operations.md', 'utf8');
  for (const name of Object.keys((await look()).checks)) expect(page).toContain(`\n| \`${name}\` | `);
});

test('a clock that is off makes it unready: the database has the time that all replicas see', async () => {
  ctx.clock.set(new Date(FIXED_NOW.getTime() + 3_600_000));
  const { isReady, checks, warnings } = await look();
  expect([isReady, checks.clock]).toEqual([false, 'warning']);
  expect(warnings.join()).toContain('3600 s apart');
});

test('lists that are late warn; past half of their life they make it unready, and a new list makes it ready again', async () => {
  await minutes(23);
  const late = await look();
  expect(late).toMatchObject({ isReady: true, checks: { lists: 'warning', listLife: 'ok' } });
  expect(late.warnings.filter((warning) => warning.includes('is late'))).toHaveLength(2);
  await minutes(120);
  expect(await look()).toMatchObject({ isReady: true, checks: { listLife: 'ok' } });
  await minutes(121);
  const worn = await look();
  expect(worn).toMatchObject({ isReady: false, checks: { listLife: 'warning' } });
  expect(worn.warnings.filter((warning) => warning.includes('is past half its life'))).toHaveLength(2);
  await minutes(5 * 60);
  const over = await look();
  expect(over.isReady).toBe(false);
  expect(over.warnings.filter((warning) => warning.includes('relying parties that check it refuse every certificate'))).toHaveLength(2);
  await publishDueLists(ctx, TEST_ORIGIN);
  expect(await look()).toMatchObject({ isReady: true, checks: { lists: 'ok', listLife: 'ok' } });
});

test('lists that a clock ahead has published are refused until their time comes, and are named', async () => {
  await minutes(10);
  await publishDueLists({ ...ctx, config: { ...ctx.config, crlIntervalSeconds: 60 } }, TEST_ORIGIN);
  expect(await look()).toMatchObject({ isReady: true, checks: { lists: 'ok', listLife: 'ok' }, warnings: [] });
  await minutes(0);
  const early = await look();
  expect(early).toMatchObject({ isReady: true, checks: { lists: 'warning', listLife: 'ok' } });
  expect(early.warnings.filter((warning) => warning.includes('begins at 2026-11-21T00:10:00.000Z: relying parties refuse it until then'))).toHaveLength(2);
});

test('a job whose last three runs failed is named; with one success among them it is not', async () => {
  const run = async (minute: number, outcome: 'failed' | 'succeeded') => {
    const bucket = { job: 'rotate-tls', bucket: new Date(FIXED_NOW.getTime() + minute * 600_000) };
    await takeLease(ctx.db, bucket, { holder: 'h', leaseSeconds: 60, maxAttempts: 5 });
    await finishRun(ctx.db, bucket, 'h', outcome === 'failed' ? { outcome, error: 'Error: no', retryAfterSeconds: 1 } : { outcome });
  };
  for (const minute of [1, 2]) await run(minute, 'failed');
  expect(await look()).toMatchObject({ checks: { jobs: 'ok' } });
  await run(3, 'failed');
  expect(await look()).toMatchObject({ isReady: true, checks: { jobs: 'warning' }, warnings: ['the last 3 runs of job rotate-tls failed: see GET /v1/jobs'] });
  await run(4, 'succeeded');
  expect(await look()).toMatchObject({ checks: { jobs: 'ok' }, warnings: [] });
});

test('a job that has not run for three of its intervals is named', async () => {
  await minutes(60);
  expect((await look()).warnings.filter((warning) => warning.startsWith('job '))).toEqual([
    `job rotate-responders has not succeeded since ${FIXED_NOW.toISOString()}`,
    `job rotate-tls has not succeeded since ${FIXED_NOW.toISOString()}`,
    `job rotate-feed-key has not succeeded since ${FIXED_NOW.toISOString()}`,
    `job count-certificates has not succeeded since ${FIXED_NOW.toISOString()}`,
  ]);
});

test('a gap in the partitions of the days ahead is seen', async () => {
  await database.ownerDb.$executeRawUnsafe(`DROP TABLE certificates_d${bucketOf(FIXED_NOW) + 3}`);
  const { isReady, checks, warnings } = await look();
  expect([isReady, checks.partitions]).toEqual([true, 'warning']);
  expect(warnings.join()).toContain('partitions for 3 days from today on');
});

test('authority certificates that should long have been replaced are named', async () => {
  await days(364);
  const { warnings } = await look();
  expect(warnings.join('\n')).toMatch(/issuer \w+ ends at .*no successor issues yet/);
  expect(warnings.join('\n')).toMatch(/OCSP responder of issuer \w+ ends/);
  expect(warnings.join('\n')).toContain("Signet's own TLS certificate ends");
  await days(3_364);
  await publishDueLists(ctx, TEST_ORIGIN);
  const ended = await look();
  // Without an issuer it can still revoke and tell status, as can all the others.
  expect(ended).toMatchObject({ isReady: true, checks: { issuer: 'failed' } });
  expect(ended.warnings.join('\n')).toMatch(/root \w+ ends at .*rollover-root/);
});

test('API tokens from versions that knew no end are named, those of relying parties too', async () => {
  const { db } = database;
  for (const name of ['one', 'two', 'three', 'four']) await db.adminToken.create({ data: { id: name, name, role: 'relying-party', secretHash: new Uint8Array(32), createdAt: FIXED_NOW } });
  const { isReady, checks, warnings } = await look();
  expect([isReady, checks.adminTokens, warnings]).toEqual([true, 'warning', [expect.stringMatching(/^4 API tokens have no end \(four, one, three, …\).* rotate each/)]]);
  await db.adminToken.updateMany({ where: { id: { not: 'A' } }, data: { revokedAt: FIXED_NOW } });
  expect((await look()).warnings).toEqual([]);
});

test('a feed that was long not confirmed warns', async () => {
  parts.feedAgeMs = 20_000;
  expect(await look()).toMatchObject({ isReady: true, checks: { feed: 'warning' } });
});

test('what it cannot serve without makes it unready: key store, database, being told to stop', async () => {
  parts.keyStoreCheck = () => Promise.reject(new Error('secret detail'));
  const failed = await look();
  expect(failed).toMatchObject({ isReady: false, checks: { keyStore: 'failed', database: 'ok' } });
  expect(JSON.stringify(failed)).not.toContain('secret detail');
  // A check that hangs is one that failed.
  parts.keyStoreCheck = () => new Promise(() => undefined);
  expect(await look()).toMatchObject({ isReady: false, checks: { keyStore: 'failed', database: 'ok', lists: 'ok' } });
  parts.keyStoreCheck = () => Promise.resolve();
  expect(await look({ draining: true, warnings: ['one'] })).toMatchObject({ isReady: false, checks: { process: 'shutting down' }, warnings: ['one'] });
  expect(await replicaReadiness(ctx, look({ draining: true, warnings: [] }))).toMatchObject({ isReady: false });
  expect(await replicaReadiness(ctx, look())).toMatchObject({ isReady: true });
});

test('however many probes ask at once, it looks once; draining is told at once all the same', async () => {
  const process = { draining: false, warnings: [] };
  const before = parts.looks;
  await Promise.all(Array.from({ length: 200 }, () => readinessHere(ctx, process)));
  expect(parts.looks).toBe(before + 1);
  expect(await readinessHere(ctx, { ...process, draining: true })).toMatchObject({ isReady: false });
  expect(parts.looks).toBe(before + 1);
});

test('an audit log that lags, has stopped, or is not there is named; nothing waits for it', async () => {
  const record = await ensureLog({ ...ctx, copyDir: undefined }, TEST_ORIGIN);
  const later = new Date(FIXED_NOW.getTime() + 60_000);
  ctx.clock.set(later);
  await database.ownerDb.$executeRaw`UPDATE clockwork.hand SET at = ${later}`;
  expect(await look()).toMatchObject({ isReady: true, checks: { auditLog: 'warning' }, warnings: [expect.stringMatching(/^no checkpoint of the audit log covers what happened since 2026/)] });
  await logAll();
  expect(await look()).toMatchObject({ isReady: true, checks: { auditLog: 'ok' }, warnings: [] });
  await stopLog(ctx, TEST_ORIGIN, record, 'the database was set back');
  expect(await look()).toMatchObject({ isReady: true, checks: { auditLog: 'warning' }, warnings: [expect.stringMatching(/^the audit log has STOPPED since .*: the database was set back/)] });
});
