/** A certificate is decided on the registration as it is at its commit, and one agent's change holds up nobody else (DESIGN §2, invariant 4). */
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { enroll, ok, renew, startFleet, type Fleet, type Replica } from '../support/fault/fleet.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { heldBackOrDone } from '../support/fault/sessions.ts';
import { jsonOf } from '../support/https-client.ts';

const LONG = 60_000;
let fleet: Fleet;
let issuing: Replica;
let changing: Replica;

beforeAll(async () => {
  fleet = await startFleet();
  [issuing, changing] = fleet.replicas;
}, LONG);
afterAll(() => fleet.close(), LONG);

const change = async (agentId: string, json: object) => ok(await changing.api.send('PATCH', `/v1/agents/${agentId}`, { json }));
const leafOf = (reply: Awaited<ReturnType<typeof enroll>>) => new X509Certificate(jsonOf<{ certificate: string }>(ok(reply)).certificate);

test('an enrollment whose registration changes after it was signed is decided again: the name that was taken away is not in it, the new cap holds', async () => {
  const agentId = await fleet.register();
  await change(agentId, { dnsNames: ['was.example.org'] });
  const token = await fleet.joinToken(agentId);
  issuing.barriers.arm('issue:signed');
  const answer = enroll(issuing, token, makeKeyAndCsr());
  await issuing.barriers.reached('issue:signed');
  await change(agentId, { dnsNames: [], ttlCapSeconds: 60 });
  issuing.barriers.release('issue:signed');
  const leaf = leafOf(await answer);
  expect(leaf.subjectAltName).toBe(`URI:spiffe://signet.internal/agent/${agentId}`);
  expect(leaf.validToDate.getTime() - Date.now()).toBeLessThanOrEqual(60_000);
  expect(await fleet.database.db.certificate.count({ where: { agentId } })).toBe(1);
}, LONG);

test('a renewal, too', async () => {
  const identity = await fleet.enrolled(issuing);
  issuing.barriers.arm('renew:signed');
  const answer = renew(issuing, identity, makeKeyAndCsr());
  await issuing.barriers.reached('renew:signed');
  await change(identity.agentId, { ttlCapSeconds: 90 });
  issuing.barriers.release('renew:signed');
  const leaf = leafOf(await answer);
  expect(leaf.validToDate.getTime() - Date.now()).toBeLessThanOrEqual(90_000);
  expect(await fleet.database.db.certificate.count({ where: { agentId: identity.agentId } })).toBe(2);
}, LONG);

test('while one agent’s row is held by a long change, other agents get certificates, and its own come when the change ends', async () => {
  const [held, other] = [await fleet.register(), await fleet.register()];
  const [heldToken, otherToken] = [await fleet.joinToken(held), await fleet.joinToken(other)];
  const client = new pg.Client({ connectionString: fleet.database.ownerUrl });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query('UPDATE agents SET updated_at = updated_at WHERE id = $1', [held]);
    let done = false;
    const waiting = enroll(issuing, heldToken, makeKeyAndCsr()).finally(() => (done = true));
    leafOf(await enroll(issuing, otherToken, makeKeyAndCsr()));
    expect(done).toBe(false);
    await client.query('COMMIT');
    leafOf(await waiting);
  } finally {
    await client.end();
  }
}, LONG);

test('while an agent and its certificates are held, as by a suspension, its renewal waits alone', async () => {
  const identity = await fleet.enrolled(issuing);
  const other = await fleet.register();
  const otherToken = await fleet.joinToken(other);
  // Presented before, so that only the commit meets the held rows.
  await fleet.database.db.certificate.updateMany({ where: { agentId: identity.agentId }, data: { presentedAt: new Date() } });
  const client = new pg.Client({ connectionString: fleet.database.ownerUrl });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query('UPDATE agents SET updated_at = updated_at WHERE id = $1', [identity.agentId]);
    await client.query('UPDATE certificates SET generation = generation WHERE agent_id = $1', [identity.agentId]);
    let done = false;
    const waiting = renew(issuing, identity, makeKeyAndCsr()).finally(() => (done = true));
    await heldBackOrDone(waiting);
    const { rows } = await client.query("SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
    expect(rows).toEqual([]);
    leafOf(await enroll(issuing, otherToken, makeKeyAndCsr()));
    expect(done).toBe(false);
    await client.query('COMMIT');
    leafOf(await waiting);
  } finally {
    await client.end();
  }
}, LONG);
