import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { activateAgent } from '../../src/agents/activate.ts';
import { changeAgent } from '../../src/agents/change.ts';
import { quarantineInstance, releaseInstance, revokeInstance } from '../../src/agents/instances.ts';
import { resumeAgent } from '../../src/agents/resume.ts';
import { retireAgent } from '../../src/agents/retire.ts';
import { suspendAgent } from '../../src/agents/suspend.ts';
import type { ChangeAgentBody } from '../../src/api/agents.ts';
import { after, agentFixture, codeOf, OPERATOR, type AgentFixture } from '../support/agents.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let database: TestDatabase;
let fixture: AgentFixture;
beforeAll(async () => {
  database = await testDatabase();
  fixture = await agentFixture(database);
});
afterAll(() => database.drop());

const NOBODY = '01KAMV3W5QZ3C1D6X2G7R8S9TZ';
const say = { reason: undefined, now: after(1) };
const change = (id: string, changes: ChangeAgentBody, version?: number) => changeAgent(fixture.ctx, OPERATOR, id, { changes, version, now: after(1) });
/** Everything a refused use case could have written. */
const everything = async () => {
  const { db } = database;
  return { agents: await db.agent.findMany({ orderBy: { id: 'asc' } }), owners: await db.owner.count(), audit: await db.auditEvent.count(), feed: await db.feedEvent.count(), instances: await db.instance.findMany({ orderBy: { id: 'asc' } }) };
};

test('a refused registration or change has its code and changes nothing, an owner seen for the first time included', async () => {
  const agent = await fixture.register({ name: 'taken' });
  const other = await fixture.register();
  await database.db.owner.create({ data: { id: 'x', email: 'gone@example.com', state: 'suspended', createdAt: after(0) } });
  const before = await everything();
  const fresh = 'new@example.com';

  expect(await codeOf(fixture.register({ name: 'taken', ownerEmail: fresh }))).toBe('agent-name-taken');
  expect(await codeOf(fixture.register({ ownerEmail: 'gone@example.com' }))).toBe('owner-suspended');
  expect(await codeOf(fixture.register({ dnsNames: ['localhost'], ownerEmail: fresh }))).toBe('dns-name-reserved');
  expect(await codeOf(fixture.register({ profile: 'nonesuch', ownerEmail: fresh }))).toBe('profile-not-found');
  expect(await codeOf(fixture.register({ ttlCapSeconds: 1e9, ownerEmail: fresh }))).toBe('ttl-not-granted');
  expect(await codeOf(fixture.register({ labels: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, ''])) }))).toBe('invalid-request');

  expect(await codeOf(change(NOBODY, { purpose: 'x' }))).toBe('agent-not-found');
  expect(await codeOf(change(agent.id, { purpose: 'x' }, 7))).toBe('agent-changed');
  expect(await codeOf(change(other.id, { name: 'taken', ownerEmail: fresh }))).toBe('agent-name-taken');
  expect(await codeOf(change(agent.id, { ownerEmail: 'gone@example.com' }))).toBe('owner-suspended');
  expect(await codeOf(change(agent.id, { dnsNames: ['127.0.0.1'] }))).toBe('invalid-request');
  expect(await codeOf(change(agent.id, { profile: 'ephemeral', ttlCapSeconds: 601 }))).toBe('ttl-not-granted');
  expect(await everything()).toEqual(before);
});

test('each state refuses what its table says, with its code', async () => {
  const { ctx } = fixture;
  const proposed = await fixture.register({ ownerEmail: undefined } as never);
  const active = await fixture.register();
  const suspended = await fixture.register();
  await suspendAgent(ctx, OPERATOR, suspended.id, say);
  const retired = await fixture.register();
  await retireAgent(ctx, OPERATOR, retired.id, { ...say, note: undefined });
  const before = await everything();

  expect(await codeOf(activateAgent(ctx, OPERATOR, proposed.id, say))).toBe('owner-required');
  expect(await codeOf(suspendAgent(ctx, OPERATOR, proposed.id, say))).toBe('agent-state-conflict');
  expect(await codeOf(resumeAgent(ctx, OPERATOR, proposed.id, say))).toBe('agent-state-conflict');
  expect(await codeOf(activateAgent(ctx, OPERATOR, suspended.id, say))).toBe('agent-state-conflict');
  for (const work of [activateAgent, suspendAgent, resumeAgent]) {
    expect(await codeOf(work(ctx, OPERATOR, retired.id, say))).toBe('agent-retired');
    expect(await codeOf(work(ctx, OPERATOR, NOBODY, say))).toBe('agent-not-found');
  }
  expect(await codeOf(change(retired.id, { purpose: 'x' }))).toBe('agent-retired');
  expect(await codeOf(retireAgent(ctx, OPERATOR, NOBODY, { ...say, note: undefined }))).toBe('agent-not-found');
  for (const reason of ['certificateHold', 'cACompromise', 'removeFromCRL', 'nonsense', 'constructor']) {
    expect(await codeOf(retireAgent(ctx, OPERATOR, active.id, { ...say, reason, note: undefined }))).toBe('reason-not-allowed');
  }
  expect(await everything()).toEqual(before);
});

test('an agent whose owner was suspended is not resumed', async () => {
  const agent = await fixture.register({ ownerEmail: 'leaving@example.com' });
  await suspendAgent(fixture.ctx, OPERATOR, agent.id, say);
  await database.db.owner.updateMany({ where: { email: 'leaving@example.com' }, data: { state: 'suspended' } });
  expect(await codeOf(resumeAgent(fixture.ctx, OPERATOR, agent.id, say))).toBe('owner-suspended');
});

test('an instance that is not there or is revoked refuses with its code', async () => {
  const { ctx } = fixture;
  const { instanceId } = await fixture.enroll(await fixture.register());
  expect(await codeOf(revokeInstance(ctx, OPERATOR, instanceId, { reason: 'certificateHold', now: after(1) }))).toBe('reason-not-allowed');
  await revokeInstance(ctx, OPERATOR, instanceId, { reason: 'superseded', now: after(1) });
  const before = await everything();
  expect(await codeOf(quarantineInstance(ctx, OPERATOR, instanceId, say))).toBe('instance-state-conflict');
  expect(await codeOf(releaseInstance(ctx, OPERATOR, instanceId, say))).toBe('instance-state-conflict');
  for (const work of [quarantineInstance, releaseInstance]) expect(await codeOf(work(ctx, OPERATOR, NOBODY, say))).toBe('instance-not-found');
  expect(await codeOf(revokeInstance(ctx, OPERATOR, NOBODY, { reason: 'superseded', now: after(1) }))).toBe('instance-not-found');
  expect(await everything()).toEqual(before);
});
