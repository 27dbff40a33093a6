import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { inTransaction } from '../../src/db/client.ts';
import { readStatusRows } from '../../src/db/status.ts';
import { createOcspResponder, type OcspResponder } from '../../src/revocation/ocsp/responder.ts';
import { createRevocationSignals, type RevocationSignals } from '../../src/revocation/signals.ts';
import { createStatusReader, type StatusReader } from '../../src/revocation/status-reader.ts';
import { statusOf } from '../../src/revocation/status.ts';
import { renewDueResponders } from '../../src/authorities/renew-responder.ts';
import { ocspRequest, readOcspAnswer } from '../../src/client/ocsp.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { parseOcspResponse } from '../../src/x509/ocsp-response.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { movableClock, openTestAuthority, TEST_ORIGIN, type TestAuthority } from '../support/authority.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { changeStatus, issueLeaf, leafSerial, LEAF_AGENT, storeLeaves } from '../support/leaves.ts';

let database: TestDatabase;
let authority: TestAuthority;
let signals: RevocationSignals;
let statuses: StatusReader;
let ocsp: OcspResponder;
let now: Date;
const folder = mkdtempSync(path.join(tmpdir(), 'signet-ocsp-'));
const server = createServer((request, response) => {
  void buffer(request)
    .then((der) => ocsp.answer(der))
    .then(({ bytes, headers }) => response.writeHead(200, headers).end(bytes));
});
const file = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  database = await testDatabase();
  // openssl judges the answers by the real time.
  const clock = movableClock(new Date());
  now = clock.now();
  authority = await openTestAuthority(database, { clock });
  signals = createRevocationSignals();
  const feed = { positionAgeMs: () => 0 };
  statuses = createStatusReader({ ...authority, readRows: (serials) => readStatusRows(database.db, serials), signals, feed });
  ocsp = createOcspResponder({ ...authority, statuses, signals, feed });
  const { roots, active } = authority.authorities.snapshot();
  writeFileSync(file('root.pem'), roots[0]?.pem ?? '');
  writeFileSync(file('issuer.pem'), active.pem);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  server.close();
  await authority.authorities.close();
  await database.drop();
  rmSync(folder, { recursive: true });
});

/** What `openssl ocsp` says, on either stream, whatever its verdict. */
function said(options: string[]): Promise<string> {
  return new Promise((resolve) => execFile('openssl', ['ocsp', ...options], (_, stdout, stderr) => resolve(stdout + stderr)));
}

/** Asks the responder with `openssl ocsp`, which trusts only the root. */
function openssl(certificates: string[], ...options: string[]): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const named = certificates.flatMap((name) => ['-cert', file(name)]);
  return said([...options, '-issuer', file('issuer.pem'), ...named, '-url', `http://127.0.0.1:${port}/ocsp`, '-CAfile', file('root.pem'), '-verify_other', file('issuer.pem'), '-respout', file('response.der')]);
}

async function leaf(name: string, n: number): Promise<Buffer> {
  const { serial, der } = await issueLeaf(authority, n);
  writeFileSync(file(name), encodePem('CERTIFICATE', der));
  return serial;
}
const change = async (kind: 'revoked' | 'held' | 'released', serial: Buffer, reason = 0) => signals.changed([await changeStatus(database.db, { kind, serial, at: now, reason })]);

test('openssl ocsp: good, on hold, good again, revoked, with SHA-1 and SHA-256 CertIDs, with and without nonce', async () => {
  const serial = await leaf('leaf.pem', 1);
  expect(await openssl(['leaf.pem'], '-no_nonce')).toMatch(/leaf\.pem: good[\s\S]*Response verify OK/);
  await change('held', serial);
  expect(await openssl(['leaf.pem'], '-nonce')).toMatch(/leaf\.pem: revoked[\s\S]*Reason: certificateHold[\s\S]*Response verify OK/);
  await change('released', serial);
  expect(await openssl(['leaf.pem'], '-sha256')).toMatch(/leaf\.pem: good[\s\S]*Response verify OK/);
  await change('revoked', serial, 1);
  for (const options of [['-no_nonce'], ['-sha256', '-no_nonce'], ['-nonce'], ['-sha256', '-nonce']]) {
    const verdict = await openssl(['leaf.pem'], ...options);
    expect(verdict).toMatch(/leaf\.pem: revoked[\s\S]*Reason: keyCompromise[\s\S]*Response verify OK/);
    expect(verdict).not.toContain('no nonce');
  }
});

test('openssl ocsp: two certificates in one request are answered each', async () => {
  await leaf('a.pem', 2);
  await change('revoked', await leaf('b.pem', 3), 5);
  expect(await openssl(['a.pem', 'b.pem'])).toMatch(/a\.pem: good[\s\S]*b\.pem: revoked[\s\S]*cessationOfOperation/);
});

test('openssl ocsp: a certificate that was never stored is unknown (known-bad control)', async () => {
  const serial = await leaf('ghost.pem', 4);
  await database.ownerDb.$executeRaw`DELETE FROM certificates WHERE serial = ${new Uint8Array(serial)}`;
  expect(await openssl(['ghost.pem'])).toMatch(/ghost\.pem: unknown/);
});

