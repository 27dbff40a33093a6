/** SIGKILL in the middle of an enrollment or a renewal: what was acknowledged is there, the rest is not half there, the restarted process serves. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BARRIERS, type BarrierName } from '../../src/core/barrier.ts';
import type { Reply } from '../support/https-client.ts';
import { enroll, identityOf, ok, outcome, present, renew, startFleet, type Fleet, type Replica } from '../support/fault/fleet.ts';
import { expectVerdicts, expectWhole, GOOD, REVOKED, storedOf, type Verdict } from '../support/fault/judge.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';

const LONG = 90_000;
const steps = (way: string): BarrierName[] => BARRIERS.filter((name) => name.startsWith(`${way}:`));
const SERIAL = /^[0-9a-f]{40}$/;
/** For an answer that leaves too early to arrive. */
const EARLY_ANSWER_MS = 200;

let fleet: Fleet;
let victim: Replica;
let survivor: Replica;
/** Everything that was ever acknowledged here. */
const acknowledged: Record<string, Verdict> = {};

beforeAll(async () => {
  fleet = await startFleet();
  [victim, survivor] = fleet.replicas;
  const identities = await Promise.all([fleet.enrolled(victim), fleet.enrolled(victim), fleet.enrolled(survivor)]);
  for (const { serial } of identities) acknowledged[serial] = GOOD;
  const [{ serial }] = identities;
  ok(await victim.api.send('POST', `/v1/certificates/${serial}/revoke`, { json: { reason: 'superseded' } }));
  acknowledged[serial] = REVOKED;
}, LONG);
afterAll(() => fleet.close(), LONG);

/** Kills the victim when it stands at the step. Returns what its client heard before: nothing, if all is well. */
async function killAt(step: BarrierName, ask: () => Promise<Reply>): Promise<string> {
  victim.barriers.arm(step);
  const answer = ask().then(outcome, () => 'no answer');
  await victim.barriers.reached(step);
  await Promise.race([answer, sleep(EARLY_ANSWER_MS)]);
  await victim.kill9();
  return answer;
}

/** Expects that whatever the client heard of is stored, and that nothing was to be heard of before step 8. */
async function expectKept(said: string, agentId: string): Promise<string[]> {
  const stored = (await storedOf(fleet, agentId)).map(({ serial }) => serial);
  expect({ 'acknowledged and lost': SERIAL.test(said) && !stored.includes(said) ? [said] : [] }).toEqual({ 'acknowledged and lost': [] });
  expect(said).toBe('no answer');
  return stored;
}

test.each(steps('issue'))('kill -9 at %s: whole or not there, and the restarted process goes on', async (step) => {
  const agentId = await fleet.register();
  const token = await fleet.joinToken(agentId);
  const pair = makeKeyAndCsr();
  const stored = await expectKept(await killAt(step, () => enroll(victim, token, pair)), agentId);
  expect(stored).toHaveLength(step === 'issue:committed' ? 1 : 0);
  await expectWhole(fleet);

  await victim.start();
  const again = identityOf(await enroll(victim, token, pair), pair);
  expect((await storedOf(fleet, agentId)).map(({ serial }) => serial)).toEqual(stored[0] === undefined ? [again.serial] : stored);
  ok(await present(survivor, again));
  acknowledged[again.serial] = GOOD;
}, LONG);

test.each(steps('renew'))('kill -9 at %s: whole or not there, and the restarted process goes on', async (step) => {
  const identity = await fleet.enrolled(survivor);
  const pair = makeKeyAndCsr();
  const stored = await expectKept(await killAt(step, () => renew(victim, identity, pair)), identity.agentId);
  expect(stored).toHaveLength(step === 'renew:committed' ? 2 : 1);
  await expectWhole(fleet);

  await victim.start();
  const again = identityOf(await renew(victim, identity, pair), pair);
  expect((await storedOf(fleet, identity.agentId)).map(({ serial }) => serial)).toEqual(stored[1] === undefined ? [identity.serial, again.serial] : stored);
  ok(await present(survivor, again));
  acknowledged[again.serial] = GOOD;
}, LONG);

test('in the end both replicas say of everything acknowledged what they said before, and nothing is half there', async () => {
  await expectVerdicts(fleet, acknowledged);
  await expectWhole(fleet);
}, LONG);
