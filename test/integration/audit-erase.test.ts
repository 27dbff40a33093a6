import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runLocal } from '../../src/admin/run-local.ts';
import { changeAgent } from '../../src/agents/change.ts';
import { retireAgent } from '../../src/agents/retire.ts';
import { suspendAgent } from '../../src/agents/suspend.ts';
import { listAuditViews } from '../../src/db/views/audit.ts';
import { after, agentFixture, OPERATOR, type AgentFixture } from '../support/agents.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let database: TestDatabase;
let fixture: AgentFixture;
beforeAll(async () => {
  database = await testDatabase();
  fixture = await agentFixture(database);
});
afterAll(() => database.drop());

const ADA = 'ada@example.org';

async function erase(args: string[], env: Record<string, string> = {}) {
  const text = { out: '', err: '' };
  const io = { out: { write: (part: unknown) => (text.out += String(part)) }, err: { write: (part: unknown) => (text.err += String(part)) } };
  const environment = { DATABASE_URL: database.serviceUrl, SIGNET_OWNER_DATABASE_URL: database.ownerUrl, SIGNET_KEK_FILE: '/nonexistent', SIGNET_DATA_DIR: '/nonexistent', ...env };
  return { code: await runLocal(['audit', 'erase', ...args], { ...io, env: environment }), ...text };
}

const leaves = async () => (await database.db.auditEvent.findMany({ orderBy: { n: 'asc' } })).map(({ event }) => createHash('sha256').update('\0').update(event).digest('hex'));
const eventsOf = async (agentId: string) => (await listAuditViews(database.db, { agentId }, { cursor: undefined, limit: 20, scanMax: 1000, personal: true })).items;

test('a person goes from the records, and no leaf of the log changes', async () => {
  const agent = await fixture.register({ ownerEmail: ADA, deputyEmail: 'bob@example.org', purpose: 'what Ada@Example.org ordered' });
  await suspendAgent(fixture.ctx, OPERATOR, agent.id, { reason: `as asked for by ${ADA}`, now: after(1) });
  const before = await leaves();

  expect(await erase(['--email', ADA, '--yes'])).toMatchObject({ code: 1, err: expect.stringContaining(`agent ${agent.id}`) as unknown });
  await retireAgent(fixture.ctx, OPERATOR, agent.id, { reason: undefined, note: `bye ${ADA}`, now: after(2) });
  const retired = await leaves();
  expect(retired.slice(0, before.length)).toEqual(before);

  const looked = await erase(['--email', 'ADA@example.org', '--json']);
  expect(JSON.parse(looked.out)).toEqual({ erased: false, personalFields: 4, owners: 1, texts: 2 });
  expect(await database.db.auditPersonal.count()).toBe(5);

  const done = await erase(['--email', 'ADA@example.org', '--yes', '--json']);
  expect([done.code, JSON.parse(done.out)]).toEqual([0, { erased: true, personalFields: 4, owners: 1, texts: 2 }]);
  const after_ = await leaves();
  expect(after_.slice(0, -1)).toEqual(retired);

  const kept = await database.db.auditPersonal.findMany({ where: { field: { not: 'operator' } } });
  expect(kept.map(({ field, value }) => [field, value])).toEqual([['deputyEmail', 'bob@example.org']]);
  expect((await eventsOf(agent.id)).map(({ kind, personal }) => [kind, personal])).toEqual([
    ['agent.registered', { deputyEmail: 'bob@example.org', ownerEmail: null, purpose: null }], ['agent.suspended', { reason: null }], ['agent.retired', { note: null }],
  ]);
  const everything = JSON.stringify(await database.db.auditEvent.findMany({ select: { event: true, target: true, kind: true } }).then((rows) => rows.map((row) => ({ ...row, event: Buffer.from(row.event).toString() }))));
  expect(everything).toContain('person.erased');
  expect(everything.toLowerCase()).not.toContain(ADA);
  expect(JSON.stringify(await database.db.owner.findMany()).toLowerCase()).not.toContain(ADA);
  expect(JSON.stringify(await database.db.agent.findMany()).toLowerCase()).not.toContain(ADA);

  // Again: nothing is left, and nothing is written.
  expect(JSON.parse((await erase(['--email', ADA, '--yes', '--json'])).out)).toEqual({ erased: true, personalFields: 0, owners: 0, texts: 0 });
  expect(await leaves()).toEqual(after_);
});

test('a deputy of a living agent is not erased before another one is named; personal fields are shown only to who asks for them', async () => {
  const agent = await fixture.register({ ownerEmail: 'eve@example.org', deputyEmail: 'dan@example.org' });
  expect(await erase(['--email', 'dan@example.org', '--yes'])).toMatchObject({ code: 1 });
  await changeAgent(fixture.ctx, OPERATOR, agent.id, { changes: { deputyEmail: null }, version: undefined, now: after(3) });
  expect(await erase(['--email', 'dan@example.org', '--yes'])).toMatchObject({ code: 0, err: '' });
  const [plain] = (await listAuditViews(database.db, { agentId: agent.id }, { cursor: undefined, limit: 1, scanMax: 1000 })).items;
  expect(plain).not.toHaveProperty('personal');
  expect((await eventsOf(agent.id))[0]?.personal).toEqual({ deputyEmail: null, ownerEmail: 'eve@example.org', purpose: 'testing' });
});

test('whose address only ends or begins the same is left alone; one in a sentence is found', async () => {
  const names = ['joanna@example.net', 'anna@example.network', 'anna@example.net.example', 'j.anna@example.net', 'x+anna@example.net', 'anna@example.net-works.example'];
  const others = await Promise.all(names.map((deputyEmail) => fixture.register({ ownerEmail: 'eve@example.org', deputyEmail, purpose: `for ${deputyEmail}` })));
  const hers = await Promise.all(['ask ANNA@example.net.', 'ask <anna@example.net>', 'anna@example.net: pays', "'anna@example.net'", 'mailto:anna@example.net?subject=it', 'anna@example.net - pays'].map((purpose) => fixture.register({ ownerEmail: 'eve@example.org', purpose })));
  const deputies = () => Promise.all(others.map(async ({ id }) => (await database.db.agent.findUniqueOrThrow({ where: { id } })).deputyEmail));
  const before = await deputies();
  const done = await erase(['--email', 'anna@example.net', '--yes', '--json']);
  expect([done.code, JSON.parse(done.out)]).toEqual([0, { erased: true, personalFields: hers.length, owners: 0, texts: hers.length }]);
  expect(await deputies()).toEqual(before);
  expect((await eventsOf(others[0]?.id ?? ''))[0]?.personal).toEqual({ deputyEmail: 'joanna@example.net', ownerEmail: 'eve@example.org', purpose: 'for joanna@example.net' });
});

test('as the service role it is refused, says what to give, and nothing changes', async () => {
  const fields = await database.db.auditPersonal.count();
  const refused = await erase(['--email', 'nobody@example.org', '--yes'], { SIGNET_OWNER_DATABASE_URL: '' });
  expect(refused.code).toBe(69);
  expect(refused.err).toContain('SIGNET_OWNER_DATABASE_URL');
  expect(await database.db.auditPersonal.count()).toBe(fields);
});

test.each([[[], '--email is needed'], [['--email', 'ada'], 'must be an e-mail address']])('%j is wrong use', async (args, says) => {
  expect(await erase(args)).toMatchObject({ code: 64, err: expect.stringContaining(says) as unknown });
});
