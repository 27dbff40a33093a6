/** Every operation, asked of the built program as a client asks it: each answer has a status of the contract, and exactly the members of its schema. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { z } from 'zod';
import { issuedCertificate } from '../../src/api/certificates.ts';
import type { Operation } from '../../src/api/operation.ts';
import { OPERATIONS, type OperationId } from '../../src/api/operations.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { selfSigned } from '../support/self-signed.ts';
import { createClient, jsonOf, type Client, type Reply } from '../support/https-client.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

interface Sent {
  json?: unknown;
  bytes?: Buffer;
  headers?: Record<string, string>;
}

let signet: SignetProcess;
let admin: Client;
let anyone: Client;
let agent: Client;
let statusDoor: Client;
let operationsDoor: Client;
const asked = new Set<string>();

/** Sends an operation; `params` fill the path template. */
async function ask(client: Client, id: OperationId, params: Record<string, string> = {}, sent: Sent = {}, query = ''): Promise<Reply> {
  const operation: Operation = OPERATIONS[id];
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const reply = await client.send(operation.method.toUpperCase(), path + query, sent);
  const answer = operation.responses[reply.status];
  if (!answer) throw new Error(`${id} answered ${reply.status}: ${reply.body.toString('utf8')}`);
  const [contentType = ''] = String(reply.headers['content-type'] ?? '').split(';');
  if (answer.contentTypes.length > 0) expect([id, answer.contentTypes]).toEqual([id, expect.arrayContaining([contentType])]);
  if (answer.schema && contentType === 'application/json') expect([id, answer.schema.parse(jsonOf(reply))]).toEqual([id, jsonOf(reply)]);
  asked.add(id);
  return reply;
}
const read = <T extends z.ZodType>(schema: T, reply: Reply): z.output<T> => schema.parse(jsonOf(reply));

beforeAll(async () => {
  signet = await startSignet();
  const { urls, rootPem: ca } = signet;
  admin = createClient({ url: urls.api, ca, token: signet.adminToken });
  anyone = createClient({ url: urls.api, ca });
  statusDoor = createClient({ url: urls.status });
  operationsDoor = createClient({ url: urls.operations });
}, 90_000);
afterAll(() => signet.stop());

