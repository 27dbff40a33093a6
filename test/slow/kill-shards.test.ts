/** Ten thousand certificates of 128 shards are revoked at once, with two publishers: what is on the lists afterwards, and who had to wait for it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { noBarrier } from '../../src/core/barrier.ts';
import { inTransaction } from '../../src/db/client.ts';
import { COMPLETE } from '../../src/db/crls.ts';
import { appendFeedRows } from '../../src/db/feed.ts';
import { createCrlStore } from '../../src/revocation/crl/crl-store.ts';
import { createCrlPublisher } from '../../src/revocation/crl/publisher.ts';
import { createRevocationSignals } from '../../src/revocation/signals.ts';
import { openTestAuthority, type TestAuthority } from '../support/authority.ts';
import { FIXED_NOW, testDatabase, type TestDatabase } from '../support/db.ts';
import { changeStatus, LEAF_AGENT, LEAF_INSTANCE, leafSerial, storeLeaves } from '../support/leaves.ts';

const SHARDS = 128;
const KILLED = 10_000;
/** Revoked one after the other while the lists of the kill are being published, all in one shard. */
const LATER = 2_000;
const BATCH = 1_000;
const NOT_AFTER = new Date(FIXED_NOW.getTime() + 3_600_000);

let database: TestDatabase;
let authority: TestAuthority;
let issuerId: string;
beforeAll(async () => {
  database = await testDatabase();
  authority = await openTestAuthority(database, { env: { SIGNET_CRL_SHARDS: String(SHARDS) } });
  issuerId = authority.authorities.snapshot().active.id;
  for (let from = 0; from < KILLED + LATER; from += BATCH) {
    await storeLeaves(database.db, issuerId, Array.from({ length: BATCH }, (_, i) => ({ serial: leafSerial(NOT_AFTER, from + i), notAfter: NOT_AFTER, shard: shardOf(from + i) })));
  }
}, 120_000);
afterAll(async () => {
  await authority.authorities.close();
  await database.drop();
});

const shardOf = (n: number): number => (n < KILLED ? n % SHARDS : 0);

/** A replica as far as lists are concerned. */
function openReplica() {
  const signals = createRevocationSignals();
  const crls = createCrlStore(authority);
  return { signals, publisher: createCrlPublisher({ ...authority, barrier: noBarrier, signals, crls }) };
}

interface Stored {
  issuer_id: string;
  shard: number;
  number: bigint;
  entries: number;
}
const stored = (): Promise<Stored[]> => database.ownerDb.$queryRaw<Stored[]>`SELECT issuer_id, shard, number, entries FROM crls ORDER BY shard`;

/** In one transaction, as a step of a kill does it. */
async function revokeAll(): Promise<{ serial: Buffer; issuerId: string; shard: number }[]> {
  const changed = Array.from({ length: KILLED }, (_, n) => ({ serial: leafSerial(NOT_AFTER, n), issuerId, shard: shardOf(n) }));
  await inTransaction(database.db, async (tx) => {
    await tx.certificate.updateMany({ where: { serial: { in: changed.map(({ serial }) => new Uint8Array(serial)) } }, data: { revokedAt: FIXED_NOW, revocationReason: 1 } });
    await appendFeedRows(tx, FIXED_NOW, changed.map((one) => ({ kind: 'revoked' as const, ...one, agentId: LEAF_AGENT, instanceId: LEAF_INSTANCE, reason: 1 })));
  });
  return changed;
}

test('each list is published once over both replicas, and a list that is wanted last, or all the time, keeps no other waiting', async () => {
  const replicas = [openReplica(), openReplica()];
  const [one] = replicas as [ReturnType<typeof openReplica>];
  for (const { publisher } of replicas) {
    await publisher.start();
    await publisher.idle();
  }
  await database.ownerDb.$executeRaw`UPDATE crls SET stored_at = stored_at - interval '1 minute'`;
  const before = await stored();
  const root = authority.authorities.snapshot().activeRoot.id;

  const killed = await revokeAll();
  for (const { signals } of replicas) signals.changed(killed);
  // The root's list comes last; shard 0 goes on changing until all others are there, or it has changed LATER times.
  await inTransaction(database.db, (tx) => appendFeedRows(tx, FIXED_NOW, [{ kind: 'revoked', serial: leafSerial(NOT_AFTER, -1), issuerId: root, shard: 0, agentId: LEAF_AGENT, instanceId: LEAF_INSTANCE, reason: 1 }]));
  one.signals.changed([{ serial: leafSerial(NOT_AFTER, -1), issuerId: root, shard: COMPLETE }]);
  const isMissing = ({ issuer_id: id, shard, number }: Stored): boolean => !before.some((list) => list.issuer_id === id && list.shard === shard && list.number < number);
  let revokedLater = 0;
  while (revokedLater < LATER && (await stored()).some((list) => isMissing(list) && (list.issuer_id === issuerId || list.shard === COMPLETE))) {
    one.signals.changed([await changeStatus(database.db, { kind: 'revoked', serial: leafSerial(NOT_AFTER, KILLED + revokedLater++), at: FIXED_NOW })]);
  }
  expect((await stored()).filter((list) => isMissing(list) && (list.issuer_id === issuerId || list.shard === COMPLETE))).toEqual([]);

  await Promise.all(replicas.map(({ publisher }) => publisher.close()));
  const lists = (await stored()).filter((list) => list.issuer_id === issuerId);
  const entriesOf = (shard: number) => lists.find((list) => list.shard === shard)?.entries;
  expect(entriesOf(COMPLETE)).toBe(KILLED + revokedLater);
  for (let shard = 1; shard < SHARDS; shard++) expect([shard, entriesOf(shard)]).toEqual([shard, Math.ceil((KILLED - shard) / SHARDS)]);
  expect(entriesOf(0)).toBe(Math.ceil(KILLED / SHARDS) + revokedLater);
  // Nobody published a shard a second time for the same kill.
  expect(lists.filter(({ shard }) => shard > 0).map(({ number }) => Number(number))).toEqual(Array.from({ length: SHARDS - 1 }, () => 2));
}, 120_000);
