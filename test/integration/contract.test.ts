/**
 * Every operation, asked of the built program as a client asks it: the example requests of the documents are sent as they stand, but for what this
 * installation names otherwise (ids, serials, secrets, keys). Each answer has a status of the contract, its headers, and exactly the members of its schema.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { z } from 'zod';
import { issuedCertificate } from '../../src/api/certificates.ts';
import { CSR, JOIN_TOKEN, SERIAL, UNKNOWN_SERIAL } from '../../src/api/examples/example.ts';
import { EXAMPLES } from '../../src/api/examples/index.ts';
import type { Operation } from '../../src/api/operation.ts';
import { OPERATIONS, type OperationId } from '../../src/api/operations.ts';
import { makeKeyAndCsr } from '../support/fault/keys.ts';
import { selfSigned } from '../support/self-signed.ts';
import { readFeedStream } from '../support/feed-reader.ts';
import { createClient, jsonOf, type Client, type Reply } from '../support/https-client.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

interface Sent {
  headers?: Record<string, string>;
  /** Another body than the example's. */
  json?: unknown;
  bytes?: Buffer;
}

let signet: SignetProcess;
let admin: Client;
let anyone: Client;
let agent: Client;
let statusDoor: Client;
let operationsDoor: Client;
const asked = new Set<string>();

/** What the examples name, by what it is called here. */
const here = new Map<string, string>([[UNKNOWN_SERIAL, UNKNOWN_SERIAL]]);
const NAME = /^(?:[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9a-f]{40}|[0-9a-f]{64}|sg[aj]_.+)$/;

/** Notes the ids, serials and secrets of an answer beside those of its example. */
function learn(example: unknown, answer: unknown): void {
  if (typeof example === 'string' && typeof answer === 'string') {
    if (NAME.test(example) && NAME.test(answer) && !here.has(example)) here.set(example, answer);
  } else if (typeof example === 'object' && typeof answer === 'object' && example && answer) {
    for (const [name, value] of Object.entries(example)) learn(value, (answer as Record<string, unknown>)[name]);
  }
}

/** The example with the names of here. */
function translate<T>(example: T): T {
  if (typeof example === 'string') return (here.get(example) ?? example) as T;
  if (Array.isArray(example)) return example.map(translate) as T;
  if (typeof example !== 'object' || example === null) return example;
  return Object.fromEntries(Object.entries(example).map(([name, value]) => [name, translate(value)])) as T;
}

/** Sends the example of an operation. */
async function ask(client: Client, id: OperationId, sent: Sent = {}): Promise<Reply> {
  const operation: Operation = OPERATIONS[id];
  const example = EXAMPLES[id];
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(translate(example.params?.[name] ?? '')));
  const query = new URLSearchParams(translate(example.query ?? {})).toString();
  const reply = await client.send(operation.method.toUpperCase(), query === '' ? path : `${path}?${query}`, requestOf(operation, sent));
  judge(operation, reply);
  asked.add(id);
  return reply;
}

function requestOf({ id }: Operation, { headers = {}, ...other }: Sent): Parameters<Client['send']>[2] {
  const json = translate(EXAMPLES[id as OperationId].requests?.['application/json']);
  return json === undefined || other.json !== undefined || other.bytes !== undefined ? { headers, ...other } : { json, headers };
}

