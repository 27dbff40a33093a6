/**
 * The database fails over to its standby in the middle of work: two servers of the operating system's PostgreSQL with streaming replication, and an address
 * that leads to whichever is the primary. To a synchronous standby nothing is lost, and Signet goes on. To one that lagged something is: then Signet says so
 * and serves nothing until an operator has recovered it (DESIGN invariants 6, 8, 13, 14).
 */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import pg from 'pg';
import { connect } from '../../src/db/client.ts';
import { openCheckpoint } from '../../src/verify/log/checkpoint.ts';
import { parseVerifierKey } from '../../src/verify/log/note.ts';
import { parseCrl } from '../../src/x509/crl.ts';
import type { TestDatabase } from '../support/db.ts';
import { installedPostgresql, startPostgresql, type RunningPostgresql } from '../support/debian-postgresql.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { jsonOf } from '../support/https-client.ts';
import { outsideProgram, versionOf } from '../support/interop.ts';
import { localJson, runLocal } from '../support/local-cli.ts';
import { ocspRequestsOf, ocspStatusIn } from '../support/ocsp.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Service } from '../support/service.ts';
import { startSignet } from '../support/signet-process.ts';
import { startTcpProxy, through } from '../support/tcp-proxy.ts';

const LONG_MS = 120_000;
const RETRY_MS = 20;
const LOOPS = 4;
const STANDBY = 'standby';
const OWNER = 'signet_owner';
const SERVICE = 'signet_app';

const binaries = installedPostgresql();
const program = await outsideProgram({
  name: 'postgresql (failover)',
  debianPackage: 'postgresql',
  must: false,
  version: async () => (binaries === undefined ? undefined : versionOf(path.join(binaries, 'postgres'), ['--version'], /\(PostgreSQL\) (\S+)/)),
});

interface Pair {
  database: TestDatabase;
  dataDir: string;
  primary: RunningPostgresql;
  standby: RunningPostgresql;
  /** The primary dies, and the standby takes its place behind the same address. */
  failOver(): Promise<void>;
  close(): Promise<void>;
}

const onStandby = async <R extends pg.QueryResultRow>(server: RunningPostgresql, sql: string): Promise<R[]> => {
  const client = new pg.Client({ connectionString: server.url('postgres', 'signet') });
  await client.connect();
  try {
    return (await client.query<R>(sql)).rows;
  } finally {
    await client.end();
  }
};

