/** Rotation of API tokens by two replicas at once, against revocation, and across SIGKILL: one successor or none, and an answer that was lost can be had again. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BARRIERS, type BarrierName } from '../../src/core/barrier.ts';
import { ok, startFleet, type Fleet, type Replica } from '../support/fault/fleet.ts';
import { rowsOf, stuckOrDone } from '../support/fault/sessions.ts';
import { createClient, jsonOf, type Reply } from '../support/https-client.ts';

const LONG = 60_000;
const STEPS: BarrierName[] = BARRIERS.filter((name) => name.startsWith('rotate-token:'));

interface Made {
  id: string;
  token: string;
}

let fleet: Fleet;
let one: Replica;
let other: Replica;
beforeAll(async () => {
  fleet = await startFleet();
  [one, other] = fleet.replicas;
}, LONG);
afterAll(() => fleet.close(), LONG);

let sequence = 0;
const make = async () => jsonOf<Made>(ok(await one.api.send('POST', '/v1/admin-tokens', { json: { name: `rotated-${++sequence}`, role: 'operator' } })));
const as = (at: Replica, { token }: Pick<Made, 'token'>) => createClient({ url: at.process.urls.api, ca: at.process.rootPem, token });
const rotateOwn = (at: Replica, made: Made, key = 'r') => as(at, made).send('POST', '/v1/admin-tokens/self/rotate', { json: {}, headers: { 'idempotency-key': key } });
const outcome = (reply: Reply) => jsonOf<{ code?: string }>(reply).code ?? reply.status;
const uses = async (at: Replica, made: Pick<Made, 'token'>) => outcome(await as(at, made).send('GET', '/v1/admin-tokens/self'));
/** Tokens that came from this one, and the events that tell of it. */
async function recorded({ id }: Made): Promise<{ successors: number; events: number; named: string | null }> {
  const [row] = await rowsOf<{ successors: number; events: number; named: string | null }>(
    fleet.database,
    `SELECT (SELECT count(*)::int FROM admin_tokens WHERE predecessor_id = $1) AS successors,
      (SELECT count(*)::int FROM audit_events WHERE kind = 'admin-token.rotated' AND target = $1) AS events,
      (SELECT s.id FROM admin_tokens t JOIN admin_tokens s ON s.id = t.successor_id WHERE t.id = $1) AS named`,
    [id],
  );
  return row ?? { successors: 0, events: 0, named: null };
}

test('two rotations of one token at two replicas: one stands, the other is told so', async () => {
  const old = await make();
  one.barriers.arm('rotate-token:before-commit');
  const first = rotateOwn(one, old, 'first');
  await one.barriers.reached('rotate-token:before-commit');
  const second = rotateOwn(other, old, 'second');
  await stuckOrDone(fleet.database, 1, second);
  one.barriers.release('rotate-token:before-commit');
  const [won, lost] = [await first, await second];
  expect([won.status, outcome(lost)]).toEqual([201, 'admin-token-state-conflict']);
  const next = jsonOf<Made>(won);
  expect(await recorded(old)).toEqual({ successors: 1, events: 1, named: next.id });
  for (const at of [one, other]) expect([await uses(at, next), await uses(at, old)]).toEqual([200, 200]);
}, LONG);

test('a revocation during a rotation waits for it; with successors it takes both, and the thief has nothing', async () => {
  const old = await make();
  one.barriers.arm('rotate-token:before-commit');
  const rotation = rotateOwn(one, old);
  await one.barriers.reached('rotate-token:before-commit');
  const revocation = other.api.send('POST', `/v1/admin-tokens/${old.id}/revoke`, { json: { withSuccessors: true } });
  await stuckOrDone(fleet.database, 1, revocation);
  one.barriers.release('rotate-token:before-commit');
  const next = jsonOf<Made>(ok(await rotation));
  expect((await revocation).status).toBe(200);
  // By the replica that revoked at once; by the other within the second it may believe.
  expect([await uses(other, old), await uses(other, next)]).toEqual(['credential-revoked', 'credential-revoked']);
  const revoked = await rowsOf<{ id: string }>(fleet.database, 'SELECT id FROM admin_tokens WHERE id IN ($1, $2) AND revoked_at IS NOT NULL', [old.id, next.id]);
  expect(revoked).toHaveLength(2);
}, LONG);

test.each(STEPS)('kill -9 at %s: one successor or none; asked again with the same key, the same secret', async (step) => {
  const old = await make();
  one.barriers.arm(step);
  const lost = rotateOwn(one, old).then((reply) => reply.status, () => 'no answer');
  await one.barriers.reached(step);
  await one.kill9();
  expect(await lost).toBe('no answer');
  const happened = step.endsWith(':committed');
  const { successors, events, named } = await recorded(old);
  expect([successors, events, named !== null]).toEqual(happened ? [1, 1, true] : [0, 0, false]);
  expect(await uses(other, old)).toBe(200);

  // At the replica that lived, and at the one that was started again.
  const again = ok(await rotateOwn(other, old));
  await one.start();
  const replayed = await rotateOwn(one, old);
  expect([again.headers['idempotency-replayed'], replayed.headers['idempotency-replayed']]).toEqual([happened ? 'true' : undefined, 'true']);
  expect(replayed.body).toEqual(again.body);
  const next = jsonOf<Made>(again);
  expect(await recorded(old)).toEqual({ successors: 1, events: 1, named: next.id });
  expect([await uses(one, next), await uses(other, next)]).toEqual([200, 200]);
}, LONG);