/** Status, content type, headers and members are those of the contract, no more and no less. */
function judge({ id, responses }: Operation, reply: Reply): void {
  const answer = responses[reply.status];
  if (!answer) throw new Error(`${id} answered ${reply.status}: ${reply.body.toString('utf8')}`);
  const [contentType = ''] = String(reply.headers['content-type'] ?? '').split(';');
  if (answer.contentTypes.length > 0) expect([id, answer.contentTypes]).toEqual([id, expect.arrayContaining([contentType])]);
  for (const name of ['etag', 'location'] as const) expect([id, name, name in reply.headers]).toEqual([id, name, answer.headers?.includes(name) ?? false]);
  expect(reply.headers).toHaveProperty('request-id');
  if (answer.schema && contentType === 'application/json') {
    expect([id, answer.schema.parse(jsonOf(reply))]).toEqual([id, jsonOf(reply)]);
    learn(EXAMPLES[id as OperationId].answers[reply.status]?.['application/json'], jsonOf(reply));
  }
}
const read = <T extends z.ZodType>(schema: T, reply: Reply): z.output<T> => schema.parse(jsonOf(reply));
/** The example's key is nobody's: here is one of ours, and what an example says of its certificate. */
function freshKey() {
  const pair = makeKeyAndCsr();
  here.set(CSR, pair.csr);
  return pair;
}

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
  const registered = await ask(admin, 'registerAgent', { headers: { 'idempotency-key': 'register' } });
  const { id: agentId } = jsonOf<{ id: string }>(registered);
  expect([registered.headers.location, registered.headers.etag]).toEqual([`/v1/agents/${agentId}`, '"1"']);
  const replayed = await ask(admin, 'registerAgent', { headers: { 'idempotency-key': 'register' } });
  expect([replayed.headers['idempotency-replayed'], replayed.body.equals(registered.body)]).toEqual(['true', true]);

  expect(jsonOf<{ items: unknown[] }>(await ask(admin, 'listAgents')).items).toHaveLength(1);
  expect((await ask(admin, 'getAgent')).body.equals(registered.body)).toBe(true);
  expect((await ask(admin, 'getAgent', { headers: { 'if-none-match': '"1"' } })).status).toBe(304);
  await ask(admin, 'changeAgent', { headers: { 'if-match': '"1"' } });
  const stale = await admin.send('PATCH', `/v1/agents/${agentId}`, { json: { purpose: 'too late' }, headers: { 'if-match': '"1"' } });
  expect([stale.status, jsonOf<{ code: string }>(stale).code]).toEqual([412, 'agent-changed']);
  for (const id of ['suspendAgent', 'resumeAgent', 'activateAgent'] as const) await ask(admin, id);

  const tokenAnswer = await ask(admin, 'createJoinToken', { headers: { 'idempotency-key': 'token' } });
  expect((await ask(admin, 'createJoinToken', { headers: { 'idempotency-key': 'token' } })).body).toEqual(tokenAnswer.body);
  const { token } = jsonOf<{ token: string }>(tokenAnswer);
  expect(here.get(JOIN_TOKEN)).toBe(token);
  expect((await ask(admin, 'listJoinTokens')).body.includes(token.slice(-43))).toBe(false);

  const first = freshKey();
  const enrolled = read(issuedCertificate, await ask(anyone, 'issueCertificate'));
  const { instanceId } = enrolled;
  const pem = await ask(anyone, 'issueCertificate', {
    bytes: Buffer.from(first.csr, 'base64'), headers: { 'content-type': 'application/pkcs10', authorization: `Bearer ${token}`, accept: 'application/pem-certificate-chain' },
  });
  expect(pem.body.toString()).toBe(enrolled.certificate + enrolled.chain);
  agent = createClient({ url: signet.urls.mtls, ca: signet.rootPem, identity: { chain: enrolled.certificate + enrolled.chain, key: first.key } });

  freshKey();
  const renewal = { headers: { 'idempotency-key': 'renewal' } };
  const renewed = read(issuedCertificate, await ask(agent, 'renewCertificate', renewal));
  expect(renewed).toMatchObject({ generation: 2, instanceId, agentId });
  expect(read(issuedCertificate, await ask(agent, 'renewCertificate', renewal)).serial).toBe(renewed.serial);
  expect(here.get(SERIAL)).toBe(renewed.serial);

  expect(jsonOf<{ items: unknown[] }>(await ask(admin, 'listCertificates')).items).toHaveLength(2);
  await ask(admin, 'getCertificate');
  const status = await ask(agent, 'getStatus');
  expect((await ask(admin, 'getStatus', { headers: { 'if-none-match': String(status.headers.etag) } })).status).toBe(304);
  expect(jsonOf<{ statuses: { status: string }[] }>(await ask(agent, 'listStatuses')).statuses.map((one) => one.status)).toEqual(['good', 'unknown']);

  for (const id of ['listAgentStatuses', 'listInstanceStatuses', 'getStatusByFingerprint', 'getIdentity'] as const) await ask(agent, id);
  await ask(agent, 'getRenewalInfo');
  await ask(admin, 'steerRenewals');
  // In a checkpoint within some seconds.
  const receipt = `/v1/audit/${renewed.receipt?.eventId ?? ''}/proof`;
  while ((await admin.send('GET', receipt)).status === 503) await sleep(100);
  for (const id of ['getInclusionProof', 'getConsistencyProof', 'getAuditEvidence'] as const) await ask(admin, id);
  await ask(agent, 'getIssuanceProof');

  expect((await ask(admin, 'kill')).status).toBe(200);
  expect((await ask(admin, 'kill', { json: { selector: { agentId }, reason: 'tried' } })).status).toBe(201);
  for (const id of ['listKills', 'getKill', 'resumeKill'] as const) await ask(admin, id);

  for (const id of ['holdCertificate', 'releaseCertificate'] as const) await ask(admin, id);

  // Asked again with another key before the successor was ever shown: a finding.
  freshKey();
  await ask(agent, 'renewCertificate');
  expect(jsonOf<{ items: unknown[] }>(await ask(admin, 'listFindings')).items).toHaveLength(1);
  const resolved = await ask(admin, 'resolveFinding');
  expect((await ask(admin, 'resolveFinding', { json: {} })).body).toEqual(resolved.body);
  expect(jsonOf<{ items: unknown[] }>(await ask(admin, 'listFindings')).items).toEqual([]);

  const { serial } = read(issuedCertificate, await ask(agent, 'renewCertificate'));
  here.set(SERIAL, serial);
  const revoked = await ask(admin, 'revokeCertificate');
  expect((await ask(admin, 'revokeCertificate', { json: { reason: 'superseded' } })).body).toEqual(revoked.body);

  await ask(admin, 'listInstances');
  for (const id of ['getInstance', 'quarantineInstance', 'releaseInstance', 'revokeInstance', 'revokeAgentCertificates', 'retireAgent'] as const) await ask(admin, id);
}, 60_000);

