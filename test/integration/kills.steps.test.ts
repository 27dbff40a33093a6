/** The parts of a kill that are called here by themselves, over a real database: what a replica says of what another one did, and what a confirmation is worth later. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Origin } from '../../src/audit/events.ts';
import { systemClock } from '../../src/core/clock.ts';
import { noBarrier } from '../../src/core/barrier.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { alone, type Siblings } from '../../src/core/siblings.ts';
import { createSealer } from '../../src/keystore/software/software-key-store.ts';
import { assertConfirmed, previewKill } from '../../src/revocation/kill-preview.ts';
import { finishKill } from '../../src/revocation/kill-steps.ts';
import { createRevocationSignals } from '../../src/revocation/signals.ts';
import { testDatabase, type TestDatabase } from '../support/db.ts';

const origin: Origin = { actor: { kind: 'admin', id: '01KAMV3W5Q000000000000ADMI' }, requestId: 'req', source: '127.0.0.1' };
const random = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
const OWNER = '01KAMV3W5Q0000000000000000';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await database.ownerDb.$executeRaw`INSERT INTO owners (id, email, created_at) VALUES (${OWNER}, 'some@example.com', now())`;
});
afterAll(() => database.drop());

/** Active agents from number `from` to `to`. */
const registered = (from: number, to: number) =>
  database.ownerDb.$executeRaw`
    INSERT INTO agents (id, name, state, owner_id, purpose, risk_class, environment, profile, created_at, updated_at)
    SELECT '01KAMV3W5Q1' || lpad(i::text, 15, '0'), 'agent-' || i, 'active', ${OWNER}, 'testing', 'limited', 'production', 'agent', now(), now() FROM generate_series(${from}::int, ${to}::int) i`;

test('whoever finds nothing left of a kill announces what another replica did last of it, here and to its workers', async () => {
  const [mine, early, held] = [1, 2, 3].map((octet) => Buffer.alloc(20, octet)) as [Buffer, Buffer, Buffer];
  await database.ownerDb.$executeRaw`
    INSERT INTO kills (id, selector, target, effect, reason, state, actor_kind, actor_id, agents, certificates, created_at, touched_at, finished_at)
    VALUES ('done', 'agent', 'a', 'suspend', 'tested', 'done', 'admin', 'another', 1, 1, now(), now(), now())`;
  // Of this kill a moment ago; of it, but long followed by everybody; of another one; of an agent.
  await database.ownerDb.$executeRaw`
    INSERT INTO feed_events (n, epoch, kind, serial, issuer_id, shard, agent_id, instance_id, kill_id, at) VALUES
      (1, 1, 'held', ${new Uint8Array(early)}, 'i', 7, 'a', 's', 'done', now() - interval '1 minute'), (2, 1, 'held', ${new Uint8Array(held)}, 'i', 7, 'a', 's', 'done', now()),
      (3, 1, 'held', ${new Uint8Array(mine)}, 'i', 7, 'a', 's', 'other', now()), (4, 1, 'agent-suspended', NULL, NULL, NULL, 'a', NULL, 'done', now())`;
  await database.ownerDb.$executeRaw`UPDATE counters SET value = 4 WHERE name = 'feed'`;

  const signals = createRevocationSignals();
  const heard: string[] = [];
  signals.subscribe((changed) => heard.push(...changed.map(({ serial, shard }) => `${serial.toString('hex')} in ${shard}`)));
  const asked: unknown[] = [];
  const siblings: Siblings = { ...alone, ask: (topic, message) => { asked.push([topic, message]); return Promise.resolve([]); } };
  await finishKill({ db: database.product, profiles: { longestGraceSeconds: 0 } as never, random, clock: systemClock, signals, siblings, metrics: createMetrics(), barrier: noBarrier }, origin, 'done');
  expect(heard).toEqual([`${held.toString('hex')} in 7`]);
  expect(asked).toEqual([['certificates-changed', [{ serial: held, issuerId: 'i', shard: 7 }]]]);
});

test('a confirmation is good for five minutes, and while no more than a tenth more is hit than was seen', async () => {
  await registered(1, 200);
  const ctx = { db: database.product, config: { killLookMax: 10_000, killConfirmAbove: 100 }, sealer: createSealer({ random }, { key: randomBytes(32) } as never) } as unknown as Parameters<typeof previewKill>[0];
  const now = new Date('2026-11-21T12:00:00Z');
  const asked = { selection: { selector: 'owner', target: OWNER } as const, effect: 'suspend' as const, now };
  const { confirm, confirmUntil, needsConfirm, counts } = await previewKill(ctx, origin, asked, 10);
  expect([needsConfirm, counts.agents]).toEqual([true, 200]);
  const later = (ms: number) => assertConfirmed(ctx, origin, { ...asked, now: new Date(now.getTime() + ms), confirm });
  const refused = (message: string) => ({ code: 'kill-confirmation-required', message: expect.stringContaining(message) });

  expect(confirmUntil.getTime() - now.getTime()).toBe(300_000);
  await later(300_000);
  await expect(later(300_001)).rejects.toMatchObject(refused('too old'));
  // A tenth, and ten more.
  await registered(201, 230);
  await later(0);
  await registered(231, 231);
  await expect(later(0)).rejects.toMatchObject(refused('the dry run said 200 in all'));
  await expect(assertConfirmed(ctx, { ...origin, actor: { kind: 'admin', id: 'somebody-else' } }, { ...asked, confirm })).rejects.toMatchObject(refused('to this caller'));
});
