/** Any number of processes may start at the same instant on a database with nothing in it: one lock, one authority, one printer of the token. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createClient } from '../support/https-client.ts';
import { emptyDatabase, testDatabase, type TestDatabase } from '../support/db.ts';
import { enroll, identityOf, ok, present, startFleet } from '../support/fault/fleet.ts';
import { expectVerdicts, expectWhole, GOOD } from '../support/fault/judge.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { discardProgram, mutatedProgram } from '../support/fault/mutations.ts';
import { obstructAdminTokens, rowsOf, stuckOrDone } from '../support/fault/sessions.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

const LONG = 120_000;
const TOKEN_FILE = 'bootstrap-admin-token';

/** What a first start makes, by kind. */
async function made(database: TestDatabase): Promise<Record<string, number>> {
  const rows = await rowsOf<{ kind: string; count: number }>(
    database,
    `SELECT kind, count(*)::int FROM authority_certificates GROUP BY kind UNION ALL SELECT 'admin token', count(*)::int FROM admin_tokens
     UNION ALL SELECT 'cluster', count(*)::int FROM cluster UNION ALL SELECT 'kek', count(*)::int FROM key_encryption_keys
     UNION ALL SELECT 'unfinished or repeated migration', count(*)::int FROM (SELECT migration_name FROM _prisma_migrations GROUP BY 1 HAVING count(*) > 1 OR count(finished_at) <> 1) m`,
  );
  return Object.fromEntries(rows.map(({ kind, count }) => [kind, count]));
}
const ONE_OF_EACH = { root: 1, issuing: 1, ocsp: 1, tls: 1, feed: 1, 'admin token': 1, cluster: 1, kek: 1, 'unfinished or repeated migration': 0 };
const tokenFiles = (started: readonly SignetProcess[]): string[] => started.map(({ dataDir }) => path.join(dataDir, TOKEN_FILE)).filter((file) => fs.existsSync(file));

test('two replicas that start at the same instant on an empty database: one authority, one token, and both serve as one', async () => {
  const fleet = await startFleet('empty');
  try {
    const [one, other] = fleet.replicas;
    expect(await made(fleet.database)).toEqual(ONE_OF_EACH);
    expect(one.process.rootPem).toBe(other.process.rootPem);
    expect(tokenFiles(fleet.replicas.map(({ process }) => process))).toHaveLength(1);
    for (const { process } of fleet.replicas) expect(process.stdout() + process.stderr()).not.toContain(fleet.adminToken);

    const pair = makeKeyAndCsr();
    const identity = identityOf(await enroll(one, await fleet.joinToken(await fleet.register()), pair), pair);
    ok(await present(other, identity));
    await expectVerdicts(fleet, { [identity.serial]: GOOD });
    await expectWhole(fleet);
  } finally {
    await fleet.close();
  }
}, LONG);

test('two replicas meet at the first admin token: one makes and prints it, the other has waited', async () => {
  const database = await testDatabase();
  const started: SignetProcess[] = [];
  try {
    const obstacle = await obstructAdminTokens(database);
    const start = async () => void started.push(await startSignet({ database, program: mutatedProgram() }));
    const starting = Promise.allSettled([start(), start()]);
    await stuckOrDone(database, 2, starting, LONG / 4);
    await obstacle.remove();
    for (const one of await starting) if (one.status === 'rejected') throw one.reason;

    expect(await made(database)).toEqual(ONE_OF_EACH);
    expect(tokenFiles(started)).toHaveLength(1);
  } finally {
    await Promise.all(started.map((signet) => signet.stop()));
    discardProgram();
    await database.drop();
  }
}, LONG);

/** The status that an installation answers an admin token with. */
const answerTo = async (signet: SignetProcess, token: string): Promise<number> =>
  (await createClient({ url: signet.urls.api, ca: signet.rootPem, token }).send('GET', '/v1/agents')).status;

test('kill -9 in the middle of a first start: the one that waited makes what is missing, and there is one token that works', async () => {
  const database = await emptyDatabase();
  const started: SignetProcess[] = [];
  try {
    const first = await startSignet({ database, ready: false });
    started.push(first);
    for (let tables = 0; tables === 0; await sleep(2)) {
      tables = (await rowsOf<{ count: number }>(database, `SELECT count(*)::int FROM pg_tables WHERE schemaname = 'public' AND tablename = '_prisma_migrations'`))[0]?.count ?? 0;
    }
    const waiting = startSignet({ database });
    first.kill('SIGKILL');
    await first.exited;
    const second = await waiting;
    started.push(second);

    expect(await made(database)).toEqual(ONE_OF_EACH);
    const tokens = tokenFiles(started).map((file) => fs.readFileSync(file, 'utf8').trim());
    const answers = await Promise.all(tokens.map((token) => answerTo(second, token)));
    expect(answers.filter((status) => status === 200)).toHaveLength(1);
  } finally {
    await Promise.all(started.map((signet) => signet.stop()));
    await database.drop();
  }
}, LONG);
