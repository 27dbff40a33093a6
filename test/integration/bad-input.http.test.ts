/** Requests that are wrong before anybody looks at what they ask: their framing, their type, their JSON, their credential, their key for repeating. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import net from 'node:net';
import tls from 'node:tls';
import { createSystemRandom } from '../../src/core/random.ts';
import { inTransaction } from '../../src/db/client.ts';
import { insertAdminToken } from '../../src/db/admin-tokens.ts';
import type { TokenRole } from '../../src/api/permissions.ts';
import { makeAdminToken } from '../../src/admins/secret.ts';
import { createClient, jsonOf, type Reply } from '../support/https-client.ts';
import { expectRefused, unchanged, type Refusal } from '../support/refusals.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { startService, type Service } from '../support/service.ts';

const HEADERS_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 1_500;
/** Time for the server to notice: it looks once a second. */
const NOTICED_MS = 10_000;

let service: Service;
beforeAll(async () => {
  service = await startService({ env: { SIGNET_HEADERS_TIMEOUT_MS: String(HEADERS_TIMEOUT_MS), SIGNET_REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS) } });
});
afterAll(() => service.close());

const AGENT = { name: 'from-http', purpose: 'testing', ownerEmail: 'owner@example.com' };
const refuse = async (refusal: Refusal, work: () => Promise<Reply>) => expectRefused(await unchanged(service.database, work), refusal);
/** POST /v1/agents with this very body. */
const post = (body: string | Buffer, headers: Record<string, string> = { 'content-type': 'application/json' }) => () => service.admin.send('POST', '/v1/agents', { bytes: Buffer.from(body), headers });
const agentWith = (member: string): string => `${JSON.stringify(AGENT).slice(0, -1)},${member}}`;

