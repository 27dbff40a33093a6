import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { dropPartitions, ensurePartitions, listPartitions } from '../../src/db/partitions.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

let t: TestDatabase;
beforeAll(async () => {
  t = await testDatabase();
});
afterAll(() => t.drop());

/** A day far from the template's partitions. */
const DAY = 30_000;
const buckets = async () => (await listPartitions(t.db)).map(({ bucket }) => bucket);

function insert(bucket: number) {
  return t.db.$executeRaw`
    INSERT INTO certificates (bucket, serial, issuer_id, agent_id, instance_id, profile, shard, generation, fingerprint, key_hash, der, not_before, not_after, issued_at)
    VALUES (${bucket}, decode(repeat('ab', 20), 'hex'), 'i', 'a', 'n', 'p', 0, 1, '', '', '', now(), now(), now())`;
}

test('ensurePartitions: makes each missing day once, also when four run at once', async () => {
  const made = (await Promise.all([1, 2, 3, 4].map(() => ensurePartitions(t.ownerDb, DAY, DAY + 2)))).flat();
  expect(made.toSorted()).toEqual([`certificates_d${DAY}`, `certificates_d${DAY + 1}`, `certificates_d${DAY + 2}`]);
  expect(await ensurePartitions(t.ownerDb, DAY, DAY + 2)).toEqual([]);
  expect(await buckets()).toEqual(expect.arrayContaining([DAY, DAY + 1, DAY + 2]));
});

test('a partition has every index of its parent, attached', async () => {
  const rows = await t.ownerDb.$queryRaw<{ parents: number; attached: number }[]>`
    SELECT (SELECT count(*)::int FROM pg_index WHERE indrelid = 'certificates'::regclass) AS parents,
      (SELECT count(*)::int FROM pg_index x JOIN pg_inherits h ON h.inhrelid = x.indexrelid WHERE x.indrelid = 'certificates_d30000'::regclass) AS attached`;
  expect(rows[0]?.parents).toBeGreaterThan(4);
  expect(rows[0]?.attached).toBe(rows[0]?.parents);
});

test('a certificate that is updated as in its life stays on its page: no index grows', async () => {
  await ensurePartitions(t.ownerDb, DAY + 20, DAY + 20);
  await t.db.$executeRaw`
    INSERT INTO certificates (bucket, serial, issuer_id, agent_id, instance_id, profile, shard, generation, fingerprint, key_hash, der, not_before, not_after, issued_at)
    SELECT ${DAY + 20}, decode(repeat('ab', 18), 'hex') || int2send(i::int2), 'i', 'a', 'n', 'p', 0, 1, sha256(int4send(i)), sha256(int4send(i)), convert_to(repeat(md5(i::text), 30), 'UTF8'), now(), now(), now() FROM generate_series(1, 40) AS i`;
  const page = () => t.ownerDb.$queryRaw`SELECT split_part(ctid::text, ',', 1) AS page FROM certificates WHERE bucket = ${DAY + 20} ORDER BY serial LIMIT 1`;
  const before = await page();
  for (const column of ['presented_at', 'superseded_at']) await t.db.$executeRawUnsafe(`UPDATE certificates SET ${column} = now() WHERE bucket = ${DAY + 20} AND serial = decode(repeat('ab', 18) || '0001', 'hex')`);
  expect(await page()).toEqual(before);
  await t.ownerDb.$executeRawUnsafe(`DROP TABLE certificates_d${DAY + 20}`);
});

test('the service writes through the parent; a day without a partition is refused; a serial is unique in its day', async () => {
  expect(await insert(DAY)).toBe(1);
  await expect(insert(DAY)).rejects.toThrow(/certificates_d30000_pkey|Unique/);
  await expect(insert(DAY + 9)).rejects.toThrow(/no partition/);
});

test('ensurePartitions: waits for nobody who reads or writes certificates', async () => {
  await t.db.$transaction(async (tx) => {
    await tx.$executeRaw`UPDATE certificates SET shard = 0 WHERE bucket = ${DAY}`;
    expect(await ensurePartitions(t.ownerDb, DAY + 3, DAY + 3)).toEqual([`certificates_d${DAY + 3}`]);
  });
});

test('dropPartitions: drops the days before, keeps the others, and finishes what was interrupted after detaching', async () => {
  await dropPartitions(t.ownerDb, DAY);
  expect(await buckets()).toEqual([DAY, DAY + 1, DAY + 2, DAY + 3]);
  await t.ownerDb.$executeRawUnsafe(`ALTER TABLE certificates DETACH PARTITION certificates_d${DAY} CONCURRENTLY`);
  expect((await listPartitions(t.db))[0]).toEqual({ name: `certificates_d${DAY}`, bucket: DAY, state: 'detached' });
  expect(await dropPartitions(t.ownerDb, DAY + 2)).toEqual([`certificates_d${DAY}`, `certificates_d${DAY + 1}`]);
  expect(await buckets()).toEqual([DAY + 2, DAY + 3]);
  expect(await t.db.certificate.count()).toBe(0);
});

test('dropPartitions: a detach that was cancelled in the middle is finalized', async () => {
  const impatient = new pg.Client({ connectionString: t.ownerUrl });
  await impatient.connect();
  await impatient.query("SET statement_timeout = '300ms'");
  await t.db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM certificates LIMIT 1`;
    // Waits for this reader until its own time-out, and leaves the partition half detached.
    await expect(impatient.query(`ALTER TABLE certificates DETACH PARTITION certificates_d${DAY + 2} CONCURRENTLY`)).rejects.toThrow(/statement timeout/);
  });
  await impatient.end();
  expect((await listPartitions(t.db))[0]?.state).toBe('detaching');
  expect(await dropPartitions(t.ownerDb, DAY + 3)).toEqual([`certificates_d${DAY + 2}`]);
  expect(await buckets()).toEqual([DAY + 3]);
});
