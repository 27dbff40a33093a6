/** A service with a past, a backup of it while it runs, what happens after, the loss, the restore, the recovery; judged by openssl, the lists and the API. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { parseCrl } from '../../src/x509/crl.ts';
import { decodePemAll, encodePem } from '../../src/x509/pem.ts';
import { emptyDatabase, testDatabase, type TestDatabase } from '../support/db.ts';
import { fileBarriersIn } from '../support/fault/barriers.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { jsonOf } from '../support/https-client.ts';
import { localJson, runLocal, spawnLocal, type LocalSite } from '../support/local-cli.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { identityOf, startService, type Identity, type Service } from '../support/service.ts';
import { startSignet } from '../support/signet-process.ts';

const LONG = 120_000;

interface Recovery {
  epoch: number;
  lostFrom: string;
  lostTo: string;
  lastEvidence: string;
  joinTokensVoided: number;
  revoked: number;
  held: number;
  carried: number;
  agents: string[];
}

/** Certificates by what becomes of them, and when: before the backup, or in what is lost after it. */
const NAMES = ['good', 'revokedBefore', 'heldBefore', 'revokedAfter', 'heldAfter', 'releasedAfter', 'issuedAfter', 'issuedAndRevokedAfter', 'issuedAndHeldAfter'] as const;
type Name = (typeof NAMES)[number];

let original: TestDatabase;
let copy: TestDatabase;
let dataDir: string;
let folder: string;
let service: Service;
const certificates = {} as Record<Name, Identity>;
let unspentToken: string;
let spentAfterToken: string;
let issuerId: string;
let lostNumber: bigint;
let backup: string;

const site = (database: TestDatabase, env: Record<string, string> = {}): LocalSite => ({ dataDir, database, env: { SIGNET_CRL_COPY_DIR: path.join(dataDir, 'copies'), ...env } });
const start = (database: TestDatabase) =>
  startService({ database, dataDir, env: { SIGNET_CRL_COPY_DIR: path.join(dataDir, 'copies') }, ...(service === undefined ? {} : { ports: service.signet.ports }) });
const list = async () => parseCrl((await service.status.send('GET', `/crl/${issuerId}/complete.crl`)).body);
const serialsOf = (der: Buffer) => new Map([...parseCrl(der).entries()].map(({ serial, reason }) => [serial.toString('hex').padStart(40, '0'), reason]));
const copies = () => fs.readdirSync(path.join(dataDir, 'copies')).filter((file) => file.startsWith(issuerId));

/** Starts where it must not: its exit code and what it said. */
async function refusedStart(database: TestDatabase): Promise<{ code: number | null; err: string }> {
  const signet = await startSignet({ database, dataDir, ports: service.signet.ports, env: { SIGNET_CRL_COPY_DIR: path.join(dataDir, 'copies') }, ready: false });
  const { code } = await signet.exited;
  await signet.stop();
  return { code, err: signet.stderr() };
}

