/** An operator's hold beside other causes: what relying parties learn, and what the audit log tells. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { resumeAgent } from '../../src/agents/resume.ts';
import { suspendAgent } from '../../src/agents/suspend.ts';
import type { Context } from '../../src/context.ts';
import { bytes } from '../../src/db/client.ts';
import { holdCertificate, releaseCertificate, revokeCertificate } from '../../src/revocation/revoke-certificate.ts';
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
