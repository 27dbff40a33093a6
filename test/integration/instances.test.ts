import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { quarantineInstance, releaseInstance, revokeInstance } from '../../src/agents/instances.ts';
import { resolveFinding } from '../../src/agents/resolve-finding.ts';
import { retireAgent } from '../../src/agents/retire.ts';
import { bytes, inTransaction } from '../../src/db/client.ts';
import { insertFinding } from '../../src/db/findings.ts';
import { listAuditViews } from '../../src/db/views/audit.ts';
import { listFindingViews } from '../../src/db/views/findings.ts';
import { findInstanceView, listInstanceViews } from '../../src/db/views/instances.ts';
import { after, agentFixture, feedOf, OPERATOR, statusColumns, type AgentFixture } from '../support/agents.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let database: TestDatabase;
let fixture: AgentFixture;
beforeAll(async () => {
  database = await testDatabase();
  fixture = await agentFixture(database);
});
afterAll(() => database.drop());

const page = { cursor: undefined, limit: 10 };
const kindsOf = async (instanceId: string) => (await listAuditViews(database.db, { instanceId }, { ...page, scanMax: 1000 })).items.map((event) => event.kind);

test('a quarantine touches one instance only; its release gives back exactly what it held and closes its findings', async () => {
  const { ctx } = fixture;
  const agent = await fixture.register();
  const [suspect, sibling] = [await fixture.enroll(agent), await fixture.enroll(agent)];
  const byHand = await fixture.store(suspect);
  await database.db.certificate.updateMany({ where: { serial: bytes(byHand.serial) }, data: { heldAt: after(0), holdCauses: ['operator'] } });

  const quarantined = await quarantineInstance(ctx, OPERATOR, suspect.instanceId, { reason: 'copied-key', serial: suspect.serial, now: after(1) });
  expect(quarantined).toMatchObject({ state: 'quarantined', quarantineReason: 'copied-key', updatedAt: after(1) });
  expect(await findInstanceView(database.db, suspect.instanceId)).toEqual(quarantined);
  expect(await quarantineInstance(ctx, OPERATOR, suspect.instanceId, { reason: 'copied-key', serial: suspect.serial, now: after(2) })).toEqual(quarantined);
  // Another reason changes nothing, and the answer shows the first.
  expect(await quarantineInstance(ctx, OPERATOR, suspect.instanceId, { reason: 'incident 7', now: after(2) })).toMatchObject({ quarantineReason: 'copied-key', updatedAt: after(1) });
  expect((await statusColumns(database, suspect)).heldAt).toEqual(after(1));
  expect((await statusColumns(database, sibling)).heldAt).toBeNull();
  const { items: open } = await listFindingViews(database.db, { open: true, instanceId: suspect.instanceId }, page);
  expect(open).toMatchObject([{ kind: 'copied-key', agentId: agent.id, serial: suspect.serial, createdAt: after(1), resolvedAt: null }]);

  const released = await releaseInstance(ctx, OPERATOR, suspect.instanceId, { reason: 'restored snapshot', now: after(3) });
  expect(released).toMatchObject({ state: 'active', quarantineId: null, quarantineReason: null });
  expect(await releaseInstance(ctx, OPERATOR, suspect.instanceId, { reason: undefined, now: after(4) })).toEqual(released);
  expect((await statusColumns(database, suspect)).heldAt).toBeNull();
  expect(await statusColumns(database, byHand)).toMatchObject({ heldAt: after(0), holdCauses: ['operator'] });
  expect((await listFindingViews(database.db, { open: true, instanceId: suspect.instanceId }, page)).items).toEqual([]);
  expect((await listFindingViews(database.db, { open: false, instanceId: suspect.instanceId }, page)).items).toMatchObject([{ resolvedAt: after(3) }]);

  const serial = suspect.serial.toString('hex');
  expect(await feedOf(database)).toEqual(['instance-quarantined', `held ${serial}`, 'instance-released', `released ${serial}`]);
  expect(await kindsOf(suspect.instanceId)).toEqual(['instance.quarantined', 'certificate.held', 'finding.raised', 'instance.released', 'certificate.released']);
});