test('the life of an agent, operation by operation', async () => {
  const register = { json: { name: 'contract', ownerEmail: 'Ada@example.com', purpose: 'to be judged', labels: { team: 'core' } }, headers: { 'idempotency-key': 'register' } };
  const registered = await ask(admin, 'registerAgent', {}, register);
  const { id: agentId } = jsonOf<{ id: string }>(registered);
  expect([registered.headers.location, registered.headers.etag]).toEqual([`/v1/agents/${agentId}`, '"1"']);
  const replayed = await ask(admin, 'registerAgent', {}, register);
  expect([replayed.headers['idempotency-replayed'], replayed.body.equals(registered.body)]).toEqual(['true', true]);

  expect(jsonOf<{ items: unknown[] }>(await ask(admin, 'listAgents', {}, {}, '?label=team%3Dcore&ownerEmail=ada@example.com')).items).toHaveLength(1);
  await ask(admin, 'getAgent', { agentId });
  await ask(admin, 'changeAgent', { agentId }, { json: { purpose: 'to be changed' }, headers: { 'if-match': '"1"' } });
  const stale = await admin.send('PATCH', `/v1/agents/${agentId}`, { json: { purpose: 'too late' }, headers: { 'if-match': '"1"' } });
  expect([stale.status, jsonOf<{ code: string }>(stale).code]).toEqual([412, 'agent-changed']);
  await ask(admin, 'suspendAgent', { agentId });
  await ask(admin, 'resumeAgent', { agentId }, { json: { reason: 'it was nothing' } });
  await ask(admin, 'activateAgent', { agentId });

  const tokenAnswer = await ask(admin, 'createJoinToken', { agentId }, { json: {}, headers: { 'idempotency-key': 'token' } });
  expect((await ask(admin, 'createJoinToken', { agentId }, { json: {}, headers: { 'idempotency-key': 'token' } })).body).toEqual(tokenAnswer.body);
  const { token } = jsonOf<{ token: string }>(tokenAnswer);
  expect((await ask(admin, 'listJoinTokens', { agentId })).body.includes(token.slice(-43))).toBe(false);

  const first = makeKeyAndCsr();
  const enrolled = read(issuedCertificate, await ask(anyone, 'issueCertificate', {}, { json: { csr: first.csr, joinToken: token } }));
  const { serial, instanceId } = enrolled;
  const pem = await ask(anyone, 'issueCertificate', {}, {
    bytes: Buffer.from(first.csr, 'base64'), headers: { 'content-type': 'application/pkcs10', authorization: `Bearer ${token}`, accept: 'application/pem-certificate-chain' },
  });
  expect(pem.body.toString()).toBe(enrolled.certificate + enrolled.chain);

  await ask(admin, 'listCertificates', {}, {}, `?agentId=${agentId}&status=good`);
  await ask(admin, 'getCertificate', { serial });
  agent = createClient({ url: signet.urls.mtls, ca: signet.rootPem, identity: { chain: enrolled.certificate + enrolled.chain, key: first.key } });
  const status = await ask(agent, 'getStatus', { serial });
  expect((await ask(admin, 'getStatus', { serial }, { headers: { 'if-none-match': String(status.headers.etag) } })).status).toBe(304);
  expect(jsonOf<{ statuses: { status: string }[] }>(await ask(agent, 'listStatuses', {}, { json: { serials: [serial, '01'.repeat(20)] } })).statuses.map((one) => one.status)).toEqual(['good', 'unknown']);

  const renewal = { json: { csr: makeKeyAndCsr().csr }, headers: { 'idempotency-key': 'renewal' } };
  const renewed = read(issuedCertificate, await ask(agent, 'renewCertificate', {}, renewal));
  expect(renewed).toMatchObject({ generation: 2, instanceId, agentId });
  expect(read(issuedCertificate, await ask(agent, 'renewCertificate', {}, renewal)).serial).toBe(renewed.serial);

  // Asked again with another key before the successor was ever shown: a finding.
  const displacing = read(issuedCertificate, await ask(agent, 'renewCertificate', {}, { json: { csr: makeKeyAndCsr().csr } }));
  const [finding] = jsonOf<{ items: { id: string }[] }>(await ask(admin, 'listFindings', {}, {}, `?instanceId=${instanceId}&open=true`)).items;
  const resolved = await ask(admin, 'resolveFinding', { findingId: finding?.id ?? '' }, { json: { reason: 'a lost answer' } });
  expect((await ask(admin, 'resolveFinding', { findingId: finding?.id ?? '' }, { json: {} })).body).toEqual(resolved.body);
  expect(jsonOf<{ items: unknown[] }>(await ask(admin, 'listFindings', {}, {}, `?instanceId=${instanceId}&open=true`)).items).toEqual([]);

  await ask(admin, 'holdCertificate', { serial: displacing.serial });
  await ask(admin, 'releaseCertificate', { serial: displacing.serial });
  const revoked = await ask(admin, 'revokeCertificate', { serial: displacing.serial }, { json: { reason: 'keyCompromise' } });
  expect((await ask(admin, 'revokeCertificate', { serial: displacing.serial }, { json: { reason: 'superseded' } })).body).toEqual(revoked.body);

  await ask(admin, 'listInstances', { agentId });
  await ask(admin, 'getInstance', { instanceId });
  await ask(admin, 'quarantineInstance', { instanceId }, { json: { reason: 'to be looked at' } });
  await ask(admin, 'releaseInstance', { instanceId });
  await ask(admin, 'revokeInstance', { instanceId }, { json: { reason: 'superseded' } });
  await ask(admin, 'revokeAgentCertificates', { agentId });
  await ask(admin, 'retireAgent', { agentId }, { json: { note: 'the end' } });
}, 60_000);

test('what operators read and do', async () => {
  for (const id of ['listAudit', 'listJobs', 'listFindings', 'listAuthorities'] as const) await ask(admin, id);
  const unknown = await admin.send('POST', '/v1/findings/01KAMV3W5QZ3C1D6X2G7R8S9TB/resolve', { json: {} });
  expect([unknown.status, jsonOf<{ code: string }>(unknown).code]).toEqual([404, 'finding-not-found']);
  const wanted = { json: { name: 'contract', role: 'auditor', ttlSeconds: 60 }, headers: { 'idempotency-key': 'api-token' } };
  const { id: tokenId, token } = jsonOf<{ id: string; token: string }>(await ask(admin, 'createAdminToken', {}, wanted));
  expect((await ask(admin, 'listAdminTokens')).body.includes(token.slice(-43))).toBe(false);
  await ask(admin, 'getOwnAdminToken');
  const rotated1 = await ask(admin, 'rotateAdminToken', { tokenId }, { json: {}, headers: { 'idempotency-key': 'rotation' } });
  expect((await ask(admin, 'rotateAdminToken', { tokenId }, { json: {}, headers: { 'idempotency-key': 'rotation' } })).body).toEqual(rotated1.body);
  const auditor = createClient({ url: signet.urls.api, ca: signet.rootPem, token: jsonOf<{ token: string }>(rotated1).token });
  await ask(auditor, 'rotateOwnAdminToken', {}, { json: { overlapSeconds: 0 } });
  await ask(admin, 'revokeAdminToken', { tokenId }, { json: { withSuccessors: true } });
  await ask(admin, 'rolloverRoot');
  // The rollover has prepared an issuer: there is nothing to prepare, and its lists may not be published yet.
  const rotated = await admin.send('POST', '/v1/authorities/rotate', { json: { step: 'prepare' } });
  expect([rotated.status, jsonOf<{ code: string }>(rotated).code]).toEqual([409, 'authority-state-conflict']);
  asked.add('rotateAuthority');
});