beforeAll(async () => {
  original = await testDatabase();
  copy = await emptyDatabase();
  dataDir = temporaryFolder('signet-restored-');
  folder = temporaryFolder('signet-restored-files-');
  backup = path.join(folder, 'before.backup');
  service = await start(original);

  for (const name of ['good', 'revokedBefore', 'heldBefore', 'revokedAfter', 'heldAfter', 'releasedAfter'] as const) certificates[name] = await service.enrolled();
  await service.order(`/v1/certificates/${certificates.revokedBefore.serial}/revoke`, { reason: 'superseded' });
  for (const name of ['heldBefore', 'releasedAfter'] as const) await service.order(`/v1/certificates/${certificates[name].serial}/hold`);
  unspentToken = await service.joinToken(certificates.good.agentId);
  spentAfterToken = await service.joinToken(certificates.good.agentId);
  await localJson(site(original), ['backup', '--out', backup]);

  // What is lost.
  const pair = makeKeyAndCsr();
  certificates.issuedAfter = identityOf(await service.enroll(spentAfterToken, pair.csr), pair);
  certificates.issuedAndRevokedAfter = await service.enrolled();
  certificates.issuedAndHeldAfter = await service.enrolled();
  for (const name of ['revokedAfter', 'issuedAndRevokedAfter'] as const) await service.order(`/v1/certificates/${certificates[name].serial}/revoke`, { reason: 'keyCompromise' });
  for (const name of ['heldAfter', 'issuedAndHeldAfter'] as const) await service.order(`/v1/certificates/${certificates[name].serial}/hold`);
  await service.order(`/v1/certificates/${certificates.releasedAfter.serial}/release`);

  const issuer = decodePemAll(certificates.good.chain, 'CERTIFICATE')[1] as Buffer;
  fs.writeFileSync(path.join(folder, 'issuer.pem'), encodePem('CERTIFICATE', issuer));
  fs.writeFileSync(path.join(folder, 'root.pem'), service.signet.rootPem);
  const { rows } = await query<{ id: string }>(original, "SELECT id FROM authority_certificates WHERE kind = 'issuing'");
  issuerId = rows[0]?.id ?? '';
  for (;;) {
    const [newest] = copies();
    const listed = newest === undefined ? new Map<string, number>() : serialsOf(fs.readFileSync(path.join(dataDir, 'copies', newest)));
    if (listed.has(certificates.issuedAndHeldAfter.serial) && !listed.has(certificates.releasedAfter.serial)) break;
    await sleep(50);
  }
  await service.signet.stop();
  const [newest = ''] = copies();
  lostNumber = parseCrl(fs.readFileSync(path.join(dataDir, 'copies', newest))).crlNumber ?? 0n;
}, LONG);
afterAll(async () => {
  await service.signet.stop();
  await Promise.all([original.drop(), copy.drop()]);
  for (const dir of [dataDir, folder]) fs.rmSync(dir, { recursive: true, force: true });
}, LONG);

async function query<R extends pg.QueryResultRow>(database: TestDatabase, sql: string): Promise<pg.QueryResult<R>> {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  try {
    return await client.query<R>(sql);
  } finally {
    await client.end();
  }
}

/** What openssl makes of each certificate. */
function ocsp(): Record<string, string> {
  const asked = NAMES.flatMap((name) => ['-serial', `0x${certificates[name].serial}`]);
  const { stdout, stderr } = spawnSync('openssl', ['ocsp', '-issuer', 'issuer.pem', '-url', `${service.signet.urls.status}/ocsp`, '-CAfile', 'root.pem', '-verify_other', 'issuer.pem', ...asked], { cwd: folder, encoding: 'utf8' });
  expect(stderr).toContain('Response verify OK');
  return Object.fromEntries(
    NAMES.map((name) => {
      const [, status = 'no answer', reason] = new RegExp(`0x${certificates[name].serial}: (\\w+)(?:\\n\\t(?!Reason).*)*(?:\\n\\tReason: (\\w+))?`).exec(stdout) ?? [];
      return [name, status === 'revoked' ? (reason ?? status) : status];
    }),
  );
}

async function statuses(): Promise<Record<string, string>> {
  const serials = NAMES.map((name) => certificates[name].serial);
  const reply = await service.admin.send('POST', '/v1/status', { json: { serials } });
  const found = new Map(jsonOf<{ statuses: { serial: string; status: string; reason?: string }[] }>(reply).statuses.map((s) => [s.serial, s.reason ?? s.status]));
  return Object.fromEntries(NAMES.map((name) => [name, found.get(certificates[name].serial) ?? 'none']));
}

