/** Serials that nobody issued or that are none, reasons that are not a leaf's, and changes that cannot be made (RFC 5280 §5.3.1, DESIGN invariant 6). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jsonOf, type Reply } from '../support/https-client.ts';
import { expectRefused, unchanged, type Refusal } from '../support/refusals.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

let service: Service;
let identity: Identity;
beforeAll(async () => {
  service = await startService();
  identity = await service.enrolled();
});
afterAll(() => service.close());

const refuse = async (refusal: Refusal, work: () => Promise<Reply>) => expectRefused(await unchanged(service.database, work), refusal);
const get = (path: string) => () => service.admin.send('GET', path);
const post = (path: string, json: unknown = {}) => () => service.admin.send('POST', path, { json });
const statusOf = async (serial: string) => jsonOf<{ status: string; reason?: string; agentId?: string }>(await service.admin.send('GET', `/v1/status/${serial}`));

const malformed: Refusal = { status: 400, code: 'serial-malformed', says: /40 hexadecimal digits/ };
const notFound: Refusal = { status: 404, code: 'certificate-not-found', says: /issued here/ };
const HEX = '01004ee0'.padEnd(40, 'a');

describe.each([
  ['39 digits', HEX.slice(1)],
  ['41 digits', `${HEX}0`],
  ['letters beyond f', `${HEX.slice(0, -1)}g`],
  ['a sign', `-${HEX.slice(1)}`],
  ['0x in front', `0x${HEX.slice(2)}`],
  ['decimal digits as openssl -text shows some', '1234567890'],
  ['a NUL', `${HEX.slice(0, -3)}%00`],
  ['a quote', `${HEX.slice(0, -3)}%27`],
  ['digits of another script', encodeURIComponent(`${HEX.slice(0, -1)}٣`)],
  ['colons in wrong places', `${HEX.slice(0, 4)}:${HEX.slice(4)}`],
])('malformed: %s', (_, serial) => {
  test('is read, asked for and revoked by nobody', async () => {
    await refuse(malformed, get(`/v1/certificates/${serial}`));
    await refuse(malformed, get(`/v1/status/${serial}`));
    await refuse(malformed, get(`/v1/audit?serial=${serial}`));
    await refuse(malformed, post(`/v1/certificates/${serial}/revoke`, { reason: 'superseded' }));
    await refuse(malformed, post(`/v1/certificates/${serial}/hold`));
    await refuse(malformed, post(`/v1/certificates/${serial}/release`));
    await refuse(malformed, post('/v1/status', { serials: [identity.serial, decodeURIComponent(serial)] }));
  });
});

test('longer than any serial: refused before it is looked at', async () => {
  await refuse({ status: 400, code: 'invalid-request', says: /\/path\/serial/ }, get(`/v1/certificates/${'a'.repeat(129)}`));
});

describe.each([
  ['another serial of the same day', () => identity.serial.slice(0, 38) + (identity.serial.endsWith('00') ? '01' : '00')],
  ['a day without a partition', () => `01ffffff${identity.serial.slice(8)}`],
  ['not of our layout', () => 'ff'.repeat(20)],
  ['all zeros', () => '00'.repeat(20)],
])('never issued: %s', (_, make) => {
  test('is not found, and its status is unknown, never good', async () => {
    const serial = make();
    await refuse(notFound, get(`/v1/certificates/${serial}`));
    await refuse(notFound, post(`/v1/certificates/${serial}/revoke`, { reason: 'superseded' }));
    await refuse(notFound, post(`/v1/certificates/${serial}/hold`));
    await refuse(notFound, post(`/v1/certificates/${serial}/release`));
    expect(await statusOf(serial)).toEqual({ serial, status: 'unknown' });
    const many = jsonOf<{ statuses: { status: string }[] }>(await post('/v1/status', { serials: [serial, identity.serial] })());
    expect(many.statuses.map(({ status }) => status)).toEqual(['unknown', 'good']);
  });
});

describe('too many or too few serials in one question:', () => {
  const invalid = (says: RegExp): Refusal => ({ status: 400, code: 'invalid-request', says });
  test('none', () => refuse(invalid(/\/serials/), post('/v1/status', { serials: [] })));
  test('not a list', () => refuse(invalid(/\/serials/), post('/v1/status', { serials: identity.serial })));
  test('numbers', () => refuse(invalid(/\/serials\/0/), post('/v1/status', { serials: [1] })));
  test('1001', () => refuse(invalid(/at most 1000 serials/), post('/v1/status', { serials: Array.from({ length: 1001 }, () => identity.serial) })));
});

const reasonRefused: Refusal = { status: 422, code: 'reason-not-allowed', says: /one of unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn/ };

describe.each(['certificateHold', 'cACompromise', 'aACompromise', 'removeFromCRL', 'keycompromise', 'constructor', '__proto__', '6', 'because'])('reason %s is not allowed', (reason) => {
  test('for a certificate, an instance, an agent, or all of an agent', async () => {
    await refuse(reasonRefused, post(`/v1/certificates/${identity.serial}/revoke`, { reason }));
    await refuse(reasonRefused, post(`/v1/instances/${identity.instanceId}/revoke`, { reason }));
    await refuse(reasonRefused, post(`/v1/agents/${identity.agentId}/revoke-certificates`, { reason }));
    await refuse(reasonRefused, post(`/v1/agents/${identity.agentId}/retire`, { reason }));
    expect((await statusOf(identity.serial)).status).toBe('good');
  });
});

test.each([1, null, '', ['superseded'], { code: 1 }, 'x'.repeat(65)])('reason %j is not even a name', async (reason) => {
  await refuse({ status: 400, code: 'invalid-request', says: /\/reason/ }, post(`/v1/certificates/${identity.serial}/revoke`, { reason }));
});

describe('changes that cannot be made:', () => {
  test('a revoked certificate is not held, not released, and keeps its first reason and time', async () => {
    const { serial } = await service.enrolled();
    const first = await service.order(`/v1/certificates/${serial}/revoke`, { reason: 'keyCompromise' });
    await refuse({ status: 409, code: 'hold-conflict', says: /revoked/ }, post(`/v1/certificates/${serial}/hold`));
    await refuse({ status: 409, code: 'hold-conflict', says: /for ever/ }, post(`/v1/certificates/${serial}/release`));
    const again = await unchanged(service.database, post(`/v1/certificates/${serial}/revoke`, { reason: 'superseded' }));
    expect(again.body).toEqual(first.body);
    expect(await statusOf(serial)).toMatchObject({ status: 'revoked', reason: 'keyCompromise' });
  });

  test("an operator's release does not lift a quarantine", async () => {
    const { serial, instanceId } = await service.enrolled();
    await service.order(`/v1/instances/${instanceId}/quarantine`);
    await unchanged(service.database, post(`/v1/certificates/${serial}/release`));
    expect((await statusOf(serial)).status).toBe('held');
  });

  test('a revoked instance is not quarantined and not released', async () => {
    const { instanceId } = await service.enrolled();
    await service.order(`/v1/instances/${instanceId}/revoke`);
    const conflict: Refusal = { status: 409, code: 'instance-state-conflict', says: /revoked for ever/ };
    await refuse(conflict, post(`/v1/instances/${instanceId}/quarantine`));
    await refuse(conflict, post(`/v1/instances/${instanceId}/release`));
  });

  test('an instance or agent that nobody knows', async () => {
    const nobody = '01KAMV3W5QZ3C1D6X2G7R8S9TZ';
    await refuse({ status: 404, code: 'instance-not-found', says: /no instance/ }, post(`/v1/instances/${nobody}/revoke`));
    await refuse({ status: 404, code: 'agent-not-found', says: /no (such )?agent/ }, post(`/v1/agents/${nobody}/revoke-certificates`));
    await refuse({ status: 400, code: 'invalid-request', says: /must be an id/ }, post('/v1/instances/none/revoke'));
  });
});