describe('content types:', () => {
  const unsupported = (says: RegExp): Refusal => ({ status: 415, code: 'unsupported-media-type', says });
  const body = JSON.stringify(AGENT);

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/pkcs10', 'application/jsonp', 'application/json, text/plain', '*/*', ''])('%p for JSON', (type) =>
    refuse(unsupported(/must be application\/json/), post(body, { 'content-type': type })),
  );
  test('none at all', () => refuse(unsupported(/must be application\/json/), post(body, {})));
  test.each(['gzip', 'identity', 'br'])('in coding %s', (coding) => refuse(unsupported(/without Content-Encoding/), post(body, { 'content-type': 'application/json', 'content-encoding': coding })));
  test('text for a CSR', async () => {
    const token = await service.joinToken(await service.register());
    const send = () => service.open.send('POST', '/v1/certificates', { bytes: Buffer.from('csr'), headers: { 'content-type': 'text/plain', authorization: `Bearer ${token}` } });
    await refuse(unsupported(/application\/json or application\/pkcs10/), send);
  });
  test('with parameters it is what it says', async () => {
    expect((await post(body, { 'content-type': 'Application/JSON; charset=utf-8' })()).status).toBe(201);
  });
});

describe('JSON:', () => {
  const malformed = (says: RegExp): Refusal => ({ status: 400, code: 'malformed-json', says });
  const invalid = (says: RegExp): Refusal => ({ status: 400, code: 'invalid-request', says });
  const deep = (depth: number, open = '[', close = ']') => agentWith(`"labels":${open.repeat(depth)}${close.repeat(depth)}`);

  test.each([
    ['17 deep', deep(16)],
    ['17 objects deep', agentWith(`"labels":${'{"a":'.repeat(16)}1${'}'.repeat(16)}`)],
    ['30,000 deep', deep(30_000)],
    ['30,000 deep and never closed', '['.repeat(30_000)],
  ])('%s', (_, body) => refuse({ status: 400, code: 'json-too-deep', says: /at most 16 deep/ }, post(body)));
  test('16 deep is only not valid', () => refuse(invalid(/\/labels/), post(deep(15))));
  test('brackets in a text are no depth', async () => {
    expect((await post(JSON.stringify({ ...AGENT, name: 'brackets', purpose: '[{"\\"'.repeat(50) }))()).status).toBe(201);
  });

  test.each(['{', '{"name":', "{'name':'a'}", '{"name":NaN}', '{} {}', '\ufeff{}', '{"a":1,}', 'name=a', '\0', '{"purpose":"\n"}', '{"a":"\\x"}', ']'])('%j is none', (body) => refuse(malformed(/not one JSON value/), post(body)));
  test('not UTF-8', () => refuse(malformed(/UTF-8/), post(Buffer.concat([Buffer.from('{"name":"'), Buffer.of(0xff, 0xc0), Buffer.from('"}')]))));
  test.each(['null', '[]', '"text"', '1', 'true'])('%s is no request', (body) => refuse(invalid(/the body/), post(body)));
  test('nothing at all is an empty request', () => refuse(invalid(/\/name|\/purpose/), post('')));
  test('one octet more than a body may have', () => refuse({ status: 413, code: 'body-too-large', says: /at most 65536 octets/ }, post(`${' '.repeat(65_536)}1`)));
  test.each(['"__proto__":{"ownerEmail":"a@example.com"}', '"\\u005f_proto__":1'])('a member that is the prototype: %s', (member) => refuse(invalid(/\/__proto__: is not known here/), post(agentWith(member))));
  test('the constructor is a member like others', () => refuse(invalid(/\/constructor: is not known here/), post(agentWith('"constructor":{"prototype":{}}'))));
});

describe('addresses:', () => {
  const notFound: Refusal = { status: 404, code: 'not-found', says: /nothing at this address/ };
  test.each(['/', '/v1', '/v1/nothing', '/v1/agents/', '/V1/agents', '/v1//agents', '/v1/agents/../admin', '/.env', '/v1/%61gents', '/crl/x/complete.crl'])('%s', (path) => refuse(notFound, () => service.admin.send('GET', path)));
  test('the door of the documents says where they are; the others have none', async () => {
    await refuse({ status: 404, code: 'not-found', says: /GET \/docs .* GET \/openapi\.json/ }, () => service.open.send('GET', '/'));
    expect(jsonOf<{ detail: string }>(await service.status.send('GET', '/')).detail).not.toContain('/docs');
  });
  test('broken percent-encoding', () => refuse({ status: 400, code: 'invalid-request', says: /percent-encoded/ }, () => service.admin.send('GET', '/v1/agents/%E0%A4%A')));
  test('another method', async () => {
    const reply = await unchanged(service.database, () => service.admin.send('DELETE', '/v1/agents'));
    expectRefused(reply, { status: 405, code: 'method-not-allowed', says: /GET, HEAD, POST|POST, GET, HEAD/ });
    expect(reply.headers.allow).toMatch(/POST/);
  });
  test('an unknown member of a query', () => refuse({ status: 400, code: 'invalid-request', says: /\/query\/nmae: is not known here/ }, () => service.admin.send('GET', '/v1/agents?nmae=x')));

  const HOSTILE = ['%00', 'a%00b', '%0d%0aset-cookie:%20a=b', '%ff%fe', "'%20OR%201=1%20--", '%25', `${'a'.repeat(3_000)}`, '%E2%80%AE', '-1', '1e400', '9999-99-99', '0000-00-00T00:00:00Z', '9999-12-31T23:59:59-23:59', '__proto__', 'constructor'];
  const QUERIES = [
    ...['name', 'state', 'ownerEmail', 'deputyEmail', 'purpose', 'riskClass', 'environment', 'profile', 'dnsName', 'label', 'createdAfter', 'ttlCapSeconds', 'certificatesExpiringBefore'].map((name) => `/v1/agents?${name}=`),
    '/v1/agents?label=k%3D',
    ...['agentId', 'profile', 'status', 'expiresBefore', 'expiresAfter', 'issuedAfter', 'keyHash', 'cursor', 'limit'].map((name) => `/v1/certificates?${name}=`),
    ...['after', 'kind', 'outcome', 'actorKind', 'actorId', 'serial', 'target', 'requestId', 'since', 'until'].map((name) => `/v1/audit?${name}=`),
    ...['kind', 'agentId', 'open'].map((name) => `/v1/findings?${name}=`),
  ];
  test.each(QUERIES)('%s with whatever is hostile: refused or found nothing, never a fault of ours', async (query) => {
    const replies = await unchanged(service.database, () => Promise.all([...HOSTILE, 'a&' + query.slice(query.indexOf('?') + 1) + 'b'].map((value) => service.admin.send('GET', query + value))));
    for (const reply of replies) {
      expect([200, 400]).toContain(reply.status);
      expect(reply.headers['set-cookie']).toBeUndefined();
    }
  });
});

describe('credentials:', () => {
  const required: Refusal = { status: 401, code: 'authentication-required', says: /Authorization: Bearer sga_/ };
  const refused: Refusal = { status: 401, code: 'invalid-credential', says: /^the API token is not known$/ };
  const read = (headers: Record<string, string>) => () => service.open.send('GET', '/v1/agents', { headers });
  const makeToken = async (role: TokenRole, change: { expiresAt?: Date; revokedAt?: Date } = {}): Promise<string> => {
    const now = new Date();
    const { id, token, secretHash } = makeAdminToken(now, createSystemRandom());
    await inTransaction(service.database.ownerDb, (tx) => insertAdminToken(tx, { id, name: 'test', role, secretHash, expiresAt: change.expiresAt ?? null }, now));
    if (change.revokedAt) await service.database.ownerDb.adminToken.update({ where: { id }, data: { revokedAt: change.revokedAt } });
    return token;
  };

  test.each(['', 'Basic YTpi', 'Bearer', 'Bearer ', 'Token x', 'Bearer a b'])('%p', async (authorization) => {
    const reply = await unchanged(service.database, read(authorization === '' ? {} : { authorization }));
    expectRefused(reply, required);
    expect(reply.headers['www-authenticate']).toBe('Bearer realm="signet"');
  });

  test('tokens that are not ours, or not any more', async () => {
    const { adminToken } = service.signet;
    const past = new Date(Date.now() - 1000);
    const [expired, revoked] = [await makeToken('admin', { expiresAt: past }), await makeToken('admin', { revokedAt: past })];
    const joinToken = await service.joinToken(await service.register());
    for (const token of ['x', adminToken.slice(0, -1), `${adminToken}A`, adminToken.toLowerCase(), `${adminToken.slice(0, -4)}AAAA`, joinToken, `${expired.slice(0, -4)}AAAA`, `${revoked.slice(0, -4)}AAAA`]) await refuse(refused, read({ authorization: `Bearer ${token}` }));
    // Who holds the secret may know what became of it.
    await refuse({ status: 401, code: 'credential-expired', says: /ended at 2/ }, read({ authorization: `Bearer ${expired}` }));
    await refuse({ status: 401, code: 'credential-revoked', says: /was revoked at 2/ }, read({ authorization: `Bearer ${revoked}` }));
  });

  test('a role that does not permit it is told which permission is missing', async () => {
    const denied = (permission: string): Refusal => ({ status: 403, code: 'permission-denied', says: new RegExp(permission) });
    const as = async (role: TokenRole) => createClient({ url: service.signet.urls.api, ca: service.signet.rootPem, token: await makeToken(role) });
    const [auditor, operator, relyingParty] = [await as('auditor'), await as('operator'), await as('relying-party')];
    await refuse(denied('agents:write'), () => auditor.send('POST', '/v1/agents', { json: AGENT }));
    await refuse(denied('authorities:manage'), () => operator.send('POST', '/v1/authorities/rotate', { json: {} }));
    await refuse(denied('audit:read'), () => operator.send('GET', '/v1/audit'));
    await refuse(denied('agents:read'), () => relyingParty.send('GET', '/v1/agents'));
  });

  test('without one nothing of the body is read: 10 MB are refused for the credential', () =>
    refuse(required, () => createClient({ url: service.signet.urls.api, ca: service.signet.rootPem }).send('POST', '/v1/agents', { bytes: Buffer.alloc(10_000_000), headers: { 'content-type': 'application/json' } })));
});

describe('Idempotency-Key:', () => {
  const keyInvalid: Refusal = { status: 400, code: 'idempotency-key-invalid', says: /1 to 255 visible ASCII/ };
  const register = (key: string, name: string) => () => service.admin.send('POST', '/v1/agents', { json: { ...AGENT, name }, headers: { 'idempotency-key': key } });

  test.each(['', 'a b', 'k'.repeat(256), '\u00e9'])('%p is none', (key) => refuse(keyInvalid, register(key, 'never')));

  test('used for another request: refused, and the first answer stays', async () => {
    const first = await register('same-key', 'first')();
    expect(first.status).toBe(201);
    await refuse({ status: 422, code: 'idempotency-key-reused', says: /another request; use a new key/ }, register('same-key', 'second'));
    const again = await unchanged(service.database, register('same-key', 'first'));
    expect([again.status, again.body, again.headers['idempotency-replayed']]).toEqual([201, first.body, 'true']);
  });

  test('used for another enrollment: refused, and the first certificate comes again', async () => {
    const token = await service.joinToken(await service.register());
    const enroll = (csr: string) => () => service.open.send('POST', '/v1/certificates', { json: { csr }, headers: { authorization: `Bearer ${token}`, 'idempotency-key': 'enrollment' } });
    const [one, other] = [makeKeyAndCsr().csr, makeKeyAndCsr().csr];
    const first = await enroll(one)();
    expect(first.status).toBe(201);
    await refuse({ status: 422, code: 'idempotency-key-reused', says: /another request/ }, enroll(other));
    expect(jsonOf<{ serial: string }>(await unchanged(service.database, enroll(one))).serial).toBe(jsonOf<{ serial: string }>(first).serial);
  });
});

/** What came back over a connection until it was closed. */
function raw(door: 'api' | 'status', lines: string): Promise<string> {
  const { ports, rootPem: ca } = service.signet;
  const socket = door === 'api' ? tls.connect({ host: '127.0.0.1', port: ports.api, ca }) : net.connect(ports.status, '127.0.0.1');
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => (text += part));
    socket.once('close', () => resolve(text));
    socket.once('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(text) : reject(error)));
    socket.setTimeout(NOTICED_MS, () => socket.destroy(new Error(`the connection was still open after ${NOTICED_MS} ms: ${text}`)));
    socket.write(lines.replaceAll('\n', '\r\n'));
  });
}

