/** kill -9 of who carries a kill out, at each of its steps: not there, or finished by another; then feed, CRL, OCSP, status and audit log agree. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BARRIERS, type BarrierName } from '../../src/core/barrier.ts';
import { ok, outcome, renew, startFleet, type Fleet, type Replica } from '../support/fault/fleet.ts';
import { expectVerdicts, expectWhole, GOOD, HELD, REVOKED, storedOf, verdictsAt, type Verdict } from '../support/fault/judge.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { rowsOf } from '../support/fault/sessions.ts';
import { jsonOf } from '../support/https-client.ts';

const LONG = 60_000;

let fleet: Fleet;
let issuing: Replica;
let killing: Replica;
/** What every certificate of this file must be in the end, by whatever way one asks. */
const fates: Record<string, Verdict> = {};

beforeAll(async () => {
  fleet = await startFleet();
  [issuing, killing] = fleet.replicas;
}, LONG);
afterAll(() => fleet.close(), LONG);

interface Kill {
  id: string;
  state: string;
}

const kill = async (at: Replica, selector: object, more: object = {}): Promise<Kill> => jsonOf<Kill>(ok(await at.api.send('POST', '/v1/kill', { json: { selector, reason: 'tested', ...more } })));
const resume = async (at: Replica, { id }: Pick<Kill, 'id'>) => jsonOf<Kill>(ok(await at.api.send('POST', `/v1/kills/${id}/resume`, { json: {} })));

/** A kill of one agent is done at once; one that moves renewal windows goes in steps. */
const inSteps = { renewWithinSeconds: 0 };
/** A resume walks the same steps again. */
const killSteps = BARRIERS.filter((name) => name.startsWith('kill:') && name !== 'kill:resume-begun');
const BEFORE_ALL: BarrierName[] = ['kill:few-changed', 'kill:gate-taken', 'kill:state-changed'];
/** The job looks every five seconds, at what nobody touched for five. */
const FINISHED_MS = 25_000;

const killsOf = (agentId: string) => rowsOf<Kill>(fleet.database, 'SELECT k.id, k.state FROM kills k JOIN agents a ON k.id = ANY (a.kill_ids) WHERE a.id = $1', [agentId]);
async function finished(agentId: string, state: string): Promise<void> {
  for (const deadline = performance.now() + FINISHED_MS; performance.now() < deadline; await sleep(100)) if ((await killsOf(agentId)).every((one) => one.state === state)) return;
  throw new Error(`not ${state} in ${FINISHED_MS / 1000} s`);
}

test.each([...killSteps.map((step) => [step, 'suspend', HELD] as const), ['kill:step-changed', 'revoke', REVOKED] as const])('at %s, %s: not there, or finished by the other', async (step, effect, fate) => {
  const identity = await fleet.enrolled(issuing);
  killing.barriers.arm(step);
  const answer = kill(killing, { agentId: identity.agentId }, { effect, ...(step.startsWith('kill:few-') ? {} : inSteps) }).then(() => 'answered', () => 'no answer');
  await killing.barriers.reached(step);
  await killing.kill9();
  expect(await answer).toBe('no answer');

  const isThere = !BEFORE_ALL.includes(step);
  // Nothing is issued from the first commit on, whoever finishes the rest.
  expect(outcome(await renew(issuing, identity, makeKeyAndCsr()))).toMatch(isThere ? /^agent-suspended$/ : /^[0-9a-f]{40}$/);
  expect((await killsOf(identity.agentId)).length).toBe(isThere ? 1 : 0);
  // The one that leads runs the jobs; started again it is there as well.
  await killing.start();
  if (isThere) await finished(identity.agentId, 'done');
  for (const { serial } of await storedOf(fleet, identity.agentId)) fates[serial] = isThere ? fate : GOOD;
  await expectWhole(fleet);
}, LONG);

test.each(['kill:resume-begun', 'kill:step-changed', 'kill:step-before-commit'] as const)('at %s of a resume: taken back by the other', async (step) => {
  const identity = await fleet.enrolled(issuing);
  const { id } = await kill(killing, { agentId: identity.agentId });
  killing.barriers.arm(step);
  const answer = resume(killing, { id }).then(() => 'answered', () => 'no answer');
  await killing.barriers.reached(step);
  await killing.kill9();
  expect(await answer).toBe('no answer');
  await killing.start();
  for (const deadline = performance.now() + FINISHED_MS; performance.now() < deadline && (await killsOf(identity.agentId)).length > 0; ) await sleep(100);
  expect((await storedOf(fleet, identity.agentId)).map(({ state }) => state)).toEqual(['good']);
  fates[identity.serial] = GOOD;
  await expectWhole(fleet);
}, LONG);

test('two who finish one kill do it once: the job takes it for abandoned while its own replica stands still', async () => {
  const identity = await fleet.enrolled(issuing);
  killing.barriers.arm('kill:stopped');
  const killed = kill(killing, { agentId: identity.agentId }, inSteps);
  await killing.barriers.reached('kill:stopped');
  await finished(identity.agentId, 'done');
  killing.barriers.release('kill:stopped');
  expect((await killed).state).toBe('done');
  fates[identity.serial] = HELD;
  await expectWhole(fleet);
}, LONG);

test('the replica that acknowledged a kill says so at once', async () => {
  const identity = await fleet.enrolled(killing);
  expect((await verdictsAt(fleet, killing, [identity.serial]))[identity.serial]).toMatchObject({ ocsp: 'good', status: 'good' });
  await kill(killing, { agentId: identity.agentId });
  expect((await verdictsAt(fleet, killing, [identity.serial]))[identity.serial]).toMatchObject({ ocsp: 'revoked', status: 'held' });
  fates[identity.serial] = HELD;
});

test('in the end OCSP, status and list of both replicas say so of every certificate, and nothing is half there', async () => {
  expect(Object.keys(fates).length).toBeGreaterThan(10);
  await expectVerdicts(fleet, fates);
  await expectWhole(fleet);
}, LONG);
