import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { activateAgent } from '../../src/agents/activate.ts';
import { changeAgent } from '../../src/agents/change.ts';
import { quarantineInstance, releaseInstance } from '../../src/agents/instances.ts';
import { resumeAgent } from '../../src/agents/resume.ts';
import { retireAgent } from '../../src/agents/retire.ts';
import { suspendAgent } from '../../src/agents/suspend.ts';
import { bytes } from '../../src/db/client.ts';
import { findAgentView } from '../../src/db/views/agents.ts';
import { listAuditViews } from '../../src/db/views/audit.ts';
import { after, agentFixture, feedOf, OPERATOR, seconds, statusColumns, type AgentFixture } from '../support/agents.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';

let database: TestDatabase;
let fixture: AgentFixture;
beforeAll(async () => {
  database = await testDatabase();
  fixture = await agentFixture(database);
});
afterAll(() => database.drop());

const eventsOf = async (agentId: string) => (await listAuditViews(database.db, { agentId }, { cursor: undefined, limit: 100, scanMax: 1000 })).items;
const hex = (serial: Buffer) => serial.toString('hex');

test('an agent with an owner is active at once; its registration is recorded, and no address stands in the event', async () => {
  const agent = await fixture.register({ name: 'billing', ownerEmail: 'ada@example.com', deputyEmail: 'bob@example.com', labels: { team: 'money' }, dnsNames: ['billing.example'], ttlCapSeconds: 1800 });
  expect(agent).toMatchObject({ state: 'active', version: 1, ownerEmail: 'ada@example.com', ownerState: 'active', deputyEmail: 'bob@example.com', labels: { team: 'money' }, dnsNames: ['billing.example'], ttlCapSeconds: 1800, createdAt: FIXED_NOW });
  expect(await findAgentView(database.db, agent.id)).toEqual(agent);

  const [event] = await eventsOf(agent.id);
  expect(event).toMatchObject({ kind: 'agent.registered', actor: OPERATOR.actor, requestId: OPERATOR.requestId, source: '127.0.0.1', detail: { name: 'billing', state: 'active', labels: { team: 'money' } } });
  const stored = await database.db.auditEvent.findUniqueOrThrow({ where: { n: event?.n ?? 0n } });
  expect(Buffer.from(stored.event).toString()).not.toContain('@');
  const personal = await database.db.auditPersonal.findMany({ where: { eventId: event?.id ?? '' } });
  expect(Object.fromEntries(personal.map(({ field, value }) => [field, value]))).toEqual({ ownerEmail: 'ada@example.com', deputyEmail: 'bob@example.com', purpose: 'testing' });
});

test('an agent without an owner is proposed, gets one, and is activated', async () => {
  const proposed = await fixture.register({ ownerEmail: undefined } as never);
  expect(proposed).toMatchObject({ state: 'proposed', ownerEmail: null });
  const changed = await changeAgent(fixture.ctx, OPERATOR, proposed.id, { changes: { ownerEmail: 'eve@example.com' }, version: 1, now: after(1) });
  expect(changed).toMatchObject({ state: 'proposed', ownerEmail: 'eve@example.com', version: 2 });
  const active = await activateAgent(fixture.ctx, OPERATOR, proposed.id, { reason: 'reviewed', now: after(2) });
  expect(active).toMatchObject({ state: 'active', stateReason: 'reviewed', version: 3, updatedAt: after(2) });
  expect(await findAgentView(database.db, proposed.id)).toEqual(active);
  expect(await activateAgent(fixture.ctx, OPERATOR, proposed.id, { reason: 'again', now: after(3) })).toEqual(active);
  expect((await eventsOf(proposed.id)).map((event) => event.kind)).toEqual(['agent.registered', 'agent.changed', 'agent.activated']);
});

test('a change sets what it names, records it, and leaves the rest; what is already so changes nothing', async () => {
  const agent = await fixture.register({ labels: { a: '1' }, deputyEmail: 'bob@example.com' });
  const changes = { purpose: 'reads invoices', labels: { b: '2' }, deputyEmail: null, ttlCapSeconds: 60, name: 'renamed' };
  const changed = await changeAgent(fixture.ctx, OPERATOR, agent.id, { changes, version: undefined, now: after(1) });
  expect(changed).toEqual({ ...agent, ...changes, version: 2, updatedAt: after(1) });
  expect(await findAgentView(database.db, agent.id)).toEqual(changed);
  expect(await changeAgent(fixture.ctx, OPERATOR, agent.id, { changes: { ...changes, ownerEmail: 'owner@example.com' }, version: 2, now: after(2) })).toEqual(changed);
  const events = await eventsOf(agent.id);
  expect(events).toHaveLength(2);
  expect(events[1]?.detail).toEqual({ version: 2, labels: { b: '2' }, ttlCapSeconds: 60, name: 'renamed' });
});