describe('a backup', () => {
  test('is whole, readable by its owner only, and says where the key is that is not in it', async () => {
    expect(fs.statSync(backup).mode & 0o777).toBe(0o600);
    const { code, out } = await runLocal(site(original), ['backup', 'verify', backup]);
    expect(code).toBe(0);
    expect(out).toContain('0004_worlds');
    const said = await runLocal(site(original), ['backup', '--out', path.join(folder, 'second.backup')]);
    expect(said).toMatchObject({ code: 0, out: expect.stringContaining(`The key-encryption key is not in it: it is ${path.join(dataDir, 'test-kek')}`) as unknown as string });
    const kek = fs.readFileSync(path.join(dataDir, 'test-kek'), 'utf8').trim();
    const bytes = fs.readFileSync(path.join(folder, 'second.backup'));
    for (const form of [kek, Buffer.from(kek, 'base64').toString('hex')]) expect(bytes.includes(form)).toBe(false);
    expect(await runLocal(site(original), ['backup', '--out', backup])).toMatchObject({ code: 1, err: expect.stringContaining('already there') as unknown as string });
    expect(await runLocal(site(original), ['backup', '--out', path.join(dataDir, 'no/such/folder/b')])).toMatchObject({ code: 73 });
    // Every table is in it, and none has a sequence, which would have to be in it as well.
    const { rows } = await query<{ sequences: string }>(original, 'SELECT count(*) AS sequences FROM pg_sequences');
    expect(rows[0]?.sequences).toBe('0');
  }, LONG);

  test('cut off, extended, or with any bit flipped is refused before anything is touched', async () => {
    const whole = fs.readFileSync(backup);
    const flipped = (at: number) => {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x01, at);
      return bytes;
    };
    const bad = [
      whole.subarray(0, 10), whole.subarray(0, whole.length - 1), whole.subarray(0, whole.length >> 1), Buffer.concat([whole, Buffer.from('\n')]), Buffer.alloc(0), Buffer.alloc(100_000),
      ...[0, 20, 2_000, whole.length >> 1, whole.length - 80, whole.length - 5].map(flipped),
    ];
    const file = path.join(folder, 'bad.backup');
    for (const [i, bytes] of bad.entries()) {
      fs.writeFileSync(file, bytes);
      const args = i % 2 === 0 ? ['backup', 'verify', file] : ['restore', '--from', file];
      expect([i, await runLocal(site(copy), args)]).toEqual([i, { code: 1, out: '', err: expect.stringContaining('is not a whole backup') as unknown as string }]);
    }
    const { rows } = await query<{ tables: string }>(copy, "SELECT count(*) AS tables FROM pg_class WHERE relnamespace = 'public'::regnamespace");
    expect(rows[0]?.tables).toBe('0');
  }, LONG);
});

describe('a restore', () => {
  test('into a database that is not empty is refused, be it the cluster’s own or another one’s', async () => {
    const before = (await query(original, 'SELECT * FROM counters ORDER BY name')).rows;
    expect(await runLocal(site(original), ['restore', '--from', backup])).toMatchObject({ code: 1, err: expect.stringContaining('not empty') as unknown as string });
    expect((await query(original, 'SELECT * FROM counters ORDER BY name')).rows).toEqual(before);
  }, LONG);

  test.each(['restore:begun', 'restore:loaded'] as const)('killed at %s: no Signet starts, other commands refuse, and the same restore goes on', async (step) => {
    const barriers = fileBarriersIn(path.join(folder, 'barriers'));
    barriers.arm(step);
    const child = spawnLocal(site(copy, { SIGNET_FAULT_BARRIERS_DIR: path.join(folder, 'barriers') }), ['restore', '--from', backup]);
    const ended = new Promise((resolve) => child.once('close', resolve));
    await barriers.reached(step);
    child.kill('SIGKILL');
    await ended;
    barriers.release(step);
    expect(await refusedStart(copy)).toMatchObject({ code: 78, err: expect.stringContaining('run signet restore again') as unknown as string });
    for (const args of [['migrate'], ['migrate', '--check'], ['backup', '--out', path.join(folder, 'none.backup')], ['admin', 'recover', '--restored']]) expect([args, (await runLocal(site(copy), args)).code]).toEqual([args, 78]);
    expect(await runLocal(site(copy), ['restore', '--from', path.join(folder, 'second.backup')])).toMatchObject({ code: 1, err: expect.stringContaining('another backup') as unknown as string });
  }, LONG);

  test('brings every row back, byte for byte', async () => {
    await localJson(site(copy), ['restore', '--from', backup]);
    const digest = "SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) AS digest FROM";
    const { rows: last } = await query<{ n: string }>(copy, 'SELECT max(n) - 1 AS n FROM audit_events');
    const until = `(SELECT n, id, at, event FROM audit_events WHERE n <= ${last[0]?.n}) t`;
    expect((await query(copy, `${digest} ${until}`)).rows).toEqual((await query(original, `${digest} ${until}`)).rows);
    const personal = `(SELECT p.* FROM audit_personal p JOIN audit_events e ON e.id = p.event_id WHERE e.n <= ${last[0]?.n}) t`;
    expect((await query(copy, `${digest} ${personal}`)).rows).toEqual((await query(original, `${digest} ${personal}`)).rows);
    for (const table of ['key_encryption_keys', 'keystore_keys', 'authority_certificates', 'owners']) {
      expect([table, (await query(copy, `${digest} ${table} t`)).rows]).toEqual([table, (await query(original, `${digest} ${table} t`)).rows]);
    }
    expect(await runLocal(site(copy), ['restore', '--from', backup])).toMatchObject({ code: 1, err: expect.stringContaining('not empty') as unknown as string });
  }, LONG);
});

