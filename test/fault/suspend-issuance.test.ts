/** Whoever stops an agent or an instance while a certificate for it is being made: nothing that was issued stays good (DESIGN invariant 7). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BARRIERS, type BarrierName } from '../../src/core/barrier.ts';
import { runSql } from '../support/postgres.ts';
import { enroll, ok, outcome, renew, startFleet, type Fleet, type Identity, type Replica } from '../support/fault/fleet.ts';
import { expectVerdicts, expectWhole, GOOD, HELD, REVOKED, storedOf, type Verdict } from '../support/fault/judge.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { heldBackOrDone, obstructFeed, obstructKey, stuckOrDone } from '../support/fault/sessions.ts';

const LONG = 60_000;
const steps = (way: string): BarrierName[] => BARRIERS.filter((name) => name.startsWith(`${way}:`));

let fleet: Fleet;
let issuing: Replica;
let stopping: Replica;
/** What every certificate of this file must be in the end, by whatever way one asks. */
const fates: Record<string, Verdict> = {};

beforeAll(async () => {
  fleet = await startFleet();
  [issuing, stopping] = fleet.replicas;
}, LONG);
afterAll(() => fleet.close(), LONG);

/** A way to stop what a certificate is issued to. */
interface Stop {
  does: string;
  path: (at: Pick<Identity, 'agentId' | 'instanceId'>) => string;
  /** What a later issuance is refused with. */
  refusal: string;
  fate: Verdict;
}

const AGENT_STOPS: Stop[] = [
  { does: 'suspend the agent', path: ({ agentId }) => `/v1/agents/${agentId}/suspend`, refusal: 'agent-suspended', fate: HELD },
  { does: 'retire the agent', path: ({ agentId }) => `/v1/agents/${agentId}/retire`, refusal: 'agent-retired', fate: REVOKED },
];
const STOPS: Stop[] = [
  ...AGENT_STOPS,
  { does: 'quarantine the instance', path: ({ instanceId }) => `/v1/instances/${instanceId}/quarantine`, refusal: 'instance-quarantined', fate: HELD },
  { does: 'revoke the instance', path: ({ instanceId }) => `/v1/instances/${instanceId}/revoke`, refusal: 'instance-revoked', fate: REVOKED },
];

const carryOut = async (stop: Stop, at: Pick<Identity, 'agentId' | 'instanceId'>): Promise<void> => {
  ok(await stopping.api.send('POST', stop.path(at), { json: {} }));
};

/** Expects this many certificates of the agent, none of them good, and asks every replica about them at the end. */
async function expectNothingGood(agentId: string, count: number, { fate }: Pick<Stop, 'fate'>): Promise<void> {
  const stored = await storedOf(fleet, agentId);
  expect(stored.filter(({ state }) => state === 'good')).toEqual([]);
  expect(stored.map(({ state }) => state)).toEqual(Array.from({ length: count }, () => fate.status));
  for (const { serial } of stored) fates[serial] = fate;
}

/** An enrollment under way at the issuing replica. */
async function newEnrollment() {
  const agentId = await fleet.register();
  const token = await fleet.joinToken(agentId);
  const pair = makeKeyAndCsr();
  return { agentId, instanceId: '', pair, begin: () => enroll(issuing, token, pair) };
}

describe.each(AGENT_STOPS)('$does during an enrollment', (stop) => {
  test.each(steps('issue'))('at %s: nothing issued stays good', async (step) => {
    const it = await newEnrollment();
    issuing.barriers.arm(step);
    const answer = it.begin();
    await issuing.barriers.reached(step);
    await carryOut(stop, it);
    issuing.barriers.release(step);

    const reply = await answer;
    const committed = step === 'issue:committed';
    if (!committed) expect(outcome(reply)).toBe(stop.refusal);
    await expectNothingGood(it.agentId, committed ? 1 : 0, stop);
  });

  test('an enrollment in the middle of its commit: nothing issued stays good', async () => {
    const it = await newEnrollment();
    const obstacle = await obstructKey(fleet.database, it.pair.keyHash);
    const answer = it.begin();
    await stuckOrDone(fleet.database, 1, answer);
    const stopped = carryOut(stop, it);
    await stuckOrDone(fleet.database, 2, stopped);
    await obstacle.remove();

    await stopped;
    expect(outcome(await answer)).toMatch(/^[0-9a-f]{40}$/);
    await expectNothingGood(it.agentId, 1, stop);
  });

  test('in the middle of the commit of the stop: the enrollment waits, and is refused', async () => {
    const it = await newEnrollment();
    const obstacle = await obstructFeed(fleet.database);
    const stopped = carryOut(stop, it);
    await stuckOrDone(fleet.database, 1, stopped);
    const answer = it.begin();
    await heldBackOrDone(answer);
    await obstacle.remove();

    await stopped;
    expect(outcome(await answer)).toBe(stop.refusal);
    await expectNothingGood(it.agentId, 0, stop);
  });
});