test('relying parties, from registration to the end of each credential', async () => {
  const wanted = { json: { name: 'gateway', ownerEmail: 'Bob@example.com', mayAsk: ['identity', 'status'] }, headers: { 'idempotency-key': 'relying-party' } };
  const registered = await ask(admin, 'registerRelyingParty', {}, wanted);
  const { id: relyingPartyId } = jsonOf<{ id: string }>(registered);
  expect([registered.headers.location, registered.headers.etag]).toEqual([`/v1/relying-parties/${relyingPartyId}`, '"1"']);
  expect((await ask(admin, 'registerRelyingParty', {}, wanted)).body).toEqual(registered.body);
  expect(jsonOf<{ items: unknown[] }>(await ask(admin, 'listRelyingParties', {}, {}, '?ownerEmail=bob@example.com&state=active&mayAsk=identity')).items).toHaveLength(1);
  const { certificate } = selfSigned('gateway');
  const pinned = jsonOf<{ id: string }>(await ask(admin, 'addRelyingPartyCertificate', { relyingPartyId }, { json: { certificate } }));
  expect((await ask(admin, 'getRelyingParty', { relyingPartyId })).headers.etag).toBe('"2"');
  await ask(admin, 'changeRelyingParty', { relyingPartyId }, { json: { mayAsk: ['status'] }, headers: { 'if-match': '"2"' } });
  await ask(admin, 'disableRelyingParty', { relyingPartyId }, { json: { reason: 'to be looked at' } });
  await ask(admin, 'enableRelyingParty', { relyingPartyId });
  await ask(admin, 'removeRelyingPartyCertificate', { relyingPartyId, certificateId: pinned.id });
  const { id: tokenId, token } = jsonOf<{ id: string; token: string }>(await ask(admin, 'createRelyingPartyToken', { relyingPartyId }, { json: { name: 'gateway-1' } }));
  expect((await ask(admin, 'listRelyingPartyTokens', { relyingPartyId })).body.includes(token.slice(-43))).toBe(false);
  await ask(admin, 'revokeRelyingPartyToken', { relyingPartyId, tokenId });
});

test('what anyone may have', async () => {
  const { items } = jsonOf<{ items: { id: string; kind: string }[] }>(await ask(admin, 'listAuthorities'));
  const issuerId = items.find((item) => item.kind === 'issuing')?.id ?? '';
  await ask(anyone, 'getTrustBundle');
  await ask(statusDoor, 'getTrustBundle', {}, { headers: { accept: 'application/pem-certificate-chain' } });
  for (const id of ['getTrustBundlePem', 'getSpiffeBundle', 'getHealth'] as const) await ask(statusDoor, id);
  await ask(statusDoor, 'getIssuerCertificate', { issuerId });
  const list = await ask(statusDoor, 'getCompleteCrl', { issuerId });
  expect((await ask(statusDoor, 'getCompleteCrl', { issuerId }, { headers: { 'if-none-match': String(list.headers.etag) } })).status).toBe(304);
  expect((await statusDoor.send('GET', `/crl/${issuerId}/0.crl`)).status).toBe(404);
  asked.add('getCrlShard');
  // Broken requests are answered in OCSP's own words, by either method.
  await ask(statusDoor, 'getOcsp', { request: 'AAAA' });
  await ask(statusDoor, 'postOcsp', {}, { bytes: Buffer.from('x'), headers: { 'content-type': 'application/ocsp-request' } });
  await ask(anyone, 'getErrorsDocument');
  await ask(operationsDoor, 'getMetrics');
  await ask(operationsDoor, 'getReadiness');
});

test('no operation was left out', () => {
  expect(Object.keys(OPERATIONS).filter((id) => !asked.has(id))).toEqual([]);
});
