import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AgentRecord } from '../../src/agents/agent.ts';
import { retireAgent } from '../../src/agents/retire.ts';
import { suspendAgent } from '../../src/agents/suspend.ts';
import type { CreateJoinTokenBody } from '../../src/api/join-tokens.ts';
import { bytes, inTransaction } from '../../src/db/client.ts';
import { listAuditViews } from '../../src/db/views/audit.ts';
import { listJoinTokenViews } from '../../src/db/views/join-tokens.ts';
import { createJoinToken, enrollmentMethods, type EnrollmentRequest } from '../../src/enrollment/index.ts';
import { after, agentFixture, codeOf, OPERATOR, seconds, type AgentFixture } from '../support/agents.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';

let database: TestDatabase;
let fixture: AgentFixture;
let agent: AgentRecord;
beforeAll(async () => {
  database = await testDatabase();
  fixture = await agentFixture(database);
  agent = await fixture.register();
});
afterAll(() => database.drop());

const KEY = createHash('sha256').update('a key').digest();
const OTHER_KEY = createHash('sha256').update('another key').digest();
const create = (request: CreateJoinTokenBody = {}, of = agent.id) => inTransaction(database.db, (tx) => createJoinToken(fixture.ctx, tx, OPERATOR, { ...request, agentId: of }, FIXED_NOW));
const verify = (credential: string, change: Partial<EnrollmentRequest> = {}) =>
  enrollmentMethods['join-token'].verify(fixture.ctx, { credential, source: '127.0.0.1', keyHash: KEY, agentId: undefined, now: after(1), ...change });
/** As the commit of the certificate spends it. */
const spend = (id: string, usedAt = FIXED_NOW) =>
  database.db.joinToken.update({ where: { id }, data: { usedAt, usedKeyHash: bytes(KEY), usedSerial: bytes(Buffer.alloc(20, 7)), usedInstanceId: 'i' } });

test('a join token is shown once, stored as a hash, recorded, and leads to its agent', async () => {
  const { id, token, expiresAt } = await create({ ttlSeconds: 60, sourceCidrs: ['127.0.0.0/8'], boundKeyHash: KEY.toString('hex') });
  expect(expiresAt).toEqual(after(seconds(60)));
  const secret = token.slice(-43);
  const stored = await database.db.joinToken.findUniqueOrThrow({ where: { id } });
  expect(JSON.stringify(stored)).not.toContain(secret);
  expect(Buffer.from(stored.secretHash)).toEqual(createHash('sha256').update(secret).digest());
  expect(await verify(token, { agentId: agent.id })).toEqual({ tokenId: id, agent });

  const { items } = await listAuditViews(database.db, { target: id }, { cursor: undefined, limit: 5, scanMax: 1000 });
  expect(items).toMatchObject([{ kind: 'join-token.created', agentId: agent.id, detail: { sourceCidrs: ['127.0.0.0/8'], boundKeyHash: KEY.toString('hex') } }]);
  const events = await database.db.auditEvent.findMany();
  expect(events.some(({ event }) => Buffer.from(event).includes(secret))).toBe(false);
});

test('a join token that is not known, not meant for this, or too old is refused with its code', async () => {
  const plain = await create();
  const secret = plain.token.slice(-43);
  const wrongSecret = plain.token.slice(0, -43) + [...secret].toReversed().join('');
  expect(await codeOf(verify('sgj_'))).toBe('join-token-unknown');
  expect(await codeOf(verify(wrongSecret))).toBe('join-token-unknown');
  expect(await codeOf(verify(`sgj_01KAMV3W5QZ3C1D6X2G7R8S9TZ_${secret}`))).toBe('join-token-unknown');
  expect(await codeOf(verify(plain.token, { agentId: '01KAMV3W5QZ3C1D6X2G7R8S9TZ' }))).toBe('join-token-wrong-agent');
  expect(await codeOf(verify((await create({ sourceCidrs: ['10.0.0.0/8', '::1'] })).token))).toBe('join-token-wrong-network');
  expect(await codeOf(verify((await create({ boundKeyHash: OTHER_KEY.toString('hex') })).token))).toBe('join-token-wrong-key');
  expect(await codeOf(verify(plain.token, { now: new Date(plain.expiresAt.getTime() - 1) }))).toBe('none');
  expect(await codeOf(verify(plain.token, { now: plain.expiresAt }))).toBe('join-token-expired');
});

test('a used join token gives the same certificate to the same key for ten minutes, even past its own expiry', async () => {
  const { id, token } = await create({ ttlSeconds: 1 });
  await spend(id);
  const replay = { tokenId: id, replay: { serial: Buffer.alloc(20, 7) } };
  expect(await verify(token, { now: FIXED_NOW })).toEqual(replay);
  expect(await verify(token, { now: after(seconds(600)) })).toEqual(replay);
  expect(await codeOf(verify(token, { now: after(seconds(600) + 1) }))).toBe('join-token-used');
  expect(await codeOf(verify(token, { keyHash: OTHER_KEY }))).toBe('join-token-used');
  expect(await codeOf(verify(token, { agentId: '01KAMV3W5QZ3C1D6X2G7R8S9TZ' }))).toBe('join-token-wrong-agent');
});

test('an agent that is not active gets no join token, and those it has are refused', async () => {
  const suspended = await fixture.register();
  const { token } = await create({}, suspended.id);
  await suspendAgent(fixture.ctx, OPERATOR, suspended.id, { reason: undefined, now: after(1) });
  expect(await codeOf(verify(token))).toBe('agent-suspended');
  expect(await codeOf(create({}, suspended.id))).toBe('agent-suspended');
  await retireAgent(fixture.ctx, OPERATOR, suspended.id, { reason: undefined, note: undefined, now: after(2) });
  expect(await codeOf(verify(token))).toBe('agent-retired');
  expect(await codeOf(create({}, suspended.id))).toBe('agent-retired');
  const proposed = await fixture.register({ ownerEmail: undefined } as never);
  expect(await codeOf(create({}, proposed.id))).toBe('agent-not-active');
  expect(await codeOf(create({}, '01KAMV3W5QZ3C1D6X2G7R8S9TZ'))).toBe('agent-not-found');
  expect(await codeOf(create({ ttlSeconds: fixture.ctx.config.joinTokenMaxTtlSeconds + 1 }))).toBe('ttl-not-granted');
  expect(await codeOf(create({ sourceCidrs: ['10.0.0.0/99'] }))).toBe('invalid-request');

  const owned = await fixture.register({ ownerEmail: 'leaver@example.com' });
  const ofLeaver = await create({}, owned.id);
  await database.db.owner.updateMany({ where: { email: 'leaver@example.com' }, data: { state: 'suspended' } });
  expect(await codeOf(verify(ofLeaver.token))).toBe('owner-suspended');
});

test('join tokens are listed with their state and without anything of their secret', async () => {
  const lister = await fixture.register();
  const open = await create({}, lister.id);
  const used = await create({ ttlSeconds: 1 }, lister.id);
  const expired = await create({ ttlSeconds: 1 }, lister.id);
  await spend(used.id);
  const { items, nextCursor } = await listJoinTokenViews(database.db, { agentId: lister.id }, { cursor: undefined, limit: 10, now: after(seconds(5)) });
  expect(nextCursor).toBeNull();
  expect(Object.fromEntries(items.map((token) => [token.id, token.state]))).toEqual({ [open.id]: 'open', [used.id]: 'used', [expired.id]: 'expired' });
  for (const token of items) expect(token).not.toHaveProperty('secretHash');
});
