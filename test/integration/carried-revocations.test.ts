/** Holds that a recovery carried over from a lost world, of certificates this database has no record of: an operator can release or revoke them by serial. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { bytes, inHotTransaction, inSnapshot, inTransaction } from '../../src/db/client.ts';
import { CERTIFICATE_HOLD, COMPLETE, readListed, type TakeListed } from '../../src/db/crls.ts';
import { readNotGood } from '../../src/db/feed-snapshot.ts';
import { readStatusRows } from '../../src/db/status.ts';
import { carryUnknown, layEvidence } from '../../src/db/worlds.ts';
import type { ApiRequest } from '../../src/http/handler.ts';
import { hold, release, revoke } from '../../src/http/revocations.ts';
import { makeSerial } from '../../src/x509/serial.ts';
import { after, agentFixture, codeOf, feedOf, OPERATOR, seconds, type AgentFixture } from '../support/agents.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';

const ISSUER = '01KAMV3W5QZ3C1D6X2G7R8S9T0';
const notAfter = after(seconds(3600));
const now = after(1_000);
let database: TestDatabase;
let fixture: AgentFixture;
let ctx: Context;
let serial: Buffer;
let hex: string;
let feedBefore: number;
beforeAll(async () => {
  database = await testDatabase();
  const { ownerDb } = database;
  const empty = bytes(Buffer.alloc(1));
  await ownerDb.keyEncryptionKey.create({ data: { id: 'k', source: 'file', checkValue: empty, createdAt: FIXED_NOW } });
  await ownerDb.keystoreKey.create({ data: { id: 'k', algorithm: 'ecdsa-p256', purpose: 'issuing', spki: empty, sealedPkcs8: empty, kekId: 'k', createdAt: FIXED_NOW } });
  await ownerDb.authorityCertificate.create({
    data: { id: ISSUER, kind: 'issuing', state: 'active', serial: empty, fingerprint: empty, subject: 'CN=test', ski: empty, keyId: 'k', algorithm: 'ecdsa-p256', der: empty, notBefore: FIXED_NOW, notAfter: after(seconds(1e6)), createdAt: FIXED_NOW },
  });
  fixture = await agentFixture(database);
  ctx = fixture.ctx as unknown as Context;
});
beforeEach(async () => {
  serial = makeSerial(notAfter, createSystemRandom().bytes(16));
  hex = serial.toString('hex');
  await recover(CERTIFICATE_HOLD);
  feedBefore = (await feedOf(database)).length;
  fixture.announced.length = 0;
});
afterAll(() => database.drop());

/** As `signet admin recover --restored` lays an entry of a list aside. */
const recover = (reason: number) =>
  inTransaction(database.ownerDb, async (tx) => {
    await layEvidence(tx, [{ issuerId: ISSUER, serial, revokedAt: FIXED_NOW, reason, shard: 0, notAfter }]);
    return carryUnknown(tx, FIXED_NOW);
  });
const asked = (body?: object) => ({ origin: OPERATOR, params: { serial: hex }, body, now }) as unknown as ApiRequest<{ serial: string }, never, never>;
const releaseIt = async () => (await release(ctx, asked())).json;
const holdIt = async () => (await hold(ctx, asked())).json;
const revokeIt = async (reason = 'keyCompromise') => (await revoke(ctx, asked({ reason }))).json;

async function status(): Promise<string> {
  const [row] = await readStatusRows(database.db, [serial]);
  return row === undefined ? 'unknown' : row.revokedAt ? `revoked ${row.reason}` : row.heldAt ? 'held' : 'good';
}
const listed = () =>
  inHotTransaction(database.db, async (tx) => {
    const entries: string[] = [];
    const take: TakeListed = (bytes, from, to, _at, reason) => void entries.push(`${bytes.toString('hex', from, to)} ${reason}`);
    await readListed(tx, { issuerId: ISSUER, shard: COMPLETE, expiredBefore: FIXED_NOW }, take, () => Promise.resolve());
    return entries.filter((entry) => entry.startsWith(hex)).map((entry) => entry.slice(hex.length + 1));
  });