test('what operators read and do', async () => {
  for (const id of ['listAudit', 'getAuditLog', 'getLogEntries', 'listJobs', 'listFindings', 'listAuthorities'] as const) await ask(admin, id);
  const unknown = await admin.send('POST', '/v1/findings/01KAMV3W5QZ3C1D6X2G7R8S9TB/resolve', { json: {} });
  expect([unknown.status, jsonOf<{ code: string }>(unknown).code]).toEqual([404, 'finding-not-found']);
  const { token } = jsonOf<{ token: string }>(await ask(admin, 'createAdminToken', { headers: { 'idempotency-key': 'api-token' } }));
  expect((await ask(admin, 'listAdminTokens')).body.includes(token.slice(-43))).toBe(false);
  await ask(admin, 'getOwnAdminToken');
  const rotated = await ask(admin, 'rotateAdminToken', { headers: { 'idempotency-key': 'rotation' } });
  expect((await ask(admin, 'rotateAdminToken', { headers: { 'idempotency-key': 'rotation' } })).body).toEqual(rotated.body);
  const operator = createClient({ url: signet.urls.api, ca: signet.rootPem, token: jsonOf<{ token: string }>(rotated).token });
  await ask(operator, 'rotateOwnAdminToken', { json: { overlapSeconds: 0 } });
  await ask(admin, 'revokeAdminToken');
  // Prepared once, an issuer is there; asked for again, each is refused instead of being done twice.
  await ask(admin, 'rotateAuthority');
  for (const path of ['/v1/authorities/rotate', '/v1/authorities/rollover-root']) {
    const again = await admin.send('POST', path, { json: path.endsWith('rotate') ? { step: 'prepare' } : {} });
    expect([path, again.status, jsonOf<{ code: string }>(again).code]).toEqual([path, 409, 'authority-state-conflict']);
  }
  await activatePrepared();
  await ask(admin, 'rolloverRoot');
});

