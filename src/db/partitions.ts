import { ADVISORY_LOCK, LOCK_CLASS } from './advisory-locks.ts';
import { inTransaction, type Db, type Tx } from './client.ts';

/** A partition of `certificates`: one UTC day of expiry. */
export interface Partition {
  name: string;
  /** Days since 1970, as in the serials (DESIGN invariant 3). */
  bucket: number;
  /** attached, or what an interrupted drop left: detaching has begun, or is done and the table not yet dropped. */
  state: 'attached' | 'detaching' | 'detached';
}

/**
 * Percent of a page that inserts fill. A certificate is updated twice in an ordinary life (presented, superseded); with room beside it the new version stays on its
 * page and none of its six indexes is touched: 8 of 10 updates instead of 2 of 10, a presentation writes 0.55 instead of 1.6 kB of WAL, a renewal 4.4 instead
 * of 5.5 kB (docs/performance.md).
 */
const FILLFACTOR = 70;

const nameOf = (bucket: number): string => `certificates_d${bucket}`;

/** Every partition there is, by bucket. */
export async function listPartitions(db: Db | Tx): Promise<Partition[]> {
  const rows = await db.$queryRaw<{ name: string; pending: boolean | null }[]>`
    SELECT c.relname::text AS name, i.inhdetachpending AS pending
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'certificates'::regclass)
      AND c.relkind = 'r' AND c.relname ~ '^certificates_d[0-9]{1,8}$'`;
  return rows
    .map(({ name, pending }): Partition => ({
      name,
      bucket: Number(name.slice('certificates_d'.length)),
      state: pending === null ? 'detached' : pending ? 'detaching' : 'attached',
    }))
    .toSorted((a, b) => a.bucket - b.bucket);
}

/** Records what was done with partitions, in the transaction that did it. */
export type RecordPartitions = (tx: Tx, names: readonly string[]) => Promise<void>;

/**
 * Makes the missing partitions for the UTC days `fromDay` to `toDay` (days since 1970, both included) and returns their names. Needs the owner role.
 * Safe when run by several at once. A table is made beside the parent and then attached: that lets issuance go on, where
 * CREATE TABLE ... PARTITION OF would lock the parent against everybody. `record` is the last statement of its transaction.
 */
export async function ensurePartitions(ownerDb: Db, fromDay: number, toDay: number, record?: RecordPartitions): Promise<string[]> {
  return inTransaction(ownerDb, async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(${LOCK_CLASS}::int, ${ADVISORY_LOCK.partitions}::int)`;
    const there = new Set((await listPartitions(tx)).map(({ bucket }) => bucket));
    const created: string[] = [];
    for (let bucket = fromDay; bucket <= toDay; bucket++) {
      if (there.has(bucket)) continue;
      const name = nameOf(bucket);
      // One statement a partition: it is also one round trip.
      await tx.$executeRawUnsafe(`DO $$ BEGIN
        CREATE TABLE ${name} (LIKE certificates INCLUDING ALL) WITH (fillfactor = ${FILLFACTOR});
        ALTER TABLE certificates ATTACH PARTITION ${name} FOR VALUES FROM (${bucket}) TO (${bucket + 1});
      END $$`);
      created.push(name);
    }
    if (created.length > 0) await record?.(tx, created);
    return created;
  });
}

/**
 * Drops the partitions of all days before `beforeDay` and returns their names. Needs the owner role. Detaches concurrently, so that nobody waits;
 * what an interrupted run left behind is finished. The caller waits for grace plus one more scheduled CRL (DESIGN invariant 3). Detaching concurrently cannot be part of a
 * transaction: `begin` records that it will be done, `end`, together with the end of the table, that it was.
 */
export async function dropPartitions(ownerDb: Db, beforeDay: number, record?: { begin: RecordPartitions; end: RecordPartitions }): Promise<string[]> {
  const dropped: string[] = [];
  for (const { name, bucket, state } of await listPartitions(ownerDb)) {
    if (bucket >= beforeDay) continue;
    if (state === 'attached' && record) await inTransaction(ownerDb, (tx) => record.begin(tx, [name]));
    if (state === 'attached') await ownerDb.$executeRawUnsafe(`ALTER TABLE certificates DETACH PARTITION ${name} CONCURRENTLY`);
    if (state === 'detaching') await ownerDb.$executeRawUnsafe(`ALTER TABLE certificates DETACH PARTITION ${name} FINALIZE`);
    await inTransaction(ownerDb, async (tx) => {
      await tx.$executeRawUnsafe(`DROP TABLE IF EXISTS ${name}`);
      await record?.end(tx, [name]);
    });
    dropped.push(name);
  }
  return dropped;
}
