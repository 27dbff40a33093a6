/** SIGKILL in the middle of a revocation, a suspension or a publication: whole or not there; what was acknowledged is on the next list. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BARRIERS, type BarrierName } from '../../src/core/barrier.ts';
import { stuckOrDone } from '../support/fault/sessions.ts';
import { ok, startFleet, type Fleet, type Identity, type Replica } from '../support/fault/fleet.ts';
import { crlOf, expectVerdicts, expectWhole, GOOD, HELD, REVOKED, storedOf, verdictsAt, type Verdict } from '../support/fault/judge.ts';

const LONG = 90_000;
const steps = (way: string): BarrierName[] => BARRIERS.filter((name) => name.startsWith(`${way}:`));
const EARLY_ANSWER_MS = 200;
const LISTED_MS = 15_000;

let fleet: Fleet;
let victim: Replica;
let survivor: Replica;
const fates: Record<string, Verdict> = {};

beforeAll(async () => {
  fleet = await startFleet();
  [victim, survivor] = fleet.replicas;
}, LONG);
afterAll(() => fleet.close(), LONG);

/** A change of status that an operator asks for. */
interface Change {
  path: (of: Identity) => string;
  body: object;
  /** What the certificate is afterwards. */
  fate: Verdict;
}
const REVOKE: Change = { path: ({ serial }) => `/v1/certificates/${serial}/revoke`, body: { reason: 'keyCompromise' }, fate: REVOKED };
const SUSPEND: Change = { path: ({ agentId }) => `/v1/agents/${agentId}/suspend`, body: {}, fate: HELD };

const ask = (at: Replica, { path, body }: Change, identity: Identity) => at.api.send('POST', path(identity), { json: body });
const stateOf = async (identity: Identity): Promise<string | undefined> => (await storedOf(fleet, identity.agentId))[0]?.state;

test.each([...steps('revoke').map((step) => [step, REVOKE] as const), ...steps('suspend').map((step) => [step, SUSPEND] as const)])(
  'kill -9 at %s: whole or not there, and the restarted process goes on',
  async (step, change) => {
    const identity = await fleet.enrolled(victim);
    victim.barriers.arm(step);
    const answer = ask(victim, change, identity).then((reply) => reply.status, () => 'no answer');
    await victim.barriers.reached(step);
    await Promise.race([answer, sleep(EARLY_ANSWER_MS)]);
    await victim.kill9();
    expect(await answer).toBe('no answer');
    await expectWhole(fleet);
    const happened = step.endsWith(':committed');
    expect(await stateOf(identity)).toBe(happened ? change.fate.status : 'good');

    await victim.start();
    if (!happened) expect((await verdictsAt(fleet, victim, [identity.serial]))[identity.serial]).toEqual(GOOD);
    const again = ok(await ask(victim, change, identity));
    expect(again.status).toBe(200);
    // The replica that acknowledged it says so at once (invariant 13); lists and the others within their time.
    expect((await verdictsAt(fleet, victim, [identity.serial]))[identity.serial]).toMatchObject({ ocsp: change.fate.ocsp, status: change.fate.status });
    fates[identity.serial] = change.fate;
  },
  LONG,
);

test.each(steps('crl'))('kill -9 at %s: the revocation was acknowledged; the restarted process publishes it by itself, under a number of its own', async (step) => {
  const identity = await fleet.enrolled(victim);
  const before = await crlOf(fleet, victim);
  // Only the victim is to publish: the other may hear of the revocation after all is over.
  await survivor.freeze();
  try {
    victim.barriers.arm(step);
    expect(ok(await ask(victim, REVOKE, identity)).status).toBe(200);
    await victim.barriers.reached(step);
    await victim.kill9();
    await expectWhole(fleet);
    expect(await stateOf(identity)).toBe('revoked');

    await victim.start();
    let list = await crlOf(fleet, victim);
    for (const deadline = performance.now() + LISTED_MS; performance.now() < deadline && !list.serials.has(identity.serial); await sleep(50)) list = await crlOf(fleet, victim);
    expect([...list.serials]).toContain(identity.serial);
    expect(list.number).toBe(before.number + 1n);
    expect([...before.serials].filter((serial) => !list.serials.has(serial))).toEqual([]);
  } finally {
    survivor.thaw();
  }
  fates[identity.serial] = REVOKED;
}, LONG);

test('a publisher that dies with the list locked does not stop the other: it publishes the revocation', async () => {
  const identity = await fleet.enrolled(victim);
  await survivor.freeze();
  victim.barriers.arm('crl:before-commit');
  ok(await ask(victim, REVOKE, identity));
  await victim.barriers.reached('crl:before-commit');
  survivor.thaw();
  await stuckOrDone(fleet.database, 1, new Promise(() => undefined));
  await victim.kill9();
  fates[identity.serial] = REVOKED;
  let list = await crlOf(fleet, survivor);
  for (const deadline = performance.now() + LISTED_MS; performance.now() < deadline && !list.serials.has(identity.serial); await sleep(50)) list = await crlOf(fleet, survivor);
  expect([...list.serials]).toContain(identity.serial);
  await victim.start();
}, LONG);

test('in the end OCSP, status and list of both replicas tell of every change, and nothing is half there', async () => {
  await expectVerdicts(fleet, fates);
  await expectWhole(fleet);
}, LONG);
