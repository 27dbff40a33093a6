import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AgentRecord } from '../../src/agents/agent.ts';
import { retireAgent } from '../../src/agents/retire.ts';
import { suspendAgent } from '../../src/agents/suspend.ts';
import { appendAudit } from '../../src/audit/append.ts';
import { inTransaction } from '../../src/db/client.ts';
import { listAgentViews, type AgentFilters } from '../../src/db/views/agents.ts';
import { listAuditViews } from '../../src/db/views/audit.ts';
import { findCertificateView, listCertificateViews, type CertificateFilters } from '../../src/db/views/certificates.ts';
import type { Page } from '../../src/db/views/cursor.ts';
import { after, agentFixture, codeOf, OPERATOR, seconds, type AgentFixture, type StoredLeaf } from '../support/agents.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';

const DAY = 86_400;
/** An event of a list, but for its target. */
const CRL = {
  kind: 'crl.published', outcome: 'success', authority: 'x', detail: { number: '1', entries: 0, thisUpdate: FIXED_NOW.toISOString(), nextUpdate: FIXED_NOW.toISOString(), feedN: '0', latestEnd: FIXED_NOW.toISOString() },
} as const;

let database: TestDatabase;
let fixture: AgentFixture;
let agents: [AgentRecord, AgentRecord, AgentRecord];
const leaves: Record<string, StoredLeaf> = {};
beforeAll(async () => {
  database = await testDatabase();
  fixture = await agentFixture(database);
  agents = [
    await fixture.register({ name: 'alpha', ownerEmail: 'ada@example.com', labels: { team: 'money', tier: '1' }, dnsNames: ['alpha.example'], purpose: 'Reads Invoices' }, after(0)),
    await fixture.register({ name: 'beta', ownerEmail: 'bob@example.com', deputyEmail: 'ada@example.com', labels: { team: 'money' }, riskClass: 'high', environment: 'staging', ttlCapSeconds: 60 }, after(seconds(1))),
    await fixture.register({ name: 'gamma', ownerEmail: 'ada@example.com', profile: 'service' }, after(seconds(2))),
  ];
  const [alpha, beta, gamma] = agents;
  leaves.good = await fixture.enroll(alpha);
  leaves.old = await fixture.store(leaves.good, { issuedAt: after(-seconds(7200)), supersededBy: leaves.good.serial });
  leaves.held = await fixture.enroll(beta, { ttlSeconds: 7200 });
  leaves.revoked = await fixture.enroll(gamma, { profile: 'service', ttlSeconds: 3 * DAY });
  leaves.late = await fixture.enroll(alpha, { issuedAt: after(seconds(60)), ttlSeconds: 20 * DAY, issuerId: 'other' });
  await suspendAgent(fixture.ctx, OPERATOR, beta.id, { reason: undefined, now: after(1) });
  await retireAgent(fixture.ctx, OPERATOR, gamma.id, { reason: undefined, note: undefined, now: after(seconds(3)) });
});
afterAll(() => database.drop());

async function all<T>(list: (cursor: string | undefined) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await list(cursor ?? undefined);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return items;
}

test.each<[AgentFilters, string]>([
  [{}, 'alpha beta gamma'],
  [{ name: 'beta' }, 'beta'],
  [{ name: 'bet' }, ''],
  [{ state: 'active' }, 'alpha'],
  [{ state: 'retired' }, 'gamma'],
  [{ ownerEmail: 'ada@example.com' }, 'alpha gamma'],
  [{ ownerEmail: 'nobody@example.com' }, ''],
  [{ deputyEmail: 'ada@example.com' }, 'beta'],
  [{ purpose: 'reads inv' }, 'alpha'],
  [{ purpose: '%' }, ''],
  [{ riskClass: 'high' }, 'beta'],
  [{ environment: 'staging' }, 'beta'],
  [{ profile: 'service' }, 'gamma'],
  [{ ttlCapSeconds: 60 }, 'beta'],
  [{ dnsName: 'alpha.example' }, 'alpha'],
  [{ label: { team: 'money' } }, 'alpha beta'],
  [{ label: { team: 'money', tier: '1' } }, 'alpha'],
  [{ label: { team: "' OR true --" } }, ''],
  [{ createdAfter: after(0) }, 'beta gamma'],
  [{ createdBefore: after(seconds(1)) }, 'alpha'],
  [{ updatedAfter: after(seconds(1)) }, 'gamma'],
  [{ updatedBefore: after(seconds(1)) }, 'alpha beta'],
  [{ certificatesExpiringBefore: after(seconds(3601)) }, 'alpha'],
  [{ certificatesExpiringBefore: after(seconds(7201)) }, 'alpha beta'],
  [{ certificatesExpiringBefore: after(seconds(3600)) }, ''],
  [{ certificatesExpiringBefore: new Date('9999-12-31T00:00:00Z') }, 'alpha beta'],
  [{ label: { team: 'money' }, state: 'suspended', riskClass: 'high' }, 'beta'],
])('agents by %j: %s', async (filters, names) => {
  const found = await all((cursor) => listAgentViews(database.db, filters, { cursor, limit: 1, now: after(2) }));
  expect(found.map((agent) => agent.name).join(' ')).toBe(names);
});