describe.each(['api', 'status'] as const)('framing at the %s door:', (door) => {
  test.each([
    ['no HTTP at all', 'HELLO\n\n', 400],
    ['HTTP/2 without agreement', 'PRI * HTTP/2.0\n\nSM\n\n', 400],
    ['a length and chunks', 'POST /ocsp HTTP/1.1\nHost: a\nContent-Length: 4\nTransfer-Encoding: chunked\n\n0\n\nGET /x HTTP/1.1\n', 400],
    ['two lengths', 'POST /ocsp HTTP/1.1\nHost: a\nContent-Length: 4\nContent-Length: 5\n\nabcd', 400],
    ['a length that is none', 'POST /ocsp HTTP/1.1\nHost: a\nContent-Length: -1\n\n', 400],
    ['chunks that are none', 'POST /ocsp HTTP/1.1\nHost: a\nContent-Type: application/ocsp-request\nTransfer-Encoding: chunked\n\nzz\n', 400],
    ['no host', 'GET /healthz HTTP/1.1\n\n', 400],
    ['a header name with a space', 'GET /healthz HTTP/1.1\nHost: a\nBad Name: x\n\n', 400],
    ['a NUL in a header', 'GET /healthz HTTP/1.1\nHost: a\nX: a\0b\n\n', 400],
    ['headers of 20 kB', `GET /healthz HTTP/1.1\nHost: a\nX: ${'x'.repeat(20_000)}\n\n`, 431],
  ])('%s', async (_, lines, status) => {
    expect(await unchanged(service.database, () => raw(door, lines))).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  test('a head that never ends', async () => {
    expect(await raw(door, 'GET /healthz HTTP/1.1\nHost: a\n')).toMatch(/^HTTP\/1\.1 408 /);
  });
});

test('a body that never comes is waited for only so long', async () => {
  expect(await unchanged(service.database, () => raw('status', 'POST /ocsp HTTP/1.1\nHost: a\nContent-Type: application/ocsp-request\nContent-Length: 100\n\nabc'))).toMatch(/^HTTP\/1\.1 408 /);
});

test('an answer to what is still being sent does not keep its connection for ever', async () => {
  expect(await raw('api', 'POST /v1/agents HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: 100000\n\n{')).toMatch(/^HTTP\/1\.1 401 /);
});

test('no TLS at the API door, and an old TLS, are not spoken with', async () => {
  const { ports, rootPem: ca } = service.signet;
  const plain = await createClient({ url: `http://127.0.0.1:${ports.api}` }).send('GET', '/healthz').then(() => 'answered', () => 'refused');
  const old = await new Promise((resolve) => {
    const socket = tls.connect({ host: '127.0.0.1', port: ports.api, ca, maxVersion: 'TLSv1.2' }, () => resolve('answered'));
    socket.once('error', () => resolve('refused'));
  });
  expect([plain, old]).toEqual(['refused', 'refused']);
  expect((await service.open.send('GET', '/healthz')).status).toBe(200);
});
