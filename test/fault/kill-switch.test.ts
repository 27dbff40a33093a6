/** Kills against what is being issued, registered and let in at the same time (DESIGN §2, invariant 7). Who carries one out is killed in test/slow/kill-crash.test.ts. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { enroll, ok, outcome, renew, startFleet, type Fleet, type Identity, type Replica } from '../support/fault/fleet.ts';
import { expectVerdicts, expectWhole, HELD, storedOf, type Verdict } from '../support/fault/judge.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { obstructAudit, obstructKey, rowsOf, stuckOrDone } from '../support/fault/sessions.ts';
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
  certificates: number;
}

/** POST /v1/kill, looked at first. */
async function kill(at: Replica, selector: object, more: object = {}): Promise<Kill> {
  const body = { selector, reason: 'tested', ...more };
  const { confirm } = jsonOf<{ confirm: string }>(ok(await at.api.send('POST', '/v1/kill', { json: { ...body, dryRun: true } })));
  return jsonOf<Kill>(ok(await at.api.send('POST', '/v1/kill', { json: { ...body, confirm } })));
}
const resume = async (at: Replica, { id }: Pick<Kill, 'id'>) => jsonOf<Kill>(ok(await at.api.send('POST', `/v1/kills/${id}/resume`, { json: {} })));
/** Kills that stop what other tests need are taken back. */
const begun: Kill[] = [];
afterEach(async () => {
  for (const one of begun.splice(0)) await resume(killing, one);
});

const registered = async (labels: object, ownerEmail: string): Promise<string> =>
  jsonOf<{ id: string }>(ok(await killing.api.send('POST', '/v1/agents', { json: { name: `kill-${ownerEmail.split('@')[0]}`, purpose: 'testing', labels, ownerEmail } }))).id;

let sequence = 0;
async function newEnrollment() {
  const name = `k${++sequence}`;
  const ownerEmail = `${name}@example.com`;
  const agentId = await registered({ kill: name }, ownerEmail);
  const token = await fleet.joinToken(agentId);
  const pair = makeKeyAndCsr();
  return { agentId, name, ownerEmail, pair, begin: () => enroll(issuing, token, pair) };
}
type It = Awaited<ReturnType<typeof newEnrollment>>;

interface Way {
  by: string;
  /** A step inside the transaction that changes the states: of a kill of few, its only one. */
  changed: 'kill:few-changed' | 'kill:state-changed';
  selector: (it: Pick<It, 'agentId' | 'name' | 'ownerEmail'>) => object;
  refusal: string;
}
const WAYS: Way[] = [
  { by: 'agent', changed: 'kill:few-changed', selector: ({ agentId }) => ({ agentId }), refusal: 'agent-suspended' },
  { by: 'owner', changed: 'kill:few-changed', selector: ({ ownerEmail }) => ({ owner: ownerEmail }), refusal: 'agent-suspended' },
  { by: 'labels', changed: 'kill:few-changed', selector: ({ name }) => ({ labels: { kill: name } }), refusal: 'agent-suspended' },
  { by: 'issuer', changed: 'kill:state-changed', selector: () => ({ issuerId: fleet.issuerId }), refusal: 'issuance-stopped' },
  { by: 'profile', changed: 'kill:state-changed', selector: () => ({ profile: 'agent' }), refusal: 'issuance-stopped' },
  { by: 'everything', changed: 'kill:state-changed', selector: () => ({ everything: true }), refusal: 'issuance-stopped' },
];