test.each<[CertificateFilters, string]>([
  [{}, 'old good held revoked late'],
  [{ status: 'good' }, 'good late'],
  [{ status: 'held' }, 'held'],
  [{ status: 'revoked' }, 'revoked'],
  [{ status: 'expired' }, 'old'],
  [{ profile: 'service' }, 'revoked'],
  [{ issuerId: 'other' }, 'late'],
  [{ expiresBefore: after(seconds(7200)) }, 'old good'],
  [{ expiresAfter: after(seconds(7200)) }, 'revoked late'],
  [{ expiresAfter: after(0), expiresBefore: after(seconds(DAY)) }, 'good held'],
  [{ issuedAfter: after(0) }, 'late'],
  [{ issuedBefore: after(0) }, 'old'],
  [{ status: 'good', expiresAfter: after(seconds(DAY)) }, 'late'],
])('certificates by %j: %s', async (filters, names) => {
  const found = await all((cursor) => listCertificateViews(database.db, filters, { cursor, limit: 2, now: after(2) }));
  const nameOf = (serial: Buffer) => Object.entries(leaves).find(([, leaf]) => leaf.serial.equals(serial))?.[0] ?? '?';
  expect(found.map((certificate) => nameOf(certificate.serial)).toSorted()).toEqual(names.split(' ').toSorted());
  // By partition: the days of expiry never go back.
  expect(found.map((certificate) => certificate.bucket)).toEqual(found.map((certificate) => certificate.bucket).toSorted((a, b) => a - b));
});

test('certificates of one agent, instance or key come in the order of issue', async () => {
  const { good, old, late } = leaves as { good: StoredLeaf; old: StoredLeaf; late: StoredLeaf };
  const serials = async (filters: CertificateFilters) => (await all((cursor) => listCertificateViews(database.db, filters, { cursor, limit: 1, now: after(2) }))).map((c) => c.serial);
  expect(await serials({ agentId: good.agentId })).toEqual([old.serial, good.serial, late.serial]);
  expect(await serials({ instanceId: good.instanceId })).toEqual([old.serial, good.serial]);
  expect(await serials({ keyHash: late.keyHash.toString('hex') })).toEqual([late.serial]);
  expect(await serials({ agentId: good.agentId, status: 'expired' })).toEqual([old.serial]);
});

test('a certificate is found by its serial with its whole record, and an unknown or foreign serial is not', async () => {
  const { old, good } = leaves as { old: StoredLeaf; good: StoredLeaf };
  expect(await findCertificateView(database.db, old.serial)).toMatchObject({ serial: old.serial, agentId: old.agentId, keyHash: old.keyHash, supersededBy: good.serial, issuedAt: after(-seconds(7200)), revokedAt: null });
  expect(await findCertificateView(database.db, Buffer.concat([old.serial.subarray(0, 19), Buffer.of(old.serial[19]! ^ 1)]))).toBeUndefined();
  expect(await findCertificateView(database.db, Buffer.alloc(20, 0xff))).toBeUndefined();
});

test('a cursor of another list or other filters is refused', async () => {
  const page = { limit: 1, now: after(2) };
  const { nextCursor } = await listAgentViews(database.db, {}, { cursor: undefined, ...page });
  const cursor = nextCursor ?? '';
  expect(await codeOf(listAgentViews(database.db, { state: 'active' }, { cursor, ...page }))).toBe('cursor-mismatch');
  expect(await codeOf(listCertificateViews(database.db, {}, { cursor, ...page }))).toBe('cursor-mismatch');
  expect(await codeOf(listAuditViews(database.db, {}, { cursor, limit: 1, scanMax: 1000 }))).toBe('cursor-mismatch');
  expect(await codeOf(listAgentViews(database.db, {}, { cursor: 'x', ...page }))).toBe('cursor-invalid');
});

