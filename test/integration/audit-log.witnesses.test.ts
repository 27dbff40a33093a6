/** Witnesses cosign checkpoints (C2SP tlog-witness): real HTTP, a conforming witness, and some that are not. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { consistencyOf } from '../../src/audit/proofs.ts';
import { newestNote } from '../../src/audit/read-log.ts';
import { createSequencer } from '../../src/audit/sequence.ts';
import { createWitnesses, type Witnesses } from '../../src/audit/witnesses.ts';
import { createGuardedFetch } from '../../src/core/guarded-fetch.ts';
import { latestCheckpoint, listWitnesses } from '../../src/db/audit-logs.ts';
import { openCheckpoint } from '../../src/verify/log/checkpoint.ts';
import { parseVerifierKey } from '../../src/verify/log/note.ts';
import { openTestLog, type TestLog } from '../support/audit-log.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { startWitness, type TestWitness } from '../support/witness.ts';

let database: TestDatabase;
let log: TestLog;
let good: TestWitness;
let other: TestWitness;
let witnesses: Witnesses;
beforeAll(async () => {
  database = await testDatabase();
  log = await openTestLog(database);
});
beforeEach(async () => {
  const key = () => log.record.vkey;
  [good, other] = [await startWitness(`good.example/${Math.random()}`, key), await startWitness(`other.example/${Math.random()}`, key)];
  witnesses = createWitnesses({ ...log, fetch: createGuardedFetch([]), config: { auditWitnesses: [good, other] } });
});
afterEach(async () => {
  await witnesses.stop();
  await Promise.all([good.close(), other.close()]);
});
afterAll(async () => {
  await log.authorities.close();
  log.removeCopies();
  await database.drop();
});

async function checkpointed(): Promise<number> {
  await log.append(3);
  const { checkpoint } = await createSequencer(log.sequence).step();
  if (!checkpoint) throw new Error('no checkpoint');
  witnesses.offer(log.record, checkpoint);
  return checkpoint.size;
}
/** One that no witness is asked about. */
async function alsoSigned() {
  await log.append(3);
  return createSequencer(log.sequence).step();
}
const states = async () => Object.fromEntries((await listWitnesses(database.db, log.record.id)).map(({ name, state, size, problem }) => [name, { state, size, problem }]));

async function until(isDone: () => Promise<boolean> | boolean): Promise<void> {
  for (let left = 400; !(await isDone()); left--) {
    if (left === 0) throw new Error('it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

test('two witnesses cosign one checkpoint after the other; the note that is shown bears them, and a quorum is waited for', async () => {
  const first = await checkpointed();
  await until(async () => good.sizes.includes(first) && other.sizes.includes(first) && Object.keys(await states()).length === 2);
  const second = await checkpointed();
  await until(async () => (await states())[good.name]?.size === second && (await states())[other.name]?.size === second);
  const trust = { logKey: parseVerifierKey(log.record.vkey), witnesses: [good, other].map(({ vkey }) => parseVerifierKey(vkey)), quorum: 2 };
  await until(async () => openCheckpoint((await newestNote(database.db, 2)) ?? '', trust).size === second);
  expect(good.answered).toEqual([200, 200]);
  expect(await newestNote(database.db, 3)).toBeUndefined();
});

test('a witness that knows another size says so (409) and is asked again from there; one that knows more shows a set-back database', async () => {
  const first = await checkpointed();
  await until(async () => (await states())[good.name]?.size === first && (await states())[other.name]?.state === 'cosigning');
  await database.ownerDb.$executeRaw`UPDATE audit_witnesses SET size = 0`;
  other.forget(1_000_000);
  const second = await checkpointed();
  await until(async () => (await states())[good.name]?.size === second && (await states())[other.name]?.state === 'ahead');
  expect(good.answered).toEqual([200, 409, 200]);
  expect((await states())[other.name]).toMatchObject({ size: 1_000_000, problem: expect.stringContaining('was the database set back?') });
});

test('a witness that said that it knows more is asked again, and cosigns once it is what it was', async () => {
  const first = await checkpointed();
  await until(async () => (await states())[other.name]?.size === first);
  other.forget(1_000_000);
  const second = await checkpointed();
  await until(async () => (await states())[other.name]?.state === 'ahead');
  other.forget(first);
  const latest = await latestCheckpoint(database.db, log.record.id);
  await until(async () => {
    if (latest) witnesses.offer(log.record, latest);
    return (await states())[other.name]?.size === second;
  });
  expect((await states())[other.name]).toMatchObject({ state: 'cosigning', problem: null });
});

test('a proof between sizes shows no checkpoint that fewer witnesses have cosigned than must have', async () => {
  const { checkpoint: alone } = await alsoSigned();
  const size = await checkpointed();
  await until(async () => (await database.db.auditCosignature.count({ where: { size } })) === 2);
  const ctx = (auditWitnessQuorum: number) => ({ db: database.db, config: { auditWitnessQuorum } });
  expect((await consistencyOf(ctx(2), 1, alone?.size)).checkpoint).toBeNull();
  expect((await consistencyOf(ctx(0), 1, alone?.size)).checkpoint).toBe(alone?.note);
  expect((await consistencyOf(ctx(2), 1, size)).checkpoint).not.toBeNull();
});

test.each<[string, (witness: TestWitness) => TestWitness['misbehave'], RegExp]>([
  ['answers megabytes', () => (res) => void res.writeHead(200).end(Buffer.alloc(5_000_000, 'a')), /longer than 16384 octets/],
  ['cosigns with another key', (honest) => (res, line) => void res.writeHead(200).end(line.replace(/ \S+ /, ` ${honest.name} `)), /bears no signature of its key/],
  ['cosigns something else', () => (res, line) => void res.writeHead(200).end(line.replace(/.{8}\n$/, 'AAAAAA==\n')), /signature/],
  ['answers nothing of use', () => (res) => void res.writeHead(200).end('thank you\n'), /not a signature/],
  ['redirects', () => (res) => void res.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), /answered 302/],
  ['breaks off', () => (res) => void res.destroy(), /failed/],
])('a witness that %s is failing, and keeps nobody else from cosigning', async (_, misbehavior, problem) => {
  other.misbehave = misbehavior(good);
  const size = await checkpointed();
  await until(async () => (await states())[other.name] !== undefined && (await states())[good.name]?.size === size);
  expect((await states())[other.name]).toMatchObject({ state: 'failing', problem: expect.stringMatching(problem) });
  expect(await database.db.auditCosignature.count({ where: { witness: other.name } })).toBe(0);
});

test('a slow witness keeps nobody waiting, and is let go of when the service stops', async () => {
  other.misbehave = () => undefined;
  const size = await checkpointed();
  await until(async () => (await states())[good.name]?.size === size);
  await witnesses.stop();
  expect((await states())[other.name]?.state).not.toBe('cosigning');
});