describe.each(WAYS)('a kill by $by', ({ selector, refusal, changed }) => {
  test('against an enrollment in the middle of its commit: it waits for it, and nothing issued stays good', async () => {
    const it = await newEnrollment();
    const obstacle = await obstructKey(fleet.database, it.pair.keyHash);
    const answer = it.begin();
    await stuckOrDone(fleet.database, 1, answer);
    const killed = kill(killing, selector(it));
    await stuckOrDone(fleet.database, 2, killed);
    await obstacle.remove();

    begun.push(await killed);
    expect(outcome(await answer)).toMatch(/^[0-9a-f]{40}$/);
    expect((await storedOf(fleet, it.agentId)).map(({ state }) => state)).toEqual(['held']);
  });

  test('in the middle of its own commit: an enrollment waits for it, and is refused', async () => {
    const it = await newEnrollment();
    killing.barriers.arm(changed);
    const killed = kill(killing, selector(it));
    await killing.barriers.reached(changed);
    const answer = it.begin();
    await stuckOrDone(fleet.database, 1, answer);
    killing.barriers.release(changed);

    begun.push(await killed);
    expect(outcome(await answer)).toBe(refusal);
    expect(await storedOf(fleet, it.agentId)).toEqual([]);
  });

  test('against a renewal that is signed: refused, and the old certificate is on hold', async () => {
    const it = await newEnrollment();
    const identity = identityOf(ok(await it.begin()), it);
    issuing.barriers.arm('renew:signed');
    const answer = renew(issuing, identity, makeKeyAndCsr());
    await issuing.barriers.reached('renew:signed');
    begun.push(await kill(killing, selector(it)));
    issuing.barriers.release('renew:signed');

    expect(outcome(await answer)).toBe(refusal);
    expect((await storedOf(fleet, it.agentId)).map(({ state }) => state)).toEqual(['held']);
  });
});

function identityOf(reply: Awaited<ReturnType<typeof enroll>>, { pair }: Pick<It, 'pair'>): Identity {
  const { certificate, chain, ...said } = jsonOf<Identity & { certificate: string }>(reply);
  return { ...said, chain: certificate + chain, key: pair.key };
}

test.each([
  { by: 'owner', changed: 'kill:few-changed', selector: (ownerEmail: string) => ({ owner: ownerEmail }), refusal: 'owner-suspended' },
  { by: 'everything', changed: 'kill:state-changed', selector: () => ({ everything: true }), refusal: 'issuance-stopped' },
] as const)('a registration and a join token during a kill by $by wait for it, and are refused', async ({ selector, refusal, changed }) => {
  const it = await newEnrollment();
  killing.barriers.arm(changed);
  const killed = kill(killing, selector(it.ownerEmail));
  await killing.barriers.reached(changed);
  const registration = issuing.api.send('POST', '/v1/agents', { json: { name: `${it.name}-late`, purpose: 'testing', ownerEmail: it.ownerEmail } });
  const token = issuing.api.send('POST', `/v1/agents/${it.agentId}/join-tokens`, { json: {} });
  await stuckOrDone(fleet.database, 2, Promise.all([registration, token]));
  killing.barriers.release(changed);

  begun.push(await killed);
  expect(outcome(await registration)).toBe(refusal);
  expect(outcome(await token)).toBe(refusal === 'owner-suspended' ? 'agent-suspended' : refusal);
});

test('a kill by labels against a registration in the middle of its commit: it waits for it, and covers it', async () => {
  const it = await newEnrollment();
  const obstacle = await obstructAudit(fleet.database);
  const registration = issuing.api.send('POST', '/v1/agents', { json: { name: `${it.name}-late`, purpose: 'testing', labels: { kill: it.name }, ownerEmail: it.ownerEmail } });
  await stuckOrDone(fleet.database, 1, registration);
  const killed = kill(killing, { labels: { kill: it.name } });
  await stuckOrDone(fleet.database, 2, killed);
  await obstacle.remove();

  begun.push(await killed);
  const { id } = jsonOf<{ id: string }>(ok(await registration));
  expect(jsonOf<{ state: string }>(ok(await killing.api.send('GET', `/v1/agents/${id}`))).state).toBe('suspended');
});

test('a renewal of the certificate or the instance that a kill is about', async () => {
  for (const [member, refusal] of [['serial', 'client-certificate-held'], ['instanceId', 'instance-quarantined']] as const) {
    const identity = await fleet.enrolled(issuing);
    issuing.barriers.arm('renew:signed');
    const answer = renew(issuing, identity, makeKeyAndCsr());
    await issuing.barriers.reached('renew:signed');
    await kill(killing, { [member]: identity[member] });
    issuing.barriers.release('renew:signed');
    expect(outcome(await answer)).toBe(refusal);
    expect((await storedOf(fleet, identity.agentId)).map(({ state }) => state)).toEqual(['held']);
    fates[identity.serial] = HELD;
  }
});