describe('a restored database', () => {
  test('is not started, not given tokens for, and not recovered by who lacks its key', async () => {
    const { code, err } = await refusedStart(copy);
    expect(code).toBe(78);
    expect(err).toContain('signet admin recover --restored');
    expect(err).toContain('a backup was restored into it');
    expect(err).toMatch(new RegExp(`list ${issuerId}/complete was published with number ${lostNumber}`));
    expect(err).toMatch(/this machine has seen audit event \d+ and feed event \d+, the database ends at/);
    expect(err).toContain('its tables were copied here');
    expect(await runLocal(site(copy), ['admin', 'recover', '--out', path.join(folder, 'token')])).toMatchObject({ code: 1, err: expect.stringContaining('--restored first') as unknown as string });
    expect(await runLocal(site(copy), ['admin', 'recover', '--moved'])).toMatchObject({ code: 1 });
    const other = path.join(folder, 'other-kek');
    fs.writeFileSync(other, Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7)).toString('base64'), { mode: 0o600 });
    expect(await runLocal(site(copy, { SIGNET_KEK_FILE: other }), ['admin', 'recover', '--restored'])).toMatchObject({ code: 78, err: expect.stringContaining('wrong key-encryption key') as unknown as string });
    expect(fs.existsSync(path.join(folder, 'token'))).toBe(false);
  }, LONG);

  test('evidence that is no list of ours, is forged, or of the future is refused', async () => {
    const [newest = ''] = copies();
    const der = fs.readFileSync(path.join(dataDir, 'copies', newest));
    const forged = Buffer.from(der);
    forged.writeUInt8(forged.readUInt8(forged.length - 3) ^ 1, forged.length - 3);
    const cases: [Buffer, RegExp][] = [[forged, /signature/], [Buffer.from('no list'), /no certificate revocation list/], [der.subarray(0, der.length - 40), /no certificate revocation list/]];
    for (const [bytes, why] of cases) {
      const file = path.join(folder, 'evidence.crl');
      fs.writeFileSync(file, bytes);
      const { code, err } = await runLocal(site(copy), ['admin', 'recover', '--restored', '--crl', file]);
      expect([code, err]).toEqual([1, expect.stringMatching(why)]);
    }
    expect((await query(copy, 'SELECT epoch FROM cluster')).rows).toEqual([{ epoch: 1 }]);
  }, LONG);

  test('killed in the middle of its recovery it is what it was; recovered, nothing that was revoked is good', async () => {
    const barriers = fileBarriersIn(path.join(folder, 'barriers'));
    barriers.arm('recover:before-commit');
    const child = spawnLocal(site(copy, { SIGNET_FAULT_BARRIERS_DIR: path.join(folder, 'barriers') }), ['admin', 'recover', '--restored']);
    const ended = new Promise((resolve) => child.once('close', resolve));
    await barriers.reached('recover:before-commit');
    child.kill('SIGKILL');
    await ended;
    barriers.release('recover:before-commit');
    expect((await refusedStart(copy)).code).toBe(78);

    const { recovery } = await localJson<{ recovery: Recovery }>(site(copy), ['admin', 'recover', '--restored', '--out', path.join(folder, 'token')]);
    expect(recovery).toMatchObject({ epoch: 2, revoked: 1, held: 1, carried: 2, joinTokensVoided: 2, agents: [certificates.revokedAfter.agentId, certificates.heldAfter.agentId].toSorted() });
    expect(recovery.lostFrom < recovery.lastEvidence && recovery.lastEvidence <= recovery.lostTo).toBe(true);
    expect(await runLocal(site(copy), ['admin', 'recover', '--restored'])).toMatchObject({ code: 1, err: expect.stringContaining('nothing shows') as unknown as string });

    service = await start(copy);
    const expected: Record<Name, string> = {
      good: 'good', revokedBefore: 'superseded', heldBefore: 'certificateHold', revokedAfter: 'keyCompromise', heldAfter: 'certificateHold',
      releasedAfter: 'certificateHold', issuedAfter: 'unknown', issuedAndRevokedAfter: 'keyCompromise', issuedAndHeldAfter: 'certificateHold',
    };
    expect(ocsp()).toEqual(expected);
    expect(await statuses()).toEqual(expected);

    const published = await list();
    expect(published.crlNumber).toBeGreaterThan(lostNumber);
    const entries = serialsOf(published.der);
    const listed = NAMES.filter((name) => !['good', 'unknown'].includes(expected[name]));
    expect([...entries.keys()].toSorted()).toEqual(listed.map((name) => certificates[name].serial).toSorted());
    fs.writeFileSync(path.join(folder, 'list.crl'), published.der);
    expect(spawnSync('openssl', ['crl', '-inform', 'DER', '-in', 'list.crl', '-noout', '-CAfile', 'issuer.pem'], { cwd: folder, encoding: 'utf8' }).stderr).toContain('verify OK');
  }, LONG);

  test('after it: join tokens are void, instances of the old world renew, those of the lost one enroll again, the new token works, and all of it is in the audit log', async () => {
    for (const token of [unspentToken, spentAfterToken]) expect(jsonOf(await service.enroll(token, makeKeyAndCsr().csr))).toMatchObject({ code: 'join-token-expired' });
    expect((await service.renew(certificates.good, makeKeyAndCsr().csr)).status).toBe(201);
    expect((await service.renew(certificates.issuedAfter, makeKeyAndCsr().csr)).status).toBe(401);
    expect((await service.renew(certificates.revokedAfter, makeKeyAndCsr().csr)).status).toBe(403);
    const again = await service.enrolled(certificates.issuedAfter.agentId);
    expect(again.instanceId).not.toBe(certificates.issuedAfter.instanceId);

    const token = fs.readFileSync(path.join(folder, 'token'), 'utf8').trim();
    const me = await service.open.send('GET', '/v1/agents', { headers: { authorization: `Bearer ${token}` } });
    expect(me.status).toBe(200);
    const { rows } = await query<{ kind: string; count: string }>(copy, "SELECT kind, count(*) FROM audit_events WHERE actor_kind = 'command' AND actor_id IN ('recover', 'restore') GROUP BY kind ORDER BY kind");
    expect(rows).toEqual([
      { kind: 'admin-token.created', count: '1' }, { kind: 'certificate.held', count: '2' }, { kind: 'certificate.revoked', count: '2' }, { kind: 'join-token.voided', count: '2' },
      { kind: 'log.ended', count: '1' }, { kind: 'world.recovered', count: '1' }, { kind: 'world.restored', count: '1' },
    ]);
    expect((await query(copy, 'SELECT DISTINCT epoch FROM feed_events WHERE n > (SELECT after_feed_n FROM worlds) ORDER BY 1')).rows).toEqual([{ epoch: 2 }]);
    await service.signet.stop();
    expect(JSON.parse(fs.readFileSync(path.join(dataDir, 'world.json'), 'utf8'))).toMatchObject({ epoch: 2 });
  }, LONG);

  test('what was carried over an operator decides: released it is on no list and unknown, revoked it stays', async () => {
    service = await start(copy);
    const { issuedAndHeldAfter, issuedAndRevokedAfter } = certificates;
    const shown = jsonOf(await service.order(`/v1/certificates/${issuedAndHeldAfter.serial}/release`));
    expect(shown).toEqual({ serial: issuedAndHeldAfter.serial, status: 'unknown' });
    expect(ocsp()).toMatchObject({ issuedAndHeldAfter: 'unknown', issuedAndRevokedAfter: 'keyCompromise', heldAfter: 'certificateHold' });
    expect(await statuses()).toMatchObject({ issuedAndHeldAfter: 'unknown' });
    while (serialsOf((await list()).der).has(issuedAndHeldAfter.serial)) await sleep(50);
    expect((await service.admin.send('POST', `/v1/certificates/${issuedAndRevokedAfter.serial}/release`, { json: {} })).status).toBe(409);
    await service.order(`/v1/certificates/${issuedAndHeldAfter.serial}/revoke`, { reason: 'superseded' });
    expect(ocsp()).toMatchObject({ issuedAndHeldAfter: 'superseded' });
    await service.signet.stop();
  }, LONG);

  test('the world that was left is not taken for this one: its database is refused, too', async () => {
    expect(await refusedStart(original)).toMatchObject({ code: 78, err: expect.stringContaining('this machine has seen epoch 2, the database is in epoch 1') as unknown as string });
  }, LONG);
});
