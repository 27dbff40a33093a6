import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { changeAgent } from '../../src/agents/change.ts';
import { quarantineInstance } from '../../src/agents/instances.ts';
import { resumeAgent } from '../../src/agents/resume.ts';
import { retireAgent } from '../../src/agents/retire.ts';
import { suspendAgent } from '../../src/agents/suspend.ts';
import { encodeAuditEvent } from '../../src/audit/append.ts';
import { noBarrier, type BarrierName } from '../../src/core/barrier.ts';
import { createSystemRandom, ulid } from '../../src/core/random.ts';
import { bytes } from '../../src/db/client.ts';
import { commitCertificates, type CertificateCommit } from '../../src/db/commit.ts';
import { listAgentViews } from '../../src/db/views/agents.ts';
import { makeSerial } from '../../src/x509/serial.ts';
import { after, agentFixture, codeOf, OPERATOR, seconds, statusColumns, type AgentFixture } from '../support/agents.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';

const ISSUER = '01KAMV3W5QZ3C1D6X2G7R8S9T0';
const random = createSystemRandom();
let database: TestDatabase;
let fixture: AgentFixture;
beforeAll(async () => {
  database = await testDatabase();
  const { ownerDb } = database;
  const empty = bytes(Buffer.alloc(1));
  await ownerDb.keyEncryptionKey.create({ data: { id: 'k', source: 'file', checkValue: empty, createdAt: FIXED_NOW } });
  await ownerDb.keystoreKey.create({ data: { id: 'k', algorithm: 'ecdsa-p256', purpose: 'issuing', spki: empty, sealedPkcs8: empty, kekId: 'k', createdAt: FIXED_NOW } });
  await ownerDb.authorityCertificate.create({
    data: { id: ISSUER, kind: 'issuing', state: 'active', serial: empty, fingerprint: empty, subject: 'CN=test', ski: empty, keyId: 'k', algorithm: 'ecdsa-p256', der: empty, notBefore: FIXED_NOW, notAfter: after(seconds(1e6)), createdAt: FIXED_NOW },
  });
});
beforeEach(async () => {
  fixture = await agentFixture(database);
});
afterAll(() => database.drop());

/** A signed certificate with a join token of its own, on its way to its commit, as issuance makes it. */
async function commitOf(agentId: string): Promise<CertificateCommit> {
  const tokenId = ulid(FIXED_NOW, random);
  await database.db.joinToken.create({ data: { id: tokenId, secretHash: bytes(Buffer.alloc(32)), agentId, createdBy: 'test', createdAt: FIXED_NOW, expiresAt: after(seconds(3600)) } });
  const notAfter = after(seconds(3600));
  const serial = makeSerial(notAfter, random.bytes(16));
  const hash = createHash('sha256').update(serial).digest();
  const instanceId = ulid(FIXED_NOW, random);
  return {
    kind: 'enroll', agentId, agentVersion: 1, instanceId, tokenId, source: null, oldSerial: null, keyReuse: false, serial, issuerId: ISSUER, profile: 'agent', shard: 0, generation: 1,
    keyHash: hash, der: serial, notBefore: FIXED_NOW, notAfter, issuedAt: FIXED_NOW, idempotency: null,
    audit: encodeAuditEvent({ random }, OPERATOR, FIXED_NOW, {
      kind: 'certificate.issued', outcome: 'success', agentId, instanceId, serial, fingerprint: hash, authority: ISSUER, detail: { profile: 'agent', generation: 1, notAfter: notAfter.toISOString() },
    }),
  };
}

/** A barrier that can be waited for and opened. */
function gate(name: BarrierName) {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    barrier: (passed: BarrierName) => {
      if (passed !== name) return noBarrier(passed);
      reached.resolve();
      return opened.promise;
    },
  };
}

test('a certificate whose commit meets a suspension waits for it and is refused', async () => {
  const agent = await fixture.register();
  const signed = await commitOf(agent.id);
  const hold = gate('suspend:state-changed');
  const suspension = suspendAgent({ ...fixture.ctx, barrier: hold.barrier }, OPERATOR, agent.id, { reason: undefined, now: after(1) });
  await hold.reached;
  const commit = commitCertificates(database.db, [signed]);
  await Promise.race([commit, new Promise((resolve) => setTimeout(resolve, 100))]);
  // It does not wait for the lock: it is put back, and refused when it comes again.
  expect(await commit).toEqual(['agent-busy']);
  hold.open();
  await suspension;
  expect(await commitCertificates(database.db, [await commitOf(agent.id)])).toEqual(['agent-suspended']);
});

