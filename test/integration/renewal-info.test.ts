/** When to renew: what an agent is told of its own certificate, and how an operator moves it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { identityOf, ok, outcome } from '../support/fault/fleet.ts';
import { jsonOf } from '../support/https-client.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService();
}, 60_000);
afterAll(() => service.close());

interface Info {
  serial: string;
  suggestedWindow: { start: string; end: string };
  steered: boolean;
  explanationUrl?: string;
  askAgainSeconds: number;
}

const infoOf = async (identity: Identity) => {
  const reply = ok(await service.mtls(identity).send('GET', '/v1/renewal-info'));
  return { info: jsonOf<Info>(reply), retryAfter: reply.headers['retry-after'] };
};
const steer = (selector: object, more: object = {}) => service.admin.send('POST', '/v1/renewals/steer', { json: { selector, reason: 'tested', ...more } });
const at = (time: string): number => new Date(time).getTime();

test('without anybody’s doing it is the window the certificate was issued with', async () => {
  const pair = makeKeyAndCsr();
  const reply = await service.enroll(await service.joinToken(await service.register()), pair.csr);
  const { renewal } = jsonOf<{ renewal: { start: string; end: string } }>(reply);
  const identity = identityOf(reply, pair);
  const { info, retryAfter } = await infoOf(identity);
  expect(info).toEqual({ serial: identity.serial, suggestedWindow: renewal, steered: false, askAgainSeconds: 300 });
  expect(retryAfter).toBe('300');
});

test.each([
  ['serial', (it: Identity) => ({ serial: it.serial })],
  ['instance', (it: Identity) => ({ instanceId: it.instanceId })],
  ['agent', (it: Identity) => ({ agentId: it.agentId })],
  ['owner', () => ({ owner: 'steered@example.com' })],
  ['labels', () => ({ labels: { steered: 'yes' } })],
  ['profile', () => ({ profile: 'service' })],
])('by %s: those that are out, and no other; spread, the same at each question; the successor has its own window', async (_by, selector) => {
  const identity = await service.enrolled(await service.register({ ownerEmail: 'steered@example.com', labels: { steered: 'yes', more: 'too' }, profile: 'service' }));
  const other = await service.enrolled();
  const explanationUrl = 'https://wiki.example.org/renewals';
  const before = Math.floor(Date.now() / 1000) * 1000;
  expect(jsonOf<{ certificates: number }>(ok(await steer(selector(identity), { withinSeconds: 600, explanationUrl }))).certificates).toBeGreaterThan(0);
  const { info } = await infoOf(identity);
  expect(info).toMatchObject({ steered: true, explanationUrl });
  expect(at(info.suggestedWindow.start)).toBeGreaterThanOrEqual(before);
  expect(at(info.suggestedWindow.start)).toBeLessThanOrEqual(Date.now() + 600_000);
  expect(at(info.suggestedWindow.end)).toBe(at(info.suggestedWindow.start) + 60_000);
  expect((await infoOf(identity)).info).toEqual(info);
  expect((await infoOf(other)).info.steered).toBe(false);

  const pair = makeKeyAndCsr();
  const successor = identityOf(await service.renew(identity, pair.csr), pair);
  expect((await infoOf(successor)).info.steered).toBe(false);
});

test('a kill may move windows, too: they hold when it is resumed', async () => {
  const identity = await service.enrolled();
  const { id } = jsonOf<{ id: string }>(ok(await service.admin.send('POST', '/v1/kill', { json: { selector: { agentId: identity.agentId }, reason: 'tested', renewWithinSeconds: 0 } })));
  expect(outcome(await service.mtls(identity).send('GET', '/v1/renewal-info'))).toBe('agent-suspended');
  await service.order(`/v1/kills/${id}/resume`);
  const { info } = await infoOf(identity);
  expect([info.steered, at(info.suggestedWindow.start) <= Date.now()]).toEqual([true, true]);
});

test('what is refused: nothing, several, what is not known; a stranger; an agent that is no longer good', async () => {
  expect(outcome(await steer({}))).toBe('selector-invalid');
  expect(outcome(await steer({ profile: 'agent', everything: true }))).toBe('selector-invalid');
  expect(outcome(await steer({ agentId: '01KAMV3W5QZ3C1D6X2G7R8S9TZ' }))).toBe('agent-not-found');
  expect(outcome(await steer({ profile: 'agent' }, { explanationUrl: 'javascript:alert(1)' }))).toBe('invalid-request');
  expect(outcome(await steer({ profile: 'agent' }, { withinSeconds: -1 }))).toBe('invalid-request');
  const identity = await service.enrolled();
  await service.order(`/v1/certificates/${identity.serial}/revoke`, { reason: 'keyCompromise' });
  expect(outcome(await service.mtls(identity).send('GET', '/v1/renewal-info'))).toBe('client-certificate-revoked');
  const events = await service.database.db.auditEvent.count({ where: { kind: 'renewals.steered' } });
  expect(events).toBe(6);
});