test.each(['suspend:state-changed', 'suspend:before-commit'] as const)('a suspension that stands at %s: an enrollment waits for it, and is refused', async (step) => {
  const [suspend] = AGENT_STOPS as [Stop];
  const it = await newEnrollment();
  stopping.barriers.arm(step);
  const stopped = carryOut(suspend, it);
  await stopping.barriers.reached(step);
  const answer = it.begin();
  await heldBackOrDone(answer);
  stopping.barriers.release(step);

  await stopped;
  expect(outcome(await answer)).toBe('agent-suspended');
  await expectNothingGood(it.agentId, 0, suspend);
});

describe.each(STOPS)('$does during a renewal', (stop) => {
  test.each(steps('renew'))('at %s: nothing issued stays good', async (step) => {
    const identity = await fleet.enrolled(issuing);
    issuing.barriers.arm(step);
    const answer = renew(issuing, identity, makeKeyAndCsr());
    await issuing.barriers.reached(step);
    await carryOut(stop, identity);
    issuing.barriers.release(step);

    const reply = await answer;
    const committed = step === 'renew:committed';
    if (!committed) expect(outcome(reply)).toBe(stop.refusal);
    await expectNothingGood(identity.agentId, committed ? 2 : 1, stop);
  });

  test('a renewal in the middle of its commit: nothing issued stays good', async () => {
    const identity = await fleet.enrolled(issuing);
    const pair = makeKeyAndCsr();
    const obstacle = await obstructKey(fleet.database, pair.keyHash);
    const answer = renew(issuing, identity, pair);
    await stuckOrDone(fleet.database, 1, answer);
    const stopped = carryOut(stop, identity);
    await stuckOrDone(fleet.database, 2, stopped);
    await obstacle.remove();

    await stopped;
    expect(outcome(await answer)).toMatch(/^[0-9a-f]{40}$/);
    await expectNothingGood(identity.agentId, 2, stop);
  });
});

test.each(steps('renew').filter((step) => step !== 'renew:committed'))('the presented certificate is revoked at %s: no successor', async (step) => {
  const identity = await fleet.enrolled(issuing);
  issuing.barriers.arm(step);
  const answer = renew(issuing, identity, makeKeyAndCsr());
  await issuing.barriers.reached(step);
  ok(await stopping.api.send('POST', `/v1/certificates/${identity.serial}/revoke`, { json: { reason: 'keyCompromise' } }));
  issuing.barriers.release(step);

  expect(outcome(await answer)).toBe('client-certificate-revoked');
  await expectNothingGood(identity.agentId, 1, { fate: REVOKED });
});

/** What a kill of everything will do (DESIGN §2): the gate for itself, the state first, the certificates in a later statement. */
const stopOfEverything = (agentId: string): string => `
  BEGIN;
  SELECT pg_advisory_xact_lock(7305, 1);
  INSERT INTO issuance_stops (kind, target, cause, created_at) VALUES ('everything', '*', 'test', now());
  UPDATE certificates SET held_at = now(), hold_causes = '{test}' WHERE agent_id = '${agentId}';
  COMMIT`;

test('a stop of everything during a commit waits at the gate for it: nothing issued stays good', async () => {
  const it = await newEnrollment();
  const late = await newEnrollment();
  const obstacle = await obstructKey(fleet.database, it.pair.keyHash);
  const answer = it.begin();
  await stuckOrDone(fleet.database, 1, answer);
  const stopped = runSql(fleet.database.ownerUrl, stopOfEverything(it.agentId));
  await stuckOrDone(fleet.database, 2, stopped);
  await obstacle.remove();
  await Promise.all([stopped, answer]);

  const stored = await storedOf(fleet, it.agentId);
  const refused = await late.begin();
  await runSql(fleet.database.ownerUrl, 'DELETE FROM issuance_stops');
  expect(stored.map(({ state }) => state)).toEqual(['held']);
  expect(outcome(refused)).toBe('issuance-stopped');
});

test('in the end: OCSP, status and list of both replicas say so of every certificate, and nothing is half there', async () => {
  const alive = await fleet.enrolled(stopping);
  expect(Object.keys(fates).length).toBeGreaterThan(30);
  await expectVerdicts(fleet, { ...fates, [alive.serial]: GOOD });
  await expectWhole(fleet);
}, LONG);
