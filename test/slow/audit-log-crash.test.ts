/** kill -9 of the service at each step of the sequencer: started again, every checkpoint is true, no two of one size differ, and what was copied outside the database fits. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BARRIERS } from '../../src/core/barrier.ts';
import { findLiveLog } from '../../src/db/audit-logs.ts';
import { openCheckpoint } from '../../src/verify/log/checkpoint.ts';
import { parseVerifierKey } from '../../src/verify/log/note.ts';
import { insertBacklog, rootOverEvents } from '../support/audit-log.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { fileBarriersIn } from '../support/fault/barriers.ts';
import { createClient } from '../support/https-client.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startSignet } from '../support/signet-process.ts';

const LONG = 120_000;
const COVERED_MS = 20_000;

let database: TestDatabase;
const dataDir = temporaryFolder('signet-log-crash-');
const [barriersDir, copyDir] = [path.join(dataDir, 'barriers'), path.join(dataDir, 'copies')];
const barriers = fileBarriersIn(barriersDir);
const env = { SIGNET_FAULT_BARRIERS_DIR: barriersDir, SIGNET_AUDIT_COPY_DIR: copyDir, SIGNET_WORKERS: '1', SIGNET_LOG_LEVEL: 'warn' };
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());

const counter = async () => Number((await database.db.$queryRaw<{ value: bigint }[]>`SELECT value FROM counters WHERE name = 'audit'`)[0]?.value);

async function expectAllTrue(): Promise<void> {
  const log = await findLiveLog(database.db);
  if (!log) throw new Error('there is no log');
  const copies = readdirSync(path.join(copyDir, log.id)).filter((name) => name.endsWith('.checkpoint')).map((name) => readFileSync(path.join(copyDir, log.id, name), 'utf8'));
  const stored = (await database.db.auditCheckpoint.findMany()).map(({ note }) => note);
  const roots = new Map<number, string>();
  for (const note of [...stored, ...copies]) {
    const { size, root } = openCheckpoint(note, { logKey: parseVerifierKey(log.vkey) });
    expect(root).toEqual(await rootOverEvents(database.db, size));
    expect(roots.get(size) ?? root.toString('hex')).toBe(root.toString('hex'));
    roots.set(size, root.toString('hex'));
  }
}

test.each(BARRIERS.filter((name) => name.startsWith('log:')))('killed at %s', async (step) => {
  const killed = await startSignet({ database, dataDir, env });
  barriers.arm(step);
  await insertBacklog(database.ownerDb, 10);
  await barriers.reached(step);
  killed.kill('SIGKILL');
  await killed.exited;
  barriers.release(step);

  const signet = await startSignet({ database, dataDir, env });
  const status = createClient({ url: signet.urls.status });
  const end = await counter();
  const log = await findLiveLog(database.db);
  let covered = 0;
  for (const deadline = performance.now() + COVERED_MS; covered < end && performance.now() < deadline; await sleep(100)) {
    const reply = await status.send('GET', '/tlog/checkpoint');
    if (reply.status === 200) covered = openCheckpoint(reply.body, { logKey: parseVerifierKey(log?.vkey ?? '') }).size;
  }
  expect(covered).toBeGreaterThanOrEqual(end);
  expect(log?.state).toBe('running');
  status.close();
  await signet.stop();
  await expectAllTrue();
}, LONG);
