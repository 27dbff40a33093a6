/** One certificate, two who renew it: the rules (a), (b), (c) of DESIGN §2 across two processes. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { jsonOf } from '../support/https-client.ts';
import { identityOf, ok, outcome, present, renew, startFleet, type Fleet, type Identity, type Replica } from '../support/fault/fleet.ts';
import { expectVerdicts, expectWhole, GOOD, HELD, REVOKED, storedOf } from '../support/fault/judge.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { obstructFeed, obstructKey, stuckOrDone } from '../support/fault/sessions.ts';

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

const findings = async (instanceId: string): Promise<string[]> => {
  const { items } = jsonOf<{ items: { kind: string }[] }>(ok(await one.api.send('GET', `/v1/findings?instanceId=${instanceId}`)));
  return items.map(({ kind }) => kind);
};
const instanceState = async (instanceId: string): Promise<string> => jsonOf<{ state: string }>(ok(await one.api.send('GET', `/v1/instances/${instanceId}`))).state;

test('two renewals of one certificate at once, different keys: one live tip; whoever lost it is found out by using it', async () => {
  const identity = await fleet.enrolled(one);
  const [first, second] = [makeKeyAndCsr(), makeKeyAndCsr()];
  const obstacle = await obstructKey(fleet.database, first.keyHash);
  const answerOne = renew(one, identity, first);
  await stuckOrDone(fleet.database, 1, answerOne);
  const answerTwo = renew(other, identity, second);
  await stuckOrDone(fleet.database, 2, answerTwo);
  await obstacle.remove();
  const early = identityOf(await answerOne, first);
  const late = identityOf(await answerTwo, second);

  // Rule (b): nobody had presented the first successor, so the second renewal took its place.
  expect((await storedOf(fleet, identity.agentId)).map(({ serial, state }) => [serial, state])).toEqual([
    [identity.serial, 'good'],
    [early.serial, 'revoked'],
    [late.serial, 'good'],
  ]);
  expect(await findings(identity.instanceId)).toEqual(['successor-displaced']);
  await expectVerdicts(fleet, { [early.serial]: REVOKED, [late.serial]: GOOD });

  // Rule (c), at the other replica: the displaced successor in use means two holders.
  expect(outcome(await present(one, early))).toBe('instance-quarantined');
  expect(await instanceState(identity.instanceId)).toBe('quarantined');
  await expectVerdicts(fleet, { [identity.serial]: HELD, [early.serial]: REVOKED, [late.serial]: HELD });
}, LONG);

test('two renewals of one certificate at once, same key: the same certificate for both', async () => {
  const identity = await fleet.enrolled(one);
  const pair = makeKeyAndCsr();
  const obstacle = await obstructKey(fleet.database, pair.keyHash);
  const answers = [renew(one, identity, pair)];
  await stuckOrDone(fleet.database, 1, Promise.all(answers));
  answers.push(renew(other, identity, pair));
  await stuckOrDone(fleet.database, 2, Promise.all(answers.slice(1)));
  await obstacle.remove();
  const [serial, again] = (await Promise.all(answers)).map(outcome);
  expect(serial).toMatch(SERIAL);
  expect(again).toBe(serial);
  expect((await storedOf(fleet, identity.agentId)).map(({ serial: stored, state }) => [stored, state])).toEqual([[identity.serial, 'good'], [serial, 'good']]);
  expect(await findings(identity.instanceId)).toEqual([]);
});

test('the answer of a renewal is lost: the same key gets the same certificate at any replica (a), and goes on with it', async () => {
  const identity = await fleet.enrolled(one);
  const pair = makeKeyAndCsr();
  one.barriers.arm('renew:committed');
  const lost = renew(one, identity, pair);
  await one.barriers.reached('renew:committed');
  const again = identityOf(await renew(other, identity, pair), pair);
  one.barriers.release('renew:committed');
  expect(outcome(await lost)).toBe(again.serial);

  const next = makeKeyAndCsr();
  const third = identityOf(await renew(one, again, next), next);
  expect((await storedOf(fleet, identity.agentId)).map(({ serial, state }) => [serial, state])).toEqual([
    [identity.serial, 'good'], [again.serial, 'good'], [third.serial, 'good'],
  ]);
  expect(await findings(identity.instanceId)).toEqual([]);
});

/** A renewal with a fresh key, by whoever holds the identity. */
async function renewed(at: Replica, holding: Identity): Promise<Identity> {
  const pair = makeKeyAndCsr();
  return identityOf(await renew(at, holding, pair), pair);
}

test('thief and owner renew alternately, at different replicas: the second move of the owner finds the thief out', async () => {
  const stolen = await fleet.enrolled(one);
  const owners = await renewed(one, stolen);
  // (b): the owner has not used the new certificate yet, so it goes, and the thief's comes.
  const thiefs = await renewed(other, stolen);
  expect((await storedOf(fleet, stolen.agentId)).map(({ state }) => state)).toEqual(['good', 'revoked', 'good']);
  // (c): the owner uses what was taken away.
  expect(outcome(await renew(one, owners, makeKeyAndCsr()))).toBe('instance-quarantined');
  expect(outcome(await renew(other, thiefs, makeKeyAndCsr()))).toBe('instance-quarantined');
  expect(outcome(await renew(other, stolen, makeKeyAndCsr()))).toBe('instance-quarantined');
  expect(await findings(stolen.instanceId)).toEqual(['successor-displaced', 'copied-key']);
  await expectVerdicts(fleet, { [stolen.serial]: HELD, [owners.serial]: REVOKED, [thiefs.serial]: HELD });
}, LONG);

test('the thief renews after the owner has used the new certificate: the first move of the thief finds it out (c)', async () => {
  const stolen = await fleet.enrolled(one);
  const owners = await renewed(one, stolen);
  ok(await present(other, owners));
  expect(outcome(await renew(other, stolen, makeKeyAndCsr()))).toBe('instance-quarantined');
  expect(await findings(stolen.instanceId)).toEqual(['copied-key']);
  await expectVerdicts(fleet, { [stolen.serial]: HELD, [owners.serial]: HELD });
}, LONG);

test('the thief renews at the very moment the owner first uses the new certificate: one of them is found, nothing of the instance stays good', async () => {
  const stolen = await fleet.enrolled(one);
  const owners = await renewed(one, stolen);
  // The thief's renewal has revoked the owner's certificate and has not committed that; the owner is just presenting it.
  const obstacle = await obstructFeed(fleet.database);
  const thief = renew(other, stolen, makeKeyAndCsr());
  await stuckOrDone(fleet.database, 1, thief);
  const owner = present(one, owners);
  await stuckOrDone(fleet.database, 2, owner);
  await obstacle.remove();
  expect(outcome(await owner)).toBe('instance-quarantined');
  expect(outcome(await thief)).toMatch(/^([0-9a-f]{40}|instance-quarantined)$/);
  expect(await instanceState(stolen.instanceId)).toBe('quarantined');
  expect((await storedOf(fleet, stolen.agentId)).filter(({ state }) => state === 'good')).toEqual([]);
});

test('in the end nothing is half there', () => expectWhole(fleet));