test('the audit log is filtered by every column, and its cursor moves past what the filters hide', async () => {
  const [alpha, beta, gamma] = agents;
  const list = async (filters: Parameters<typeof listAuditViews>[1]) => (await listAuditViews(database.db, filters, { cursor: undefined, limit: 100, scanMax: 1000 })).items;
  const everything = await list({});
  expect(everything.map((event) => Number(event.n))).toEqual(everything.map((_, i) => i + 1));
  expect((await list({ agentId: alpha.id })).map((event) => event.kind)).toEqual(['agent.registered']);
  expect((await list({ kind: 'agent.suspended' })).map((event) => event.agentId)).toEqual([beta.id]);
  expect((await list({ serial: leaves.revoked!.serial })).map((event) => event.kind)).toEqual(['certificate.revoked']);
  expect(await list({ instanceId: leaves.held!.instanceId })).toHaveLength(1);
  expect(await list({ outcome: 'failure' })).toEqual([]);
  expect(await list({ actorKind: 'admin', actorId: OPERATOR.actor.id, requestId: OPERATOR.requestId ?? '' })).toHaveLength(everything.length);
  expect((await list({ since: after(seconds(2)) })).map((event) => event.agentId)).toEqual([gamma.id, gamma.id, gamma.id]);
  expect(await list({ until: after(1) })).toHaveLength(1);
  expect(await list({ after: everything.length - 1 })).toHaveLength(1);

  const none = await listAuditViews(database.db, { kind: 'crl.published' }, { cursor: undefined, limit: 5, scanMax: 1000 });
  expect(none.items).toEqual([]);
  await inTransaction(database.db, (tx) => appendAudit(fixture.ctx, tx, OPERATOR, FIXED_NOW, { ...CRL, target: 'x/0' }));
  const next = await listAuditViews(database.db, { kind: 'crl.published' }, { cursor: none.nextCursor, limit: 5, scanMax: 1000 });
  expect(next.items).toMatchObject([{ target: 'x/0', authority: 'x', detail: { number: '1' } }]);
  expect(await listAuditViews(database.db, { kind: 'crl.published' }, { cursor: next.nextCursor, limit: 5, scanMax: 1000 })).toMatchObject({ items: [] });
});

test('a filter without an index looks at no more events a page than it may, and its cursor misses none', async () => {
  const follow = async (filters: Parameters<typeof listAuditViews>[1], scanMax: number) => {
    const pages: number[][] = [];
    for (let cursor: string | undefined; ; ) {
      const { items, nextCursor } = await listAuditViews(database.db, filters, { cursor, limit: 2, scanMax });
      if (nextCursor === cursor) return pages;
      pages.push(items.map((event) => Number(event.n)));
      cursor = nextCursor;
    }
  };
  const other = { ...OPERATOR, requestId: 'rare' };
  const event = (target: string) => ({ ...CRL, target });
  const append = (origin: typeof OPERATOR, ...targets: string[]) => inTransaction(database.db, (tx) => appendAudit(fixture.ctx, tx, origin, FIXED_NOW, ...targets.map(event)));
  await append(OPERATOR, ...Array.from({ length: 30 }, () => 'common'));
  await append(other, 'rare', 'rare', 'rare');
  await append(OPERATOR, ...Array.from({ length: 11 }, () => 'common'));
  await append(other, 'rare');
  const numbers = (await database.db.auditEvent.findMany({ where: { target: 'rare' }, orderBy: { n: 'asc' } })).map(({ n }) => Number(n));

  for (const filters of [{ target: 'rare' }, { requestId: 'rare' }, { outcome: 'success', target: 'rare', since: FIXED_NOW }, { kind: 'crl.published', target: 'rare' }] as const) {
    const pages = await follow(filters, 5);
    expect(pages.flat()).toEqual(numbers);
    // Thirty events that are not asked for take six pages of their own: five are looked at for each.
    expect(pages.findIndex((page) => page.length > 0)).toBeGreaterThanOrEqual(6);
  }
  // An index leads straight to what is asked for.
  const led = await follow({ actorId: other.actor.id, kind: 'agent.suspended' }, 1000);
  expect(led[0]).toHaveLength(1);
  expect((await follow({ kind: 'agent.suspended' }, 1))[0]).toHaveLength(1);
});

test('a reader that follows the cursor under 16 writers sees every event once, in order', async () => {
  const PER_WRITER = 25;
  const first = (await listAuditViews(database.db, {}, { cursor: undefined, limit: 200, scanMax: 1000 })).nextCursor;
  let writing = 16;
  const writers = Array.from({ length: 16 }, async (_, writer) => {
    for (let i = 0; i < PER_WRITER; i++) {
      await inTransaction(database.db, async (tx) => {
        await tx.$queryRaw`SELECT 1 FROM pg_sleep(${(writer % 4) / 1000})`;
        await appendAudit(fixture.ctx, tx, OPERATOR, FIXED_NOW, { ...CRL, target: `${writer}/${i}` });
        await tx.$queryRaw`SELECT 1 FROM pg_sleep(${(writer % 3) / 1000})`;
      });
    }
    writing--;
  });
  const seen: string[] = [];
  const numbers: number[] = [];
  let cursor = first;
  for (;;) {
    const last = writing === 0;
    const { items, nextCursor } = await listAuditViews(database.db, {}, { cursor, limit: 7, scanMax: 1000 });
    seen.push(...items.map((event) => event.target ?? ''));
    numbers.push(...items.map((event) => Number(event.n)));
    cursor = nextCursor;
    if (last && items.length === 0) break;
  }
  await Promise.all(writers);
  expect(new Set(seen).size).toBe(16 * PER_WRITER);
  expect(seen).toHaveLength(16 * PER_WRITER);
  expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] ?? 0) + i));
});