test('a finding of an active instance is closed by itself, once; the instance stays as it is', async () => {
  const { ctx } = fixture;
  const leaf = await fixture.enroll(await fixture.register());
  const id = '01KAMV3W5QZ3C1D6X2G7R8S9TD';
  await inTransaction(database.db, (tx) => insertFinding(tx, { id, kind: 'successor-displaced', agentId: leaf.agentId, instanceId: leaf.instanceId, serial: leaf.serial, createdAt: after(0) }));
  const closed = await resolveFinding(ctx, OPERATOR, id, { reason: 'a lost answer', now: after(1) });
  expect(closed).toMatchObject({ id, kind: 'successor-displaced', serial: leaf.serial, resolvedAt: after(1) });
  expect(await resolveFinding(ctx, OPERATOR, id, { reason: 'again', now: after(2) })).toEqual(closed);
  expect((await listFindingViews(database.db, { instanceId: leaf.instanceId }, page)).items).toEqual([closed]);
  expect((await listAuditViews(database.db, { target: id }, { ...page, scanMax: 1000 })).items).toMatchObject([
    { kind: 'finding.resolved', agentId: leaf.agentId, instanceId: leaf.instanceId, serial: leaf.serial, detail: { finding: 'successor-displaced' } },
  ]);
  expect((await findInstanceView(database.db, leaf.instanceId))?.state).toBe('active');
  await expect(resolveFinding(ctx, OPERATOR, `${id.slice(0, -1)}E`, { reason: undefined, now: after(3) })).rejects.toMatchObject({ code: 'finding-not-found' });
});

test('an instance is revoked for ever, from quarantine too, and its agent goes on', async () => {
  const { ctx } = fixture;
  const agent = await fixture.register();
  const [copied, sibling] = [await fixture.enroll(agent), await fixture.enroll(agent)];
  await quarantineInstance(ctx, OPERATOR, copied.instanceId, { reason: 'copied-key', serial: copied.serial, now: after(1) });
  const revoked = await revokeInstance(ctx, OPERATOR, copied.instanceId, { reason: 'keyCompromise', now: after(2) });
  expect(revoked).toMatchObject({ state: 'revoked', quarantineId: null });
  expect(await statusColumns(database, copied)).toMatchObject({ revokedAt: after(2), revocationReason: 1 });
  expect(await statusColumns(database, sibling)).toMatchObject({ revokedAt: null });
  expect(await revokeInstance(ctx, OPERATOR, copied.instanceId, { reason: 'superseded', now: after(3) })).toEqual(revoked);
  expect(await statusColumns(database, copied)).toMatchObject({ revokedAt: after(2), revocationReason: 1 });
  expect((await listFindingViews(database.db, { agentId: agent.id, open: true }, page)).items).toEqual([]);
});

test('instances of an agent are listed page by page, by state', async () => {
  const agent = await fixture.register();
  const leaves = [];
  for (let i = 0; i < 5; i++) leaves.push(await fixture.enroll(agent, { issuedAt: after(i) }));
  await fixture.enroll(await fixture.register());
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const { items, nextCursor } = await listInstanceViews(database.db, { agentId: agent.id }, { cursor: cursor ?? undefined, limit: 2 });
    seen.push(...items.map((instance) => instance.id));
    cursor = nextCursor;
  } while (cursor !== null);
  expect(seen).toEqual(leaves.map((leaf) => leaf.instanceId));
  await revokeInstance(fixture.ctx, OPERATOR, seen[1] ?? '', { reason: 'superseded', now: after(9) });
  expect((await listInstanceViews(database.db, { agentId: agent.id, state: 'revoked' }, page)).items.map((instance) => instance.id)).toEqual([seen[1]]);
});

test('an agent with more certificates than one statement can carry is retired whole', async () => {
  const agent = await fixture.register();
  const leaf = await fixture.enroll(agent);
  // 6,000 copies of it with serials of their own.
  await database.ownerDb.$executeRaw`
    INSERT INTO certificates (bucket, serial, issuer_id, agent_id, instance_id, profile, shard, generation, fingerprint, key_hash, der, not_before, not_after, issued_at)
    SELECT bucket, substring(serial FOR 16) || int4send(i), issuer_id, agent_id, instance_id, profile, shard, generation, fingerprint, key_hash, der, not_before, not_after, issued_at
    FROM certificates, generate_series(1, 6000) AS i WHERE serial = ${bytes(leaf.serial)}`;
  const retired = await retireAgent(fixture.ctx, OPERATOR, agent.id, { reason: undefined, note: undefined, now: after(1) });
  expect(retired.state).toBe('retired');
  expect(await database.db.certificate.count({ where: { agentId: agent.id, revokedAt: null } })).toBe(0);
  expect(await database.db.auditEvent.count({ where: { agentId: agent.id, kind: 'certificate.revoked' } })).toBe(6001);
});