test('openssl ocsp: an answer about another certificate or signed by nobody we trust is refused (known-bad control)', async () => {
  await leaf('c.pem', 5);
  await openssl(['c.pem'], '-no_nonce');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=stranger', '-keyout', file('stranger.key'), '-out', file('stranger.pem')], { stdio: 'pipe' });
  const judge = (root: string) =>
    said(['-no_nonce', '-issuer', file('issuer.pem'), '-cert', file('c.pem'), '-respin', file('response.der'), '-CAfile', file(root), '-verify_other', file('issuer.pem')]);
  expect(await judge('stranger.pem')).toMatch(/Response Verify Failure/i);
  expect(await judge('root.pem')).toMatch(/Response verify OK/);
});

test("openssl ocsp: Signet's own TLS certificate is known and good", async () => {
  writeFileSync(file('tls.pem'), authority.authorities.snapshot().tls?.certificateChainPem ?? '');
  expect(await openssl(['tls.pem'])).toMatch(/tls\.pem: good[\s\S]*Response verify OK/);
});

test('readStatusRows: finds serials of several days in one statement, leaves out those never issued or without a partition', async () => {
  const day = (n: number): Date => new Date(now.getTime() + n * 86_400_000);
  const { id } = authority.authorities.snapshot().active;
  const stored = [0, 1, 2, 2].map((days, n) => ({ serial: leafSerial(day(days), 100 + n), notAfter: day(days) }));
  await storeLeaves(database.db, id, stored);
  const absent = [leafSerial(day(1), 999), leafSerial(day(20_000), 999), leafSerial(new Date(0), 999)];
  const rows = await readStatusRows(database.db, [...stored.map((one) => one.serial), ...absent]);
  expect(rows.map((row) => row.serial.toString('hex')).toSorted()).toEqual(stored.map((one) => one.serial.toString('hex')).toSorted());
  expect(rows[0]).toMatchObject({ issuerId: id, agentId: LEAF_AGENT, revokedAt: null, reason: null, heldAt: null });
  expect(await readStatusRows(database.db, [])).toEqual([]);
});

test('rotation: whoever asks all the time gets only answers that verify, through renewals and the end of every responder', async () => {
  const { serial } = await issueLeaf(authority, 6);
  const { active, responderFor } = authority.authorities.snapshot();
  const question = ocspRequest(active.certificate, serial);
  const first = responderFor(active.id)?.id;
  const start = now.getTime();
  const signers = new Set<string>();
  const validityMs = authority.config.responderValidityDays * 86_400_000;
  // Twice the life of a responder, in steps that end on neither its end nor the half of it; the job runs at every fourth.
  const stepMs = Math.floor(validityMs / 97);
  for (let step = 0; step < 200; step++) {
    authority.clock.set(new Date(start + step * stepMs));
    if (step % 4 === 0 && (await renewDueResponders(authority, TEST_ORIGIN)) > 0) {
      // Before this replica has heard of it: the old responder still answers.
      readOcspAnswer((await ocsp.answer(question)).bytes, active.certificate, serial, authority.clock.now());
      await authority.authorities.reload();
    }
    const { bytes } = await ocsp.answer(question);
    const at = authority.clock.now();
    const said = readOcspAnswer(bytes, active.certificate, serial, at);
    expect(said.certStatus.status).toBe('good');
    const [der] = parseOcspResponse(bytes).basic?.certificates ?? [];
    const signer = parseCertificate(der as Buffer);
    // It verifies to its last moment, too.
    expect(readOcspAnswer(bytes, active.certificate, serial, said.nextUpdate as Date)).toEqual(said);
    expect(said.nextUpdate?.getTime()).toBe(Math.floor(at.getTime() / 1000) * 1000 + authority.config.ocspValiditySeconds * 1000);
    signers.add(signer.serial.toString('hex'));
  }
  authority.clock.set(now);
  expect(first).toBeDefined();
  expect(signers.size).toBeGreaterThanOrEqual(4);
});

test('certificate_statuses: the plan that is kept for all days reads one partition', async () => {
  const plan = await inTransaction(database.db, async (tx) => {
    await tx.$executeRawUnsafe('SET LOCAL plan_cache_mode = force_generic_plan');
    await tx.$executeRawUnsafe('PREPARE of_one_day (integer, bytea[]) AS SELECT serial FROM certificates c WHERE c.bucket = $1 AND c.serial = ANY ($2)');
    const rows = await tx.$queryRawUnsafe<{ 'QUERY PLAN': string }[]>("EXPLAIN EXECUTE of_one_day (20780, '{}')");
    await tx.$executeRawUnsafe('DEALLOCATE of_one_day');
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  });
  expect(plan).toMatch(/Subplans Removed: [1-9]/);
  expect([...new Set(plan.match(/certificates_d\d+/g))]).toHaveLength(1);
});

test('statusOf: a thousand serials in one question, answered in its order', async () => {
  const notAfter = new Date(now.getTime() + 3_000_000);
  const stored = Array.from({ length: 1_000 }, (_, n) => ({ serial: leafSerial(notAfter, 10_000 + n), notAfter }));
  await storeLeaves(database.db, authority.authorities.snapshot().active.id, stored);
  await change('revoked', stored[500]?.serial as Buffer, 4);
  const answers = [...(await statusOf({ statuses }, stored.map((one) => one.serial), now)).values()];
  expect(answers.map((one) => one.serial)).toEqual(stored.map((one) => one.serial.toString('hex')));
  expect(answers.filter((one) => one.status !== 'good').map((one) => [answers.indexOf(one), one.status, one.reason])).toEqual([[500, 'revoked', 'superseded']]);
});
