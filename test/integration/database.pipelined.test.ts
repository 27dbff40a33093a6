/** A transaction whose statements do not wait for one another: whatever fails in it, nothing of it stays, and whoever has the connection next gets the answers to its own statements. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, inHotTransaction, inPipelinedTransaction, Prisma, runHot, type Db, type PipelinedTx } from '../../src/db/client.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let database: TestDatabase;
/** One connection for all. */
let db: Db;
beforeAll(async () => {
  database = await testDatabase();
  await database.ownerDb.$executeRaw`CREATE TABLE trace (v integer)`;
  await database.ownerDb.$executeRaw`GRANT INSERT, SELECT ON trace TO PUBLIC`;
  db = connect(database.serviceUrl, { maxConnections: 1, statementTimeoutMs: 1_000, applicationName: database.name });
});
afterAll(async () => {
  await db.$disconnect();
  await database.drop();
});

const ECHO = { name: 'echo', text: 'SELECT $1::int AS v' };
const NUMBERS = Array.from({ length: 20 }, (_, i) => i);
afterEach(async () => {
  const answers = await Promise.all(NUMBERS.map((i) => runHot<{ v: number }>(db, ECHO, [i])));
  expect(answers.map(([row]) => row?.v)).toEqual(NUMBERS);
  expect(await inHotTransaction(db, (tx) => tx.run({ name: 'assigned', text: 'SELECT pg_current_xact_id_if_assigned() AS v' }, []))).toEqual([{ v: null }]);
  expect(await db.$queryRaw`SELECT count(*)::int AS v FROM trace`).toEqual([{ v: 0 }]);
});

const mark = (tx: PipelinedTx) => tx.query(Prisma.sql`INSERT INTO trace VALUES (1)`);
const zero = (tx: PipelinedTx) => tx.query(Prisma.sql`SELECT 1 / ${0}::int`);
const pidOf = async (tx: PipelinedTx): Promise<number> => (await tx.query<{ pid: number }>(Prisma.sql`SELECT pg_backend_pid() AS pid`))[0]?.pid ?? 0;
const cyclic: { self?: object } = {};
cyclic.self = cyclic;
const slow = (tx: PipelinedTx) => tx.query(Prisma.sql`SELECT pg_sleep(3)`);
const soon = (signal: 'cancel' | 'terminate', pid: number) =>
  void sleep(100).then(() => (signal === 'cancel' ? database.ownerDb.$queryRaw`SELECT pg_cancel_backend(${pid}::int)` : database.ownerDb.$queryRaw`SELECT pg_terminate_backend(${pid}::int)`));

test.each<[string, RegExp, (tx: PipelinedTx) => void | Promise<void>]>([
  ['a statement fails in the middle', /division by zero/, (tx) => tx.leave(mark(tx), zero(tx), mark(tx))],
  ['a prepared one comes after it for the first time, twice', /division by zero/, (tx) => tx.leave(mark(tx), zero(tx), tx.run({ name: 'late', text: 'SELECT 42 AS v' }, []), tx.run({ name: 'late', text: 'SELECT 42 AS v' }, []))],
  ['a prepared one does not parse', /nothing_here/, (tx) => tx.leave(mark(tx), tx.run({ name: 'wrong', text: 'SELECT nothing_here' }, []), tx.run(ECHO, [1]))],
  ['what is left fails before it is sent', /^too long$/, (tx) => tx.leave(mark(tx), mark(tx), Promise.reject(new RangeError('too long')))],
  ['a value cannot be sent', /circular/, (tx) => tx.leave(mark(tx), tx.run({ name: 'json', text: 'SELECT $1::json' }, [cyclic]), tx.run(ECHO, [1]))],
  ['a statement takes too long', /statement timeout/, (tx) => tx.leave(mark(tx), slow(tx), mark(tx))],
  ['a statement is cancelled', /user request/, async (tx) => (soon('cancel', await pidOf(tx)), tx.leave(mark(tx), slow(tx), mark(tx)))],
  ['the connection goes', /terminat/i, async (tx) => (soon('terminate', await pidOf(tx)), tx.leave(mark(tx), slow(tx), mark(tx)))],
  ['the work throws while statements are under way', /^mine$/, (tx) => {
    tx.leave(mark(tx), tx.query(Prisma.sql`SELECT pg_sleep(0.2)`), mark(tx));
    throw new Error('mine');
  }],
])('%s', async (_what, says, work) => {
  for (let round = 0; round < 2; round++) {
    await expect(inPipelinedTransaction(db, async (tx) => (await work(tx), 'done'))).rejects.toThrow(says);
  }
  expect(await inPipelinedTransaction(db, (tx) => tx.run({ name: 'late', text: 'SELECT 42 AS v' }, []))).toEqual([{ v: 42 }]);
});

test('work that gives nothing is rolled back', async () => {
  expect(await inPipelinedTransaction(db, async (tx) => void (await mark(tx)))).toBeUndefined();
});

test.each([['throws', () => Promise.reject(new Error('mine'))], ['is done', () => Promise.resolve('done')]])('what is sent after work that %s reaches nobody', async (_how, end) => {
  let late: Promise<unknown> = Promise.resolve();
  await inPipelinedTransaction(db, (tx) => {
    late = sleep(200).then(() => mark(tx));
    late.catch(() => undefined);
    return end();
  }).catch(() => undefined);
  await expect(late).rejects.toThrow(/after the end of its transaction/);
});
