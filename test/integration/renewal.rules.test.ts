/** What renewals may not do by the way: undo a successor for a request that gets nothing, meet another instance's Idempotency-Key, outlive a revocation. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCsr } from '../support/csr.ts';
import { identityOf } from '../support/fault/fleet.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { jsonOf } from '../support/https-client.ts';
import { expectRefused, unchanged } from '../support/refusals.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());

const statusOf = async (serial: string) => jsonOf<{ status: string }>(await service.admin.send('GET', `/v1/status/${serial}`)).status;
const withKey = (identity: Identity, csr: string, key: string) => service.mtls(identity).send('POST', '/v1/certificates/renew', { json: { csr }, headers: { 'idempotency-key': key } });

test('rule (b) with a request that would be refused: the successor stays, and no finding is raised', async () => {
  const first = await service.enrolled();
  const successor = identityOf(await service.renew(first, makeKeyAndCsr().csr), makeKeyAndCsr());
  const refused = await unchanged(service.database, () => service.renew(first, makeCsr({ subject: [{ type: 'CN', value: 'somebody-else' }] }).toString('base64')));
  expectRefused(refused, { status: 403, code: 'names-not-granted', says: /somebody-else/ });
  expectRefused(await unchanged(service.database, () => service.renew(first, makeKeyAndCsr().csr, { ttlSeconds: 31_536_000 })), { status: 403, code: 'ttl-not-granted', says: /at most/ });
  const other = makeKeyAndCsr();
  await service.enrolled(undefined, other);
  expectRefused(await unchanged(service.database, () => service.renew(first, other.csr)), { status: 409, code: 'key-in-use', says: /certified before/ });
  expect(await statusOf(successor.serial)).toBe('good');

  const issued = jsonOf<{ serial: string }>(await service.renew(first, makeKeyAndCsr().csr));
  expect([await statusOf(successor.serial), await statusOf(issued.serial)]).toEqual(['revoked', 'good']);
});

test('an Idempotency-Key belongs to the instance: another one of the same agent may use the same', async () => {
  const agentId = await service.register();
  const [a, b] = [await service.enrolled(agentId), await service.enrolled(agentId)];
  const [keyA, keyB] = [makeKeyAndCsr(), makeKeyAndCsr()];
  const renewedA = jsonOf<{ serial: string; instanceId: string }>(await withKey(a, keyA.csr, 'nightly'));
  const renewedB = jsonOf<{ serial: string; instanceId: string }>(await withKey(b, keyB.csr, 'nightly'));
  expect([renewedA.instanceId, renewedB.instanceId]).toEqual([a.instanceId, b.instanceId]);
  expect(jsonOf<{ serial: string }>(await withKey(a, keyA.csr, 'nightly')).serial).toBe(renewedA.serial);
});

test('an Idempotency-Key whose time is over is a new one, cleared away by the job or not', async () => {
  const identity = await service.enrolled();
  const pair = makeKeyAndCsr();
  const renewed = identityOf(await withKey(identity, pair.csr, 'again'), pair);
  await service.database.db.idempotencyRecord.updateMany({ data: { expiresAt: new Date(Date.now() - 1_000) } });
  expect((await withKey(renewed, makeKeyAndCsr().csr, 'again')).status).toBe(201);
});

test('revoking all of an agent reaches certificates that have ended but could still be renewed, and answers the same again', async () => {
  const agentId = await service.register({ profile: 'service' });
  const pair = makeKeyAndCsr();
  const identity = identityOf(await service.enroll(await service.joinToken(agentId), pair.csr, { ttlSeconds: 1 }), pair);
  await sleep(1_500);
  expect(await statusOf(identity.serial)).toBe('expired');
  const revokeAll = () => service.order(`/v1/agents/${agentId}/revoke-certificates`, { reason: 'keyCompromise' });
  const first = jsonOf(await revokeAll());
  expect(first).toEqual({ revoked: 1 });
  expect(jsonOf(await revokeAll())).toEqual(first);
  expectRefused(await unchanged(service.database, () => service.renew(identity, makeKeyAndCsr().csr)), { status: 403, code: 'client-certificate-revoked', says: /revoked/ });
});
