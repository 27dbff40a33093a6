/** A join token is spent once, whoever uses it where and when. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Reply } from '../support/https-client.ts';
import { enroll, outcome, startFleet, type Fleet, type Replica } from '../support/fault/fleet.ts';
import { expectVerdicts, expectWhole, GOOD, storedOf } from '../support/fault/judge.ts';
import { makeKeyAndCsr, type KeyAndCsr } from '../support/fault/keys.ts';
import { obstructKey, stuckOrDone } from '../support/fault/sessions.ts';

const LONG = 60_000;
const SERIAL = /^[0-9a-f]{40}$/;

let fleet: Fleet;
let one: Replica;
let other: Replica;
beforeAll(async () => {
  fleet = await startFleet();
  [one, other] = fleet.replicas;
}, LONG);
afterAll(() => fleet.close(), LONG);

/** Two uses of one token: the second comes to the other replica while the first is in its commit, and then there are more of both. */
async function useAtOnce(first: KeyAndCsr, second: KeyAndCsr): Promise<{ agentId: string; outcomes: string[] }> {
  const agentId = await fleet.register();
  const token = await fleet.joinToken(agentId);
  const obstacle = await obstructKey(fleet.database, first.keyHash);
  const answers: Promise<Reply>[] = [enroll(one, token, first)];
  await stuckOrDone(fleet.database, 1, Promise.all(answers));
  answers.push(enroll(other, token, second));
  await stuckOrDone(fleet.database, 2, Promise.all(answers.slice(1)));
  for (const pair of [first, second]) answers.push(enroll(one, token, pair), enroll(other, token, pair));
  await obstacle.remove();
  return { agentId, outcomes: (await Promise.all(answers)).map(outcome) };
}

test('two uses at once with the same key: one certificate, the same for every asker', async () => {
  const pair = makeKeyAndCsr();
  const { agentId, outcomes } = await useAtOnce(pair, pair);
  const [serial = ''] = outcomes;
  expect(serial).toMatch(SERIAL);
  expect(outcomes).toEqual(outcomes.map(() => serial));
  expect(await storedOf(fleet, agentId)).toEqual([{ serial, state: 'good', generation: 1 }]);
  await expectVerdicts(fleet, { [serial]: GOOD });
});

test('two uses at once with different keys: one wins, the other is told that the token was used', async () => {
  const [first, second] = [makeKeyAndCsr(), makeKeyAndCsr()];
  const { agentId, outcomes } = await useAtOnce(first, second);
  const serials = new Set(outcomes.filter((said) => SERIAL.test(said)));
  expect([...serials]).toEqual((await storedOf(fleet, agentId)).map(({ serial }) => serial));
  expect(serials.size).toBe(1);
  // Of each key there were three uses: the winner's all got the certificate, the other's all a refusal.
  expect(outcomes.filter((said) => said === 'join-token-used')).toHaveLength(3);
});

test.each(['issue:verified', 'issue:before-commit'] as const)('a use that stands at %s while another is answered: same key, same certificate; other key, refused', async (step) => {
  for (const same of [true, false]) {
    const agentId = await fleet.register();
    const token = await fleet.joinToken(agentId);
    const winner = makeKeyAndCsr();
    one.barriers.arm(step);
    const late = enroll(one, token, same ? winner : makeKeyAndCsr());
    await one.barriers.reached(step);
    const serial = outcome(await enroll(other, token, winner));
    one.barriers.release(step);
    expect(serial).toMatch(SERIAL);
    expect(outcome(await late)).toBe(same ? serial : 'join-token-used');
    expect(await storedOf(fleet, agentId)).toEqual([{ serial, state: 'good', generation: 1 }]);
  }
});

test('twenty keys race for one token at both replicas: one of them wins', async () => {
  const agentId = await fleet.register();
  const token = await fleet.joinToken(agentId);
  const outcomes = (await Promise.all(Array.from({ length: 20 }, (_, n) => enroll(n % 2 ? one : other, token, makeKeyAndCsr())))).map(outcome);
  const stored = await storedOf(fleet, agentId);
  expect(stored).toHaveLength(1);
  expect(outcomes.filter((said) => said !== 'join-token-used')).toEqual(stored.map(({ serial }) => serial));
});

test('in the end nothing is half there', () => expectWhole(fleet));