async function startPair(synchronous: boolean): Promise<Pair> {
  const primary = await startPostgresql(binaries ?? '');
  await primary.sql([`CREATE ROLE ${OWNER} LOGIN`, `CREATE ROLE ${SERVICE} LOGIN`, `CREATE DATABASE signet OWNER ${OWNER}`]);
  const standby = await primary.standby(STANDBY);
  if (synchronous) await primary.sql([`ALTER SYSTEM SET synchronous_standby_names = '${STANDBY}'`, 'SELECT pg_reload_conf()']);
  const address = await startTcpProxy({ host: '127.0.0.1', port: primary.port });
  const [ownerUrl, serviceUrl] = [through(address, primary.url(OWNER, 'signet')), through(address, primary.url(SERVICE, 'signet'))];
  const [ownerDb, db] = [ownerUrl, serviceUrl].map((url) => connect(url, { maxConnections: 1, statementTimeoutMs: 20_000, applicationName: 'test' })) as [TestDatabase['db'], TestDatabase['db']];
  const dataDir = temporaryFolder('signet-data-');
  return {
    database: { name: 'signet', ownerUrl, serviceUrl, db, product: db, ownerDb, drop: () => Promise.resolve() },
    dataDir,
    primary,
    standby,
    async failOver() {
      await primary.crash();
      await address.cut();
      address.lead({ host: '127.0.0.1', port: standby.port });
      await standby.sql(['SELECT pg_promote()']);
      await address.restore();
    },
    async close() {
      await Promise.all([db.$disconnect(), ownerDb.$disconnect()]);
      await address.close();
      await Promise.all([standby.stop(), primary.stop().catch(() => undefined)]);
      fs.rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const isReady = async (service: Service): Promise<boolean> => (await fetch(`${service.signet.urls.operations}/readyz`)).ok;

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + LONG_MS / 2; !(await isSo()); await sleep(RETRY_MS)) {
    if (performance.now() > deadline) throw new Error(`not within a minute: ${what}`);
  }
}

const listOf = async (service: Service, issuerId: string) => parseCrl((await service.status.send('GET', `/crl/${issuerId}/complete.crl`)).body);
const serialsOn = (list: ReturnType<typeof parseCrl>): Set<string> => new Set([...list.entries()].map(({ serial }) => serial.toString('hex').padStart(40, '0')));

program.test('to a synchronous standby, under load: what was acknowledged is there, lists and feed go on, and nothing is started anew', async () => {
  const pair = await startPair(true);
  const service = await startService({ database: pair.database, dataDir: pair.dataDir, env: { SIGNET_SOURCE_CHANGE_RATE: '0', SIGNET_CALLER_CHANGE_RATE: '0', SIGNET_SOURCE_ISSUE_RATE: '0' } });
  try {
    const sample = await service.enrolled();
    const [issuing] = await onStandby<{ id: string }>(pair.standby, "SELECT id FROM authority_certificates WHERE kind = 'issuing'");
    const issuerId = issuing?.id ?? '';
    const issued: string[] = [];
    const revoked: string[] = [];
    let isOver = false;
    // Each enrolls an instance and revokes every other one; what fails while the database is away was not acknowledged.
    const load = Array.from({ length: LOOPS }, async () => {
      while (!isOver) {
        try {
          const token = await service.joinToken(sample.agentId);
          const reply = await service.enroll(token, makeKeyAndCsr().csr);
          if (reply.status !== 201) throw new Error(reply.body.toString('utf8'));
          const { serial } = jsonOf<{ serial: string }>(reply);
          issued.push(serial);
          if (issued.length % 2 === 0) continue;
          await service.order(`/v1/certificates/${serial}/revoke`, { reason: 'keyCompromise' });
          revoked.push(serial);
        } catch {
          await sleep(RETRY_MS);
        }
      }
    });
    await until('the first acknowledgements', () => revoked.length >= 10);
    const before = await listOf(service, issuerId);
    await pair.failOver();
    const [issuedBefore, revokedBefore] = [issued.length, revoked.length];
    await until('acknowledgements after the failover', () => revoked.length >= revokedBefore + 10);
    isOver = true;
    await Promise.all(load);
    expect(issuedBefore).toBeGreaterThan(0);
    expect(await isReady(service)).toBe(true);

    const { statuses } = jsonOf<{ statuses: { serial: string; status: string }[] }>(await service.admin.send('POST', '/v1/status', { json: { serials: issued } }));
    expect(statuses.filter(({ status }) => status === 'unknown')).toEqual([]);
    expect(statuses.filter(({ serial, status }) => revoked.includes(serial) && status !== 'revoked')).toEqual([]);
    const requestOf = ocspRequestsOf(sample.chain);
    for (const serial of [revoked[0], revoked[revokedBefore - 1], revoked.at(-1)] as string[]) {
      const answer = await service.status.send('POST', '/ocsp', { bytes: requestOf(serial), headers: { 'content-type': 'application/ocsp-request' } });
      expect([serial, ocspStatusIn(answer.body, serial)]).toEqual([serial, 'revoked']);
    }
    await until('all of it on a list', async () => {
      const listed = serialsOn(await listOf(service, issuerId));
      return revoked.every((serial) => listed.has(serial));
    });
    expect((await listOf(service, issuerId)).crlNumber ?? 0n).toBeGreaterThan(before.crlNumber ?? 0n);

    // Gap-free, in one epoch, and nobody thinks that a world was lost.
    const [feed] = await onStandby(pair.standby, 'SELECT count(*) = max(n) AND max(n) = (SELECT value FROM counters WHERE name = \'feed\') AS whole, min(epoch) AS first, max(epoch) AS last FROM feed_events');
    expect(feed).toEqual({ whole: true, first: 1, last: 1 });
    const [audit] = await onStandby(pair.standby, 'SELECT count(*) = max(n) AND max(n) = (SELECT value FROM counters WHERE name = \'audit\') AS whole FROM audit_events');
    expect(audit).toEqual({ whole: true });
    expect(await onStandby(pair.standby, 'SELECT * FROM worlds')).toEqual([]);
    await service.close(/./);

    // Its tables are where they were told to be, as far as the next start can know.
    const again = await startService({ database: pair.database, dataDir: pair.dataDir, ports: service.signet.ports });
    expect((await again.renew(sample, makeKeyAndCsr().csr)).status).toBe(201);
    await again.close();
  } finally {
    await service.signet.stop();
    await pair.close();
  }
});

program.test('to a standby that lagged: the loss is noticed, nothing is served from it, and after the recovery no revocation of the lost time is good', async () => {
  const pair = await startPair(false);
  const copies = path.join(pair.dataDir, 'copies');
  const logCopies = path.join(pair.dataDir, 'log-copies');
  const env = { SIGNET_CRL_COPY_DIR: copies, SIGNET_AUDIT_COPY_DIR: logCopies };
  const service = await startService({ database: pair.database, dataDir: pair.dataDir, env });
  try {
    const [kept, lost] = [await service.enrolled(), await service.enrolled()];
    const [issuing] = await onStandby<{ id: string }>(pair.standby, "SELECT id FROM authority_certificates WHERE kind = 'issuing'");
    const issuerId = issuing?.id ?? '';
    await until('both are at the standby', async () => (await onStandby(pair.standby, 'SELECT 1 FROM certificates')).length === 2);
    await pair.standby.crash();
    await service.order(`/v1/certificates/${lost.serial}/revoke`, { reason: 'keyCompromise' });
    await until('it is on a list', async () => serialsOn(await listOf(service, issuerId)).has(lost.serial));
    await until('that list is copied', () => fs.readdirSync(copies).some((file) => file.startsWith(issuerId) && serialsOn(parseCrl(fs.readFileSync(path.join(copies, file)))).has(lost.serial)));
    const number = (await listOf(service, issuerId)).crlNumber ?? 0n;
    // What a follower of the audit log was shown covers events that the standby never gets.
    const shown = async (door: Service) => openCheckpoint((await door.status.send('GET', '/tlog/checkpoint')).body, { logKey: parseVerifierKey((await door.status.send('GET', '/tlog/key')).body.toString().trim()) });
    const [{ last }] = (await onStandby<{ last: string }>(pair.primary, 'SELECT max(n) AS last FROM audit_events')) as [{ last: string }];
    await until('a checkpoint of all of it', async () => (await shown(service)).size >= Number(last));
    const signed = await shown(service);
    expect(fs.readdirSync(path.join(logCopies, fs.readdirSync(logCopies)[0] ?? '')).some((name) => name.startsWith(`${signed.size}.`))).toBe(true);

    // Before the standby is back: what it lacks never comes.
    await pair.primary.crash();
    await pair.standby.restart();
    await pair.failOver();
    expect((await service.signet.exited).code).not.toBe(0);
    expect(service.signet.stdout() + service.signet.stderr()).toContain('went back');

    const refused = await startSignet({ database: pair.database, dataDir: pair.dataDir, env, ports: service.signet.ports, ready: false });
    expect((await refused.exited).code).toBe(78);
    expect(refused.stderr()).toContain('signet admin recover --restored');
    await refused.stop();

    const site = { dataDir: pair.dataDir, database: pair.database, env };
    const { recovery } = await localJson<{ recovery: { epoch: number; revoked: number; lostFrom: string; lostTo: string } }>(site, ['admin', 'recover', '--restored']);
    expect(recovery).toMatchObject({ epoch: 2, revoked: 1 });
    expect(recovery.lostFrom < recovery.lostTo).toBe(true);

    const recovered = Date.now();
    const again = await startService({ database: pair.database, dataDir: pair.dataDir, env, ports: service.signet.ports });
    const requestOf = ocspRequestsOf(kept.chain);
    const ocsp = async (serial: string) => ocspStatusIn((await again.status.send('POST', '/ocsp', { bytes: requestOf(serial), headers: { 'content-type': 'application/ocsp-request' } })).body, serial);
    expect([await ocsp(kept.serial), await ocsp(lost.serial)]).toEqual(['good', 'revoked']);
    const list = await listOf(again, issuerId);
    expect(serialsOn(list)).toEqual(new Set([lost.serial]));
    expect(list.crlNumber ?? 0n).toBeGreaterThan(number);
    // max(last + 1, milliseconds since 1970): above whatever the lost world may have used.
    expect(Number(list.crlNumber ?? 0n)).toBeGreaterThan(recovered - LONG_MS);

    // The log that was shown has ended: numbers of lost events are given again, in a log of another name and key only, which says where the one before ended.
    await until('a checkpoint of the next log', async () => (await again.status.send('GET', '/tlog/checkpoint')).status === 200);
    const next = await shown(again);
    expect(next.origin.startsWith(`${signed.origin}/`)).toBe(true);
    const { items } = jsonOf<{ items: { detail: { after?: { origin: string; size: number; root: string } } }[] }>(await again.admin.send('GET', '/v1/audit?kind=log.started&limit=100'));
    const after = items.at(-1)?.detail.after;
    expect([after?.origin, (after?.size ?? 0) >= signed.size]).toEqual([signed.origin, true]);
    // An auditor who kept what was shown is told that it is gone, or was overwritten.
    const checkpoint = path.join(pair.dataDir, 'kept.checkpoint');
    fs.writeFileSync(checkpoint, signed.note);
    const judged = await runLocal(site, ['audit', 'verify', '--checkpoint', checkpoint, '--json']);
    expect(judged.code).toBe(1);
    expect((JSON.parse(judged.out) as { findings: { fault: string }[] }).findings.map(({ fault }) => fault)).toEqual([expect.stringMatching(/^(forked|truncated)$/)]);
    await again.close();
  } finally {
    await service.signet.stop();
    await pair.close();
  }
});