/** A kill in steps (one that moves renewal windows is) that is stopped right after its first commit: nothing is issued any more, and no certificate has followed yet. */
async function begunOnly(selector: object, effect: string): Promise<{ id: string; goOn: () => Promise<Kill> }> {
  killing.barriers.arm('kill:stopped');
  const answer = kill(killing, selector, { effect, renewWithinSeconds: 0 });
  await killing.barriers.reached('kill:stopped');
  const [begunKill] = await rowsOf<{ id: string }>(fleet.database, `SELECT id FROM kills WHERE state = 'running'`);
  return {
    id: begunKill?.id ?? '',
    goOn: () => {
      killing.barriers.release('kill:stopped');
      return answer;
    },
  };
}

test.each([['retire', 'retired'], ['revoke', 'active']])('%s of an owner, taken back while it runs: what is for ever is done all the same', async (effect, state) => {
  const it = await newEnrollment();
  await it.begin();
  const { id, goOn } = await begunOnly({ owner: it.ownerEmail }, effect);
  expect(await resume(issuing, { id })).toMatchObject({ state: 'resumed', certificates: 1 });
  expect((await storedOf(fleet, it.agentId)).map((one) => one.state)).toEqual(['revoked']);
  expect(await goOn()).toMatchObject({ state: 'resumed', certificates: 1 });
  expect(jsonOf<{ state: string }>(ok(await killing.api.send('GET', `/v1/agents/${it.agentId}`))).state).toBe(state);
});

const stopEvents = async (kills: readonly Kill[]) =>
  (await rowsOf<{ kind: string }>(fleet.database, `SELECT kind FROM feed_events WHERE stop IS NOT NULL AND kill_id = ANY ($1) ORDER BY n`, [kills.map(({ id }) => id)])).map(({ kind }) => kind);

test('two kills of the same, taken back at the same time: that it is over is told once', async () => {
  const kills = [await kill(killing, { profile: 'ephemeral' }), await kill(killing, { profile: 'ephemeral' })] as const;
  const obstacle = await obstructAudit(fleet.database);
  const resumed = Promise.all([resume(issuing, kills[0]), resume(killing, kills[1])]);
  await stuckOrDone(fleet.database, 2, resumed);
  await obstacle.remove();
  await resumed;
  expect(await stopEvents(kills)).toEqual(['issuance-stopped', 'issuance-stopped', 'issuance-resumed']);
});

test('a kill taken back while another of the same begins: that it is over is not the last that is told', async () => {
  const first = await kill(killing, { profile: 'ephemeral' });
  const { confirm } = jsonOf<{ confirm: string }>(ok(await killing.api.send('POST', '/v1/kill', { json: { selector: { profile: 'ephemeral' }, reason: 'tested', dryRun: true } })));
  const obstacle = await obstructAudit(fleet.database);
  const answer = killing.api.send('POST', '/v1/kill', { json: { selector: { profile: 'ephemeral' }, reason: 'tested', confirm } });
  await stuckOrDone(fleet.database, 1, answer);
  const resumed = resume(issuing, first);
  await stuckOrDone(fleet.database, 2, resumed);
  await obstacle.remove();
  await resumed;
  const second = jsonOf<Kill>(ok(await answer));
  begun.push(second);
  expect((await stopEvents([first, second])).at(-1)).toBe('issuance-stopped');
});

test('the resume of a kill beside a suspension of its agent: both are done, and the agent stays suspended', async () => {
  const identity = await fleet.enrolled(issuing);
  const done = await kill(killing, { agentId: identity.agentId });
  issuing.barriers.arm('suspend:state-changed');
  const suspended = issuing.api.send('POST', `/v1/agents/${identity.agentId}/suspend`, { json: {} });
  await issuing.barriers.reached('suspend:state-changed');
  const resumed = killing.api.send('POST', `/v1/kills/${done.id}/resume`, { json: {} });
  await stuckOrDone(fleet.database, 1, resumed);
  issuing.barriers.release('suspend:state-changed');
  expect([(await suspended).status, (await resumed).status]).toEqual([200, 200]);
  expect((await storedOf(fleet, identity.agentId)).map((one) => one.state)).toEqual(['held']);
  fates[identity.serial] = HELD;
});

test('in the end OCSP, status and list of both replicas say so of every certificate, and nothing is half there', async () => {
  expect(Object.keys(fates).length).toBe(3);
  await expectVerdicts(fleet, fates);
  await expectWhole(fleet);
}, LONG);
