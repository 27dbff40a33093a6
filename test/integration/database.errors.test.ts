import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { SignetError } from '../../src/core/errors.ts';
import { connect, inTransaction } from '../../src/db/client.ts';
import { asServiceError, isRetryable, isUniqueViolation } from '../../src/db/errors.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let t: TestDatabase;
beforeAll(async () => {
  t = await testDatabase();
  await t.ownerDb.$executeRawUnsafe(`
    CREATE FUNCTION fail_with() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = NEW.kind; END $$`);
  await t.ownerDb.$executeRawUnsafe('CREATE TRIGGER fail_with BEFORE INSERT ON findings FOR EACH ROW EXECUTE FUNCTION fail_with()');
});
afterAll(() => t.drop());

const caught = (work: Promise<unknown>): Promise<unknown> => work.then(() => new Error('nothing was thrown'), (error: unknown) => error);
const summary = (error: unknown) => {
  const mapped = asServiceError(error);
  return [mapped?.code, mapped?.retryAfterSeconds];
};
const options = { maxConnections: 1, statementTimeoutMs: 300, applicationName: 'errors' };

const FAULTS: [string, (string | number | undefined)[], boolean][] = [
  ['40001', ['database-unavailable', 1], true],
  ['40P01', ['database-unavailable', 1], true],
  ['55P03', ['database-unavailable', 1], true],
  ['53100', ['storage-full', 60], false],
  ['53200', ['database-unavailable', 2], false],
  ['53300', ['database-unavailable', 2], false],
  ['57P01', ['database-unavailable', 2], false],
  ['57P02', ['database-unavailable', 2], false],
  ['57P03', ['database-unavailable', 2], false],
  ['25006', ['database-unavailable', 2], false],
  ['58030', ['database-unavailable', 2], false],
  ['08006', ['database-unavailable', 2], false],
  ['23514', [undefined, undefined], false],
  ['42501', [undefined, undefined], false],
  ['XX000', [undefined, undefined], false],
];

test.each(FAULTS)('SQLSTATE %s from a model call, a raw statement and pg itself', async (state, expected, retryable) => {
  const client = new pg.Client({ connectionString: t.ownerUrl });
  await client.connect();
  const raise = `DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '${state}'; END $$`;
  const errors = [
    await caught(t.db.finding.create({ data: { id: 'f', kind: state, createdAt: new Date(0) } })),
    await caught(t.db.$executeRawUnsafe(raise)),
    await caught(client.query(raise)),
  ];
  await client.end();
  expect(errors.map(summary)).toEqual([expected, expected, expected]);
  expect(errors.map(isRetryable)).toEqual([retryable, retryable, retryable]);
});

test('a connection that was killed under a transaction is the database being away', async () => {
  const error = await caught(
    inTransaction(t.db, async (tx) => {
      const [row] = await tx.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
      await t.ownerDb.$queryRaw`SELECT pg_terminate_backend(${row?.pid}::int)`;
      for (;;) await tx.owner.count();
    }),
  );
  expect(summary(error)).toEqual(['database-unavailable', 2]);
});

test('a server that is not there, a database that is not there, a name that is not there, a wrong password', async () => {
  const nowhere = new URL(t.serviceUrl);
  nowhere.port = '9';
  const wrong = new URL(t.serviceUrl);
  wrong.password = 'wrong';
  for (const url of [nowhere.href, `${t.serviceUrl}_gone`, 'postgresql://u:p@host.invalid/d', wrong.href]) {
    const db = connect(url, options);
    const errors = [await caught(db.owner.count()), await caught(db.$queryRaw`SELECT 1`), await caught(inTransaction(db, (tx) => tx.owner.count()))];
    expect(errors.map(summary)).toEqual(errors.map(() => ['database-unavailable', 2]));
    await db.$disconnect();
  }
});

test('a statement over its time, and a pool that is used up', async () => {
  const db = connect(t.serviceUrl, options);
  expect(summary(await caught(db.$queryRaw`SELECT 1 AS one FROM pg_sleep(5)`))).toEqual(['database-unavailable', 2]);
  const holding = db.$transaction(async () => caught(db.$transaction((tx) => tx.owner.count(), { maxWait: 50 })));
  expect(summary(await holding)).toEqual(['database-unavailable', 2]);
  await db.$disconnect();
});

test('isUniqueViolation: by constraint or table, from a model call, a raw statement and pg itself', async () => {
  const data = { id: 'o', email: 'o@example.org', createdAt: new Date(0) };
  await t.db.owner.create({ data });
  const client = new pg.Client({ connectionString: t.ownerUrl });
  await client.connect();
  for (const error of [
    await caught(t.db.owner.create({ data: { ...data, id: 'p' } })),
    await caught(t.db.$executeRaw`INSERT INTO owners (id, email, created_at) VALUES ('p', 'o@example.org', now())`),
    await caught(client.query("INSERT INTO owners (id, email, created_at) VALUES ('p', 'o@example.org', now())")),
  ]) {
    expect(asServiceError(error)).toBeUndefined();
    expect([isUniqueViolation(error), isUniqueViolation(error, 'owners_email_key'), isUniqueViolation(error, 'owners'), isUniqueViolation(error, 'owners_pkey')]).toEqual([true, true, true, false]);
  }
  await client.end();
});

test('what is no fault of the database is left alone', () => {
  for (const error of [undefined, null, 'text', new TypeError('x'), new SignetError('not-found', 'x'), { code: 'ABORT' }, Object.assign(new Error('x'), { code: '53100' })]) {
    expect([asServiceError(error), isRetryable(error), isUniqueViolation(error)]).toEqual([undefined, false, false]);
  }
});
