/** Names that the registration does not grant: refused, never dropped, and the answer says which would be granted (DESIGN invariant 4). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { contextPrimitive, oid, sequence, setOf, utf8String } from '../../src/x509/der/writer.ts';
import { encodeSubjectAlternativeName } from '../../src/x509/extensions/subject-alternative-name.ts';
import type { NameAttribute } from '../../src/x509/names.ts';
import { OID } from '../../src/x509/oids.ts';
import { extensionRequest, makeCsr, makeKey, requestOf } from '../support/csr.ts';
import { jsonOf } from '../support/https-client.ts';
import { expectRefused, unchanged } from '../support/refusals.ts';
import { startService, type Service } from '../support/service.ts';

const NAME = 'names-under-test';
const GRANTED_DNS = 'agent.example.com';
const STRANGER = '01KAMV3W5QZ3C1D6X2G7R8S9TZ';

let service: Service;
let agentId: string;
let token: string;
let spiffeId: string;
beforeAll(async () => {
  service = await startService();
  agentId = await service.register({ name: NAME, dnsNames: [GRANTED_DNS], ttlCapSeconds: 600 });
  token = await service.joinToken(agentId);
  spiffeId = `spiffe://signet.internal/agent/${agentId}`;
});
afterAll(() => service.close());

const subject = (...attributes: NameAttribute[]) => makeCsr({ subject: attributes });
const alternative = (names: { uris?: string[]; dnsNames?: string[]; ipAddresses?: string[] }) =>
  makeCsr({ attributes: [extensionRequest([encodeSubjectAlternativeName({ uris: [], dnsNames: [], ...names }, false)])] });
/** A subjectAltName with a name of any kind. */
const otherName = (...names: Buffer[]) => makeCsr({ attributes: [extensionRequest([{ oid: OID.subjectAlternativeName, critical: false, value: sequence(...names) }])] });

const WISHES: Record<string, [make: () => Buffer, refused: RegExp]> = {
  "another agent's id as common name": [() => subject({ type: 'CN', value: STRANGER }), new RegExp(`CN=${STRANGER}`)],
  'the common name of an administrator': [() => subject({ type: 'CN', value: 'admin' }), /CN=admin/],
  'its name in other letters': [() => subject({ type: 'CN', value: NAME.toUpperCase() }), /CN=NAMES-UNDER-TEST/],
  'its name with a NUL behind': [() => subject({ type: 'CN', value: `${NAME}\0.evil.example` }), /CN=names-under-test/],
  'two common names, one of them granted': [() => subject({ type: 'CN', value: NAME }, { type: 'CN', value: 'second' }), /CN=second/],
  'an organization': [() => subject({ type: 'CN', value: NAME }, { type: 'O', value: 'Signet' }), /1 name\(s\) of other kinds/],
  "another agent's SPIFFE ID": [() => alternative({ uris: [`spiffe://signet.internal/agent/${STRANGER}`] }), new RegExp(`URI:spiffe://signet\\.internal/agent/${STRANGER}`)],
  'its SPIFFE ID in another trust domain': [() => alternative({ uris: [`spiffe://other.internal/agent/${agentId}`] }), /URI:spiffe:\/\/other\.internal/],
  'a path below its SPIFFE ID': [() => alternative({ uris: [`${spiffeId}/admin`] }), /\/admin/],
  'two SPIFFE IDs, one of them granted': [() => alternative({ uris: [spiffeId, 'spiffe://signet.internal/admin'] }), /URI:spiffe:\/\/signet\.internal\/admin/],
  'a DNS name that is not registered': [() => alternative({ dnsNames: ['other.example.com'] }), /DNS:other\.example\.com/],
  'a wildcard over its DNS name': [() => alternative({ dnsNames: ['*.example.com'] }), /DNS:\*\.example\.com/],
  "Signet's own host": [() => alternative({ dnsNames: ['localhost'] }), /DNS:localhost/],
  'its DNS name with a NUL behind': [() => alternative({ dnsNames: [`${GRANTED_DNS}\0.evil.example`] }), /not granted/],
  'an IP address': [() => alternative({ ipAddresses: ['127.0.0.1'] }), /1 name\(s\) of other kinds/],
  'an e-mail address': [() => otherName(contextPrimitive(1, Buffer.from('root@example.com'))), /1 name\(s\) of other kinds/],
  'a directory name and a registered id': [() => otherName(contextPrimitive(8, oid('1.2.3').subarray(2)), contextPrimitive(1, Buffer.from('a@b.example'))), /2 name\(s\) of other kinds/],
};

describe('in the CSR:', () => {
  test.each(Object.entries(WISHES))('%s', async (_, [make, refused]) => {
    const problem = expectRefused(await unchanged(service.database, () => service.enroll(token, make())), { status: 403, code: 'names-not-granted', says: refused });
    expect(problem.detail).toMatch(/granted would be: URI:spiffe:/);
    expect(problem.granted).toEqual([`URI:${spiffeId}`, `DNS:${GRANTED_DNS}`, `CN=${agentId}`, `CN=${NAME}`]);
  });

  test('a relative name of two attributes is not read at all', async () => {
    const attribute = (type: string, value: string) => sequence(oid(type), utf8String(value));
    const names = sequence(setOf(attribute('2.5.4.3', NAME), attribute('2.5.4.10', 'Signet')));
    const info = sequence(Buffer.of(2, 1, 0), names, makeKey().spki, Buffer.of(0xa0, 0));
    expectRefused(await unchanged(service.database, () => service.enroll(token, requestOf(info, Buffer.alloc(64)))), { status: 400, code: 'csr-malformed', says: /not strict DER/ });
  });
});

describe('beside the CSR:', () => {
  test('a DNS name in the request', async () => {
    const problem = expectRefused(await unchanged(service.database, () => service.enroll(token, makeCsr(), { dnsNames: ['other.example.com'] })), {
      status: 403,
      code: 'names-not-granted',
      says: /DNS:other\.example\.com/,
    });
    expect(problem.granted).toContain(`DNS:${GRANTED_DNS}`);
  });

  test('a longer life than the registration caps', async () => {
    expectRefused(await unchanged(service.database, () => service.enroll(token, makeCsr(), { ttlSeconds: 601 })), { status: 403, code: 'ttl-not-granted', says: /at most 600 s .* 601 s/ });
  });

  test('another profile than that of the registration', async () => {
    expectRefused(await unchanged(service.database, () => service.enroll(token, makeCsr(), { profile: 'service' })), { status: 422, code: 'profile-not-found', says: /registered for profile agent, not service/ });
  });
});

test('after all of these the join token enrolls a request for exactly what is granted', async () => {
  const wish = extensionRequest([encodeSubjectAlternativeName({ uris: [spiffeId], dnsNames: [GRANTED_DNS.toUpperCase()] }, true)]);
  const reply = await service.enroll(token, makeCsr({ subject: [{ type: 'CN', value: NAME }], attributes: [wish] }), { agentId, profile: 'agent', ttlSeconds: 600 });
  expect([reply.status, jsonOf<{ spiffeId: string }>(reply).spiffeId]).toEqual([201, spiffeId]);
});