/** The lists of the prepared issuer are published first; until then activation is refused, and says when to come again. */
async function activatePrepared(): Promise<void> {
  for (let left = 40; ; left--) {
    const reply = await admin.send('POST', '/v1/authorities/rotate', { json: { step: 'activate' } });
    if (reply.status === 200) return;
    expect([reply.status, left > 0, reply.headers['retry-after']]).toEqual([409, true, '15']);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

test('relying parties, from registration to the end of each credential', async () => {
  const registered = await ask(admin, 'registerRelyingParty', { headers: { 'idempotency-key': 'relying-party' } });
  expect([registered.headers.location, registered.headers.etag]).toEqual([`/v1/relying-parties/${jsonOf<{ id: string }>(registered).id}`, '"1"']);
  expect((await ask(admin, 'registerRelyingParty', { headers: { 'idempotency-key': 'relying-party' } })).body).toEqual(registered.body);
  expect(jsonOf<{ items: unknown[] }>(await ask(admin, 'listRelyingParties')).items).toHaveLength(1);
  await ask(admin, 'addRelyingPartyCertificate', { json: { certificate: selfSigned('gateway').certificate } });
  expect((await ask(admin, 'getRelyingParty')).headers.etag).toBe('"2"');
  await ask(admin, 'changeRelyingParty', { headers: { 'if-match': '"2"' } });
  for (const id of ['disableRelyingParty', 'enableRelyingParty', 'removeRelyingPartyCertificate'] as const) await ask(admin, id);
  const { token } = jsonOf<{ token: string }>(await ask(admin, 'createRelyingPartyToken'));
  expect((await ask(admin, 'listRelyingPartyTokens')).body.includes(token.slice(-43))).toBe(false);
  const { id } = jsonOf<{ id: string }>(await admin.send('POST', '/v1/relying-parties', { json: { name: 'asker', ownerEmail: 'bob@example.org', mayAsk: ['status', 'identity'] } }));
  const asker = jsonOf<{ token: string }>(await admin.send('POST', `/v1/relying-parties/${id}/tokens`, { json: { name: 'asker' } }));
  await ask(createClient({ url: signet.urls.api, ca: signet.rootPem, token: asker.token }), 'getIdentity');
  await ask(admin, 'revokeRelyingPartyToken');
});

test('the live feed: who follows, who applied, who knows', async () => {
  const { id } = jsonOf<{ id: string }>(await admin.send('POST', '/v1/relying-parties', { json: { name: 'follower', ownerEmail: 'bob@example.org', mayAsk: ['feed'] } }));
  const { token } = jsonOf<{ token: string }>(await admin.send('POST', `/v1/relying-parties/${id}/tokens`, { json: { name: 'follower' } }));
  const follower = createClient({ url: signet.urls.api, ca: signet.rootPem, token });
  const { id: pointId, cluster, epoch } = jsonOf<{ id: string; cluster: string; epoch: number }>(await ask(follower, 'registerEnforcementPoint'));
  await ask(follower, 'acknowledgeRevocations', { json: { n: 1, cluster, epoch } });
  await ask(admin, 'listEnforcementPoints');
  await ask(follower, 'leaveEnforcementPoint');
  expect(pointId).toBe(here.get(EXAMPLES.leaveEnforcementPoint.params?.['enforcementPointId'] ?? ''));
  here.set('4711', '1');
  await ask(admin, 'getRevocation');
  await ask(follower, 'getRevocationSnapshot');
  // A stream has no end: its head is what the contract says.
  const stream = await readFeedStream({ url: signet.urls.api, ca: signet.rootPem, token });
  expect([stream.status, stream.headers['content-type']]).toEqual([200, 'text/event-stream']);
  stream.close();
  expect((await follower.send('HEAD', '/v1/revocations/stream')).status).toBe(200);
  asked.add('followRevocations');
});

test('what anyone may have', async () => {
  const { items } = jsonOf<{ items: { id: string; kind: string; state: string }[] }>(await ask(admin, 'listAuthorities'));
  const issuerId = items.find((item) => item.kind === 'issuing' && item.state === 'active')?.id ?? '';
  here.set(EXAMPLES.getIssuerCertificate.params?.['issuerId'] ?? '', issuerId);
  await ask(anyone, 'getTrustBundle');
  await ask(statusDoor, 'getTrustBundle', { headers: { accept: 'application/pem-certificate-chain' } });
  for (const id of ['getTrustBundlePem', 'listCrls', 'getSpiffeBundle', 'getCheckpoint', 'getLogKey', 'getLogTile', 'getHealth', 'getIssuerCertificate'] as const) await ask(statusDoor, id);
  const list = await ask(statusDoor, 'getCompleteCrl');
  expect((await ask(statusDoor, 'getCompleteCrl', { headers: { 'if-none-match': String(list.headers.etag) } })).status).toBe(304);
  // There are no shards by default.
  expect((await statusDoor.send('GET', `/crl/${issuerId}/0.crl`)).status).toBe(404);
  asked.add('getCrlShard');
  // Broken requests, and those about issuers of others, are answered in OCSP's own words, by either method.
  await ask(statusDoor, 'getOcsp');
  await ask(statusDoor, 'postOcsp', { bytes: Buffer.from('x'), headers: { 'content-type': 'application/ocsp-request' } });
  await ask(operationsDoor, 'getMetrics');
  await ask(operationsDoor, 'getReadiness');
});

test('what this interface says of itself: kept by its entity tag, pages for browsers, and the address of a problem leads to its code', async () => {
  for (const id of ['getOpenApi', 'getDocsPage', 'getErrorsDocument'] as const) {
    const reply = await ask(anyone, id);
    expect(reply.headers['cache-control']).toMatch(/^public, max-age=\d+$/);
    expect((await ask(anyone, id, { headers: { 'if-none-match': String(reply.headers.etag) } })).status).toBe(304);
  }
  const document = jsonOf<{ openapi: string; servers: { url: string }[] }>(await ask(anyone, 'getOpenApi'));
  expect([document.openapi, document.servers[0]?.url]).toEqual(['3.1.0', signet.urls.api]);

  const problem = jsonOf<{ type: string; code: string }>(await anyone.send('GET', '/v1/agents'));
  expect(problem.type).toBe(`${signet.urls.api}/errors#authentication-required`);
  const page = await anyone.send('GET', '/errors', { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
  expect([page.headers['content-type'], page.headers.vary]).toEqual(['text/html; charset=utf-8', 'accept']);
  expect(page.body.toString()).toContain(`id="${problem.code}"`);
  const markdown = await anyone.send('GET', '/errors', { headers: { accept: '*/*' } });
  expect([markdown.headers['content-type'], markdown.body.toString().startsWith('# Errors')]).toEqual(['text/markdown; charset=utf-8', true]);
});

test('no operation was left out', () => {
  expect(Object.keys(OPERATIONS).filter((id) => !asked.has(id))).toEqual([]);
});