test.each([
  ['suspended', (id: string) => suspendAgent(fixture.ctx, OPERATOR, id, { reason: undefined, now: after(1) })],
  ['retired', (id: string) => retireAgent(fixture.ctx, OPERATOR, id, { reason: undefined, note: undefined, now: after(1) })],
])('of 60 certificates committed while their agent is %s, none stays good', async (_, stop) => {
  const agent = await fixture.register();
  const commits = await Promise.all(Array.from({ length: 60 }, () => commitOf(agent.id)));
  const first = commits.slice(0, 20).map((commit) => commitCertificates(database.db, [commit]));
  await first[0];
  const work = [...first, ...commits.slice(20, 40).map((commit) => commitCertificates(database.db, [commit]))];
  const stopped = stop(agent.id);
  work.push(...commits.slice(40).map((commit) => commitCertificates(database.db, [commit])));
  const verdicts = (await Promise.all(work)).flat();
  await stopped;

  expect(verdicts.filter((verdict) => verdict === 'committed').length).toBeGreaterThan(0);
  for (const [i, verdict] of verdicts.entries()) {
    if (verdict !== 'committed') continue;
    const status = await statusColumns(database, commits[i] ?? { serial: Buffer.alloc(0) });
    expect(status.heldAt ?? status.revokedAt).not.toBeNull();
  }
});

test('two stops that meet in one certificate refuse that one, and shift no verdict of its batch', async () => {
  const [stopped, other] = await Promise.all([fixture.register(), fixture.register()]);
  const first = await commitOf(stopped.id);
  const second = { ...(await commitOf(other.id)), profile: 'service', issuerId: 'another-issuer' };
  const stops = [{ kind: 'profile', target: first.profile }, { kind: 'issuer', target: first.issuerId }];
  await database.db.issuanceStop.createMany({ data: stops.map((stop) => ({ ...stop, cause: 'test', createdAt: FIXED_NOW })) });
  try {
    expect(await commitCertificates(database.db, [first, second])).toEqual(['issuance-stopped', 'issuer-unavailable']);
  } finally {
    await database.db.issuanceStop.deleteMany();
  }
});

test('a suspension killed before its commit leaves nothing behind', async () => {
  const agent = await fixture.register();
  const leaf = await fixture.enroll(agent);
  const before = await database.db.auditEvent.count();
  const killed = suspendAgent({ ...fixture.ctx, barrier: (name) => (name === 'suspend:before-commit' ? Promise.reject(new Error('killed')) : undefined) }, OPERATOR, agent.id, { reason: undefined, now: after(1) });
  await expect(killed).rejects.toThrow('killed');
  expect(await statusColumns(database, leaf)).toMatchObject({ heldAt: null, holdCauses: [] });
  expect(await database.db.agent.findUnique({ where: { id: agent.id } })).toMatchObject({ state: 'active', version: 1 });
  expect(await database.db.auditEvent.count()).toBe(before);
  expect(fixture.announced).toEqual([]);
});

test('sixteen suspensions, resumptions and quarantines at once end in one consistent state', async () => {
  const agent = await fixture.register();
  const leaves = await Promise.all(Array.from({ length: 8 }, () => fixture.enroll(agent)));
  const say = { reason: undefined, now: after(1) };
  await Promise.all(
    leaves.flatMap((leaf) => [
      suspendAgent(fixture.ctx, OPERATOR, agent.id, say),
      quarantineInstance(fixture.ctx, OPERATOR, leaf.instanceId, say),
      resumeAgent(fixture.ctx, OPERATOR, agent.id, say),
    ]),
  );
  await resumeAgent(fixture.ctx, OPERATOR, agent.id, say);
  for (const leaf of leaves) {
    const { holdCauses, heldAt } = await statusColumns(database, leaf);
    expect(holdCauses).toEqual([expect.stringMatching(/^quarantine:/)]);
    expect(heldAt).toEqual(after(1));
  }
});

test('of eight registrations of one name at once, one wins; of eight changes of one version, one', async () => {
  const names = await Promise.all(Array.from({ length: 8 }, () => codeOf(fixture.register({ name: 'contested', ownerEmail: 'crowd@example.com' }))));
  expect(names.toSorted()).toEqual([...Array<string>(7).fill('agent-name-taken'), 'none']);
  const { items } = await listAgentViews(database.db, { name: 'contested' }, { cursor: undefined, limit: 5, now: FIXED_NOW });
  const [agent] = items;
  const changes = await Promise.all(
    Array.from({ length: 8 }, (_, i) => codeOf(changeAgent(fixture.ctx, OPERATOR, agent?.id ?? '', { changes: { purpose: `purpose ${i}` }, version: 1, now: after(1) }))),
  );
  expect(changes.toSorted()).toEqual([...Array<string>(7).fill('agent-changed'), 'none']);
  expect(await database.db.owner.count({ where: { email: 'crowd@example.com' } })).toBe(1);
});