test('suspend holds every live certificate, resume releases exactly those holds', async () => {
  const { ctx, announced } = fixture;
  const agent = await fixture.register();
  const [one, other] = [await fixture.enroll(agent), await fixture.enroll(agent)];
  const expired = await fixture.store(one, { issuedAt: after(-seconds(7200)) });
  const revoked = await fixture.store(one);
  await database.db.certificate.updateMany({ where: { serial: bytes(revoked.serial) }, data: { revokedAt: FIXED_NOW, revocationReason: 4 } });
  await quarantineInstance(ctx, OPERATOR, other.instanceId, { reason: 'odd', now: FIXED_NOW });
  const feedBefore = (await feedOf(database)).length;
  announced.length = 0;

  const suspended = await suspendAgent(ctx, OPERATOR, agent.id, { reason: 'incident 7', now: after(1) });
  expect(suspended).toMatchObject({ state: 'suspended', stateReason: 'incident 7', version: 2 });
  const cause = `suspension:${suspended.suspensionId}`;
  expect(await statusColumns(database, one)).toMatchObject({ heldAt: after(1), holdCauses: [cause] });
  expect(await statusColumns(database, other)).toMatchObject({ heldAt: FIXED_NOW, holdCauses: [expect.stringMatching(/^quarantine:/), cause] });
  expect(await statusColumns(database, expired)).toMatchObject({ heldAt: null, holdCauses: [] });
  expect(await statusColumns(database, revoked)).toMatchObject({ heldAt: null, holdCauses: [] });
  // Everything of it that is not good now, whoever made it so.
  expect(announced.map((c) => hex(c.serial)).toSorted()).toEqual([one, other, revoked].map((c) => hex(c.serial)).toSorted());
  expect(await suspendAgent(ctx, OPERATOR, agent.id, { reason: 'again', now: after(2) })).toEqual(suspended);

  const resumed = await resumeAgent(ctx, OPERATOR, agent.id, { reason: undefined, now: after(3) });
  expect(resumed).toMatchObject({ state: 'active', stateReason: null, suspensionId: null, version: 3 });
  expect(await statusColumns(database, one)).toMatchObject({ heldAt: null, holdCauses: [] });
  expect(await statusColumns(database, other)).toMatchObject({ heldAt: FIXED_NOW, holdCauses: [expect.stringMatching(/^quarantine:/)] });
  expect((await feedOf(database)).slice(feedBefore)).toEqual(['agent-suspended', `held ${hex(one.serial)}`, 'agent-resumed', `released ${hex(one.serial)}`]);
  expect((await eventsOf(agent.id)).map((event) => event.kind).slice(-4)).toEqual(['agent.suspended', 'certificate.held', 'agent.resumed', 'certificate.released']);

  await releaseInstance(ctx, OPERATOR, other.instanceId, { reason: undefined, now: after(4) });
  expect(await statusColumns(database, other)).toMatchObject({ heldAt: null, holdCauses: [] });
});

test('retire revokes everything for ever, from suspension too, blocks the keys and frees the name', async () => {
  const agent = await fixture.register({ name: 'short-lived' });
  const leaf = await fixture.enroll(agent);
  await suspendAgent(fixture.ctx, OPERATOR, agent.id, { reason: undefined, now: after(1) });
  const retired = await retireAgent(fixture.ctx, OPERATOR, agent.id, { reason: undefined, note: 'project over', now: after(2) });
  expect(retired).toMatchObject({ state: 'retired', stateReason: 'project over', suspensionId: null });
  expect(await statusColumns(database, leaf)).toMatchObject({ revokedAt: after(2), revocationReason: 5 });
  expect(await database.db.publicKey.findUnique({ where: { keyHash: bytes(leaf.keyHash) } })).toMatchObject({ blockedAt: after(2) });
  expect((await feedOf(database)).slice(-2)).toEqual(['agent-retired', `revoked ${hex(leaf.serial)}`]);
  expect(await retireAgent(fixture.ctx, OPERATOR, agent.id, { reason: 'keyCompromise', note: undefined, now: after(3) })).toEqual(retired);
  expect(await statusColumns(database, leaf)).toMatchObject({ revokedAt: after(2), revocationReason: 5 });
  expect((await fixture.register({ name: 'short-lived' })).id).not.toBe(agent.id);
});
