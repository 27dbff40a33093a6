/** An operator's hold beside other causes: what relying parties learn, and what the audit log tells. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { quarantineInstance, revokeInstance } from '../../src/agents/instances.ts';
import { resumeAgent } from '../../src/agents/resume.ts';
import { retireAgent } from '../../src/agents/retire.ts';
import { suspendAgent } from '../../src/agents/suspend.ts';
import type { Context } from '../../src/context.ts';
import { bytes } from '../../src/db/client.ts';
import { holdCertificate, releaseCertificate, revokeAgentCertificates, revokeCertificate } from '../../src/revocation/revoke-certificate.ts';
import { after, agentFixture, codeOf, feedOf, OPERATOR, statusColumns, type AgentFixture, type StoredLeaf } from '../support/agents.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let database: TestDatabase;
let fixture: AgentFixture;
let ctx: Context;
beforeAll(async () => {
  database = await testDatabase();
  fixture = await agentFixture(database);
  ctx = fixture.ctx as unknown as Context;
});
afterAll(() => database.drop());

const now = after(1_000);
const because = { reason: undefined, now };

/** Kinds and causes of the events of one certificate, in order. */
async function told({ serial }: StoredLeaf): Promise<string[]> {
  const rows = await database.db.auditEvent.findMany({ where: { serial: bytes(serial) }, orderBy: { n: 'asc' } });
  return rows.map(({ kind, event }) => `${kind} ${(JSON.parse(Buffer.from(event).toString('utf8')) as { detail: { cause?: string } }).detail.cause?.split(':')[0] ?? ''}`);
}

test('a cause that joins a hold or leaves it is recorded, and is no news in the feed', async () => {
  const agent = await fixture.register();
  const leaf = await fixture.enroll(agent);
  await suspendAgent(ctx, OPERATOR, agent.id, because);
  const feed = await feedOf(database);

  expect(await holdCertificate(ctx, OPERATOR, { serial: leaf.serial, now })).toMatchObject({ status: 'held', changed: false });
  expect(await holdCertificate(ctx, OPERATOR, { serial: leaf.serial, now })).toMatchObject({ status: 'held', changed: false });
  expect(await told(leaf)).toEqual(['certificate.held suspension', 'certificate.held operator']);
  expect(await releaseCertificate(ctx, OPERATOR, { serial: leaf.serial, now })).toMatchObject({ status: 'held', changed: false });
  expect(await told(leaf)).toEqual(['certificate.held suspension', 'certificate.held operator', 'certificate.released operator']);
  expect(await feedOf(database)).toEqual(feed);

  await resumeAgent(ctx, OPERATOR, agent.id, because);
  expect(await statusColumns(database, leaf)).toMatchObject({ heldAt: null, holdCauses: [] });
});

test('a release of what is revoked is refused and changes nothing', async () => {
  const leaf = await fixture.enroll(await fixture.register());
  await holdCertificate(ctx, OPERATOR, { serial: leaf.serial, now });
  await revokeCertificate(ctx, OPERATOR, { serial: leaf.serial, reason: 'keyCompromise', now });
  const before = await statusColumns(database, leaf);
  expect(await codeOf(releaseCertificate(ctx, OPERATOR, { serial: leaf.serial, now }))).toBe('hold-conflict');
  expect(await codeOf(holdCertificate(ctx, OPERATOR, { serial: leaf.serial, now }))).toBe('hold-conflict');
  expect(await statusColumns(database, leaf)).toEqual(before);
});

test.each([
  ['suspended', ({ agentId }) => suspendAgent(ctx, OPERATOR, agentId, because)],
  ['retired', ({ agentId }) => retireAgent(ctx, OPERATOR, agentId, { reason: undefined, note: undefined, now })],
  ['quarantined', ({ instanceId }) => quarantineInstance(ctx, OPERATOR, instanceId, because)],
  ['an instance revoked', ({ instanceId }) => revokeInstance(ctx, OPERATOR, instanceId, { reason: 'keyCompromise', now })],
  ['all revoked', ({ agentId }) => revokeAgentCertificates(ctx, OPERATOR, { agentId, reason: 'keyCompromise', now })],
] as const satisfies [string, (leaf: StoredLeaf) => Promise<unknown>][])('%s again: this replica makes sure once more, whoever was first may have died before it did', async (_, cutOff) => {
  const leaf = await fixture.enroll(await fixture.register());
  await cutOff(leaf);
  fixture.announced.length = 0;
  await cutOff(leaf);
  expect(fixture.announced.map(({ serial }) => serial.toString('hex'))).toEqual([leaf.serial.toString('hex')]);
});
