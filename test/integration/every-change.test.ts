import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { changeAgent } from '../../src/agents/change.ts';
import { inTransaction } from '../../src/db/client.ts';
import { after, agentFixture, OPERATOR } from '../support/agents.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';
import { OTHER_TABLES, STATE_TABLES } from '../support/every-change.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());

test('every table is on one of two lists: what changes in it is recorded, or it says why not', async () => {
  const rows = await database.ownerDb.$queryRaw<{ name: string }[]>`
    SELECT c.relname::text AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`;
  const listed = [...Object.keys(STATE_TABLES), ...Object.keys(OTHER_TABLES)];
  expect(rows.map(({ name }) => name)).toEqual(listed.toSorted());
  expect(new Set(listed).size).toBe(listed.length);
});

test('columns that do not count are columns', async () => {
  for (const [table, counting] of Object.entries(STATE_TABLES)) {
    if (counting === 'all') continue;
    const there = await database.ownerDb.$queryRaw<{ column: string }[]>`SELECT column_name AS "column" FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ${table}`;
    expect(there.map(({ column }) => column)).toEqual(expect.arrayContaining(Object.keys(counting.but)));
  }
});

test('a change of the product without an event does not commit; with one it does, and so does what a test writes by itself', async () => {
  const fixture = await agentFixture(database);
  const { id } = await fixture.register();
  const purpose = (db: TestDatabase['db']) => db.agent.update({ where: { id }, data: { purpose: 'unrecorded' } });
  await expect(purpose(database.product)).rejects.toThrow('a change of state without an audit event: UPDATE of agents');
  await expect(inTransaction(database.product, (tx) => tx.joinToken.deleteMany())).resolves.toEqual({ count: 0 });
  await expect(database.product.agent.delete({ where: { id } })).rejects.toThrow('DELETE of agents');
  await changeAgent(fixture.ctx, OPERATOR, id, { changes: { purpose: 'recorded' }, version: undefined, now: after(1) });
  await purpose(database.db);
  // The event of one transaction says nothing of the next on the same connection.
  await expect(Promise.all(Array.from({ length: 12 }, () => purpose(database.product)))).resolves.toHaveLength(12);
  await expect(Promise.all(Array.from({ length: 12 }, (_, i) => database.product.agent.update({ where: { id }, data: { purpose: `p${i}` } })))).rejects.toThrow('without an audit event');
});

test('a use of a certificate is no change, its revocation is; partitions are no way around', async () => {
  const fixture = await agentFixture(database);
  const leaf = await fixture.enroll(await fixture.register());
  const serial = new Uint8Array(leaf.serial);
  await database.product.certificate.updateMany({ where: { serial }, data: { presentedAt: after(1) } });
  await expect(database.product.certificate.updateMany({ where: { serial }, data: { revokedAt: after(1), revocationReason: 1 } })).rejects.toThrow('UPDATE of certificates_d');
});
