/**
 * The disk of the database is full. Where a small file system can be mounted it really is; else a trigger says what PostgreSQL says then (SQLSTATE 53100).
 * Nothing is half issued, callers learn that an operator must make room, and once there is room the same request succeeds.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { serverUser } from '../../src/db/postgres-binaries.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { expectWhole } from '../support/fault/judge.ts';
import type { Reply } from '../support/https-client.ts';
import { databaseUrl, runSql, temporaryFolder, TEMPLATE } from '../support/postgres.ts';
import { expectRefused, stateOf, type Refusal } from '../support/refusals.ts';
import { startService, type Service } from '../support/service.ts';

const full: Refusal = { status: 507, code: 'storage-full', says: /no space left/ };

/** A database whose disk can be filled. */
interface Fillable {
  database: TestDatabase;
  fill(): Promise<void>;
  makeRoom(): Promise<void>;
  drop(): Promise<void>;
}

const DISK_MB = 96;

/** A tmpfs of the server's user, or undefined where none can be mounted. */
function mountSmallDisk(): { folder: string; unmount(): void } | undefined {
  const folder = temporaryFolder('signet-disk-');
  const { uid, gid } = serverUser('');
  const remove = () => fs.rmSync(folder, { recursive: true, force: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m,mode=0700${uid === undefined ? '' : `,uid=${uid},gid=${gid}`}`, 'signet-test', folder], { stdio: 'ignore' });
  } catch {
    remove();
    return undefined;
  }
  const unmount = () => {
    process.off('exit', unmount);
    execFileSync('umount', ['--lazy', folder]);
    remove();
  };
  process.once('exit', unmount);
  return { folder, unmount };
}

/** The database lies on the small disk; it is full while a file takes what is left. */
async function onSmallDisk(database: TestDatabase, disk: { folder: string; unmount(): void }): Promise<Fillable> {
  const server = databaseUrl(database.ownerUrl, TEMPLATE);
  const tablespace = `small_${database.name}`;
  const ballast = path.join(disk.folder, 'ballast');
  await runSql(server, `CREATE TABLESPACE ${tablespace} LOCATION '${disk.folder}'`);
  await runSql(server, `ALTER DATABASE ${database.name} SET TABLESPACE ${tablespace}`);
  const makeRoom = () => Promise.resolve(fs.rmSync(ballast, { force: true }));
  return {
    database,
    fill() {
      const file = fs.openSync(ballast, 'w');
      const block = Buffer.alloc(8192);
      try {
        for (;;) fs.writeSync(file, block);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        fs.closeSync(file);
      }
      return Promise.resolve();
    },
    makeRoom,
    async drop() {
      await makeRoom();
      await database.drop();
      await runSql(server, `DROP TABLESPACE ${tablespace}`);
      disk.unmount();
    },
  };
}

/** What PostgreSQL would say is said by triggers. */
async function byTriggers(database: TestDatabase): Promise<Fillable> {
  const tables = ['certificates', 'agents', 'join_tokens', 'instances', 'feed_events', 'audit_events'];
  await runSql(
    database.ownerUrl,
    `CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`,
  );
  return {
    database,
    fill: () => runSql(database.ownerUrl, tables.map((table) => `CREATE TRIGGER disk_full BEFORE INSERT ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION disk_full()`).join(';')),
    makeRoom: () => runSql(database.ownerUrl, tables.map((table) => `DROP TRIGGER IF EXISTS disk_full ON ${table}`).join(';')),
    drop: () => database.drop(),
  };
}

const disk = mountSmallDisk();

describe.each([...(disk ? ['a disk that is full' as const] : []), 'a database that says so' as const])('%s', (kind) => {
  let fillable: Fillable;
  let service: Service;
  beforeAll(async () => {
    const database = await testDatabase();
    fillable = kind === 'a disk that is full' && disk ? await onSmallDisk(database, disk) : await byTriggers(database);
    service = await startService({ database });
  }, 60_000);
  afterAll(async () => {
    await service.close(/"msg":"a job failed"/);
    await fillable.drop();
  }, 60_000);

  /** Does the work again and again until there is no place for it: free room inside files is used up first. */
  async function untilRefused(work: () => Promise<Reply>): Promise<Reply> {
    for (let i = 0; i < 300; i++) {
      const before = await stateOf(fillable.database);
      const reply = await work();
      if (reply.status < 300) continue;
      expect(await stateOf(fillable.database)).toEqual(before);
      return reply;
    }
    throw new Error('there was always room');
  }

  test('an enrollment, a renewal and a revocation on it, and the same when there is room again', async () => {
    const agentId = await service.register();
    const tokens = await Promise.all(Array.from({ length: 100 }, () => service.joinToken(agentId)));
    const [renewing, revoked] = [await service.enrolled(agentId), await service.enrolled(agentId)];
    await fillable.fill();

    let token = '';
    const pair = { current: makeKeyAndCsr() };
    const enrollment = await untilRefused(() => {
      token = tokens.pop() ?? '';
      pair.current = makeKeyAndCsr();
      return service.enroll(token, pair.current.csr);
    });
    expectRefused(enrollment, full);
    expect(Number(enrollment.headers['retry-after'])).toBeGreaterThan(0);

    const fresh = makeKeyAndCsr();
    const renewal = await service.renew(renewing, fresh.csr);
    if (renewal.status !== 201) expectRefused(renewal, full);

    // What is on the disk can be read, by operators and by relying parties.
    expect((await service.admin.send('GET', `/v1/agents/${agentId}`)).status).toBe(200);
    expect((await service.admin.send('GET', '/v1/certificates?limit=200')).status).toBe(200);
    expect(await statusOf(revoked.serial)).toBe('good');

    // Acknowledged is revoked; refused is not: nothing in between.
    const revocation = await service.admin.send('POST', `/v1/certificates/${revoked.serial}/revoke`, { json: { reason: 'superseded' } });
    if (revocation.status !== 200) expectRefused(revocation, full);
    expect(await statusOf(revoked.serial)).toBe(revocation.status === 200 ? 'revoked' : 'good');
    await expectWhole(fillable);

    await fillable.makeRoom();
    expect((await service.enroll(token, pair.current.csr)).status).toBe(201);
    expect((await service.renew(renewing, fresh.csr)).status).toBe(201);
    await service.order(`/v1/certificates/${revoked.serial}/revoke`, { reason: 'superseded' });
    expect(await statusOf(revoked.serial)).toBe('revoked');
    await expectWhole(fillable);
  }, 60_000);

  test('registrations on it', async () => {
    await fillable.fill();
    let n = 0;
    const refused = await untilRefused(() => service.admin.send('POST', '/v1/agents', { json: { name: `bulky-${++n}`, purpose: 'p'.repeat(1000), ownerEmail: 'owner@example.com' } }));
    expectRefused(refused, full);
    await fillable.makeRoom();
    expect((await service.admin.send('POST', '/v1/agents', { json: { name: `bulky-${n}`, purpose: 'p', ownerEmail: 'owner@example.com' } })).status).toBe(201);
  }, 60_000);

  const statusOf = async (serial: string): Promise<string> => (JSON.parse((await service.admin.send('GET', `/v1/status/${serial}`)).body.toString()) as { status: string }).status;
});