/** What the snapshot of the live feed says of it. */
const snapshotOf = () =>
  inSnapshot(database.db, async (tx) => {
    const lines: string[] = [];
    for await (const page of readNotGood(tx, { notAfter: FIXED_NOW, identity: true, endedSince: FIXED_NOW, reasons: [] })) lines.push(...page);
    return lines.map((line) => JSON.parse(line) as { serial?: string; status?: string }).filter((line) => line.serial === hex).map((line) => line.status);
  }, 10_000);
const newsOf = async () => (await feedOf(database)).slice(feedBefore).map((line) => line.replace(hex, 'it'));
const audited = async () => (await database.db.auditEvent.findMany({ where: { serial: bytes(serial) }, orderBy: { n: 'asc' } })).map(({ kind, actorId }) => `${kind} ${actorId === OPERATOR.actor.id ? 'by the operator' : actorId}`);

test('released: on no list, never good, told once; again is no news', async () => {
  expect([await status(), await listed(), await snapshotOf()]).toEqual(['held', ['6'], ['held']]);
  for (let once = 0; once < 2; once++) expect(await releaseIt()).toEqual({ serial: hex, status: 'unknown' });
  expect([await status(), await listed(), await snapshotOf()]).toEqual(['unknown', [], []]);
  expect(await newsOf()).toEqual(['released it']);
  expect(await audited()).toEqual(['certificate.released by the operator']);
  expect(fixture.announced.map((changed) => changed.serial.toString('hex'))).toEqual([hex, hex]);
});

test('revoked: for good, with the first reason and time', async () => {
  expect(await revokeIt()).toEqual({ serial: hex, status: 'revoked', reason: 'keyCompromise', at: now.toISOString() });
  expect(await revokeIt('superseded')).toEqual({ serial: hex, status: 'revoked', reason: 'keyCompromise', at: now.toISOString() });
  expect([await status(), await listed(), await snapshotOf()]).toEqual(['revoked 1', ['1'], ['revoked']]);
  for (const work of [releaseIt, holdIt]) expect(await codeOf(work())).toBe('hold-conflict');
  expect(await codeOf(revokeIt('removeFromCRL'))).toBe('reason-not-allowed');
  expect([await newsOf(), await audited()]).toEqual([['revoked it'], ['certificate.revoked by the operator']]);
});

test('held is held; a released one may be held again, or revoked; what was not carried is not found', async () => {
  expect(await holdIt()).toEqual({ serial: hex, status: 'held', reason: 'certificateHold', at: FIXED_NOW.toISOString() });
  expect(await newsOf()).toEqual([]);
  await releaseIt();
  expect(await holdIt()).toMatchObject({ status: 'held', at: now.toISOString() });
  await releaseIt();
  expect(await revokeIt()).toMatchObject({ status: 'revoked' });
  expect(await newsOf()).toEqual(['released it', 'held it', 'released it', 'revoked it']);
  hex = makeSerial(notAfter, createSystemRandom().bytes(16)).toString('hex');
  for (const work of [releaseIt, holdIt, revokeIt]) expect(await codeOf(work())).toBe('certificate-not-found');
});

test('the next recovery: a newer list that holds or revokes wins over a release, and nothing over a revocation', async () => {
  expect(await recover(CERTIFICATE_HOLD)).toEqual([]);
  await releaseIt();
  expect((await recover(CERTIFICATE_HOLD)).length).toBe(1);
  expect(await status()).toBe('held');
  await revokeIt();
  expect(await recover(CERTIFICATE_HOLD)).toEqual([]);
  expect(await status()).toBe('revoked 1');
});

test('a death before the commit leaves neither change nor news', async () => {
  const dying = { ...ctx, barrier: (name: string) => (name === 'revoke:before-commit' ? Promise.reject(new Error('killed')) : undefined) } as unknown as Context;
  await expect(async () => release(dying, asked())).rejects.toThrow('killed');
  expect([await status(), await newsOf(), await audited()]).toEqual(['held', [], []]);
});

test('the service may change these rows, and neither add nor take any away', async () => {
  await expect(database.db.$executeRaw`DELETE FROM carried_revocations`).rejects.toThrow(/permission denied/);
  await expect(database.db.$executeRaw`INSERT INTO carried_revocations SELECT * FROM carried_revocations`).rejects.toThrow(/permission denied/);
});
