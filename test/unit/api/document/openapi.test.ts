import { expect, test } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { openApiDocument, type OpenApiDocument, type PathOperation } from '../../../../src/api/document/openapi.ts';
import { errorsOf, type Serving } from '../../../../src/api/document/serving.ts';
import { ERROR_TABLE } from '../../../../src/api/error-codes.ts';
import { EXAMPLES } from '../../../../src/api/examples/index.ts';
import type { Operation } from '../../../../src/api/operation.ts';
import { OPERATIONS, type OperationId } from '../../../../src/api/operations.ts';
import { ERROR_CODES } from '../../../../src/core/errors.ts';
import { ROUTES } from '../../../../src/http/routes.ts';

const SERVERS = { api: 'https://signet.example:8443', mtls: 'https://signet.example:8444', status: 'http://signet.example:8080' };
const serving = Object.fromEntries(ROUTES.map(({ operation, on, as, rate, lean }): [string, Serving] => [operation.id, { on, as, rate, lean }])) as Record<OperationId, Serving>;
const document: OpenApiDocument = openApiDocument(serving, SERVERS);
const documented = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })));
const byId = new Map<string, PathOperation & { path: string; method: string }>(documented.map((operation) => [operation.operationId, operation]));
const OPERATION_ROWS = (Object.entries(OPERATIONS) as [OperationId, Operation][]).map(([id, operation]) => [id, operation] as const);

/** Every object in the document. */
function* objects(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const member of Object.values(value)) yield* objects(member);
}

test('an independent validator of OpenAPI 3.1 accepts it', async () => {
  const validator = new Validator();
  expect(await validator.validate(structuredClone(document) as unknown as Record<string, unknown>)).toEqual({ valid: true });
  expect(validator.version).toBe('3.1');
});

test('every reference leads somewhere, and every named schema is used', () => {
  const references = new Set([...objects(document)].map((one) => one['$ref']).filter((reference) => typeof reference === 'string'));
  for (const reference of references) {
    const [, kind = '', name = ''] = /^#\/components\/(\w+)\/(.+)$/.exec(reference) ?? [];
    expect([reference, document.components[kind]?.[name] !== undefined]).toEqual([reference, true]);
  }
  for (const name of Object.keys(document.components['schemas'] ?? {})) expect([...references]).toContain(`#/components/schemas/${name}`);
});

test('the same every time: operations, in the order of the contract', () => {
  expect(JSON.stringify(openApiDocument(serving, SERVERS))).toBe(JSON.stringify(document));
  expect(documented.map(({ operationId }) => operationId).toSorted()).toEqual(Object.keys(OPERATIONS).toSorted());
});

test('operation ids: what clients are generated from changes only on purpose', () => {
  expect(documented.map(({ method, path, operationId }) => `${method} ${path} ${operationId}`).toSorted().join('\n')).toMatchInlineSnapshot(`
"get /crl/lists.txt listCrls
get /crl/{issuerId}/complete.crl getCompleteCrl
get /crl/{issuerId}/{shard}.crl getCrlShard
get /docs getDocsPage
get /errors getErrorsDocument
get /healthz getHealth
get /issuers/{issuerId}.cer getIssuerCertificate
get /metrics getMetrics
get /ocsp/{request} getOcsp
get /openapi.json getOpenApi
get /readyz getReadiness
get /spiffe/bundle.json getSpiffeBundle
get /tlog/checkpoint getCheckpoint
get /tlog/key getLogKey
get /tlog/tile/entries/{tile} getLogEntries
get /tlog/tile/{level}/{tile} getLogTile
get /trust-bundle.pem getTrustBundlePem
get /v1/admin-tokens listAdminTokens
get /v1/admin-tokens/self getOwnAdminToken
get /v1/agents listAgents
get /v1/agents/{agentId} getAgent
get /v1/agents/{agentId}/instances listInstances
get /v1/agents/{agentId}/join-tokens listJoinTokens
get /v1/audit listAudit
get /v1/audit/consistency getConsistencyProof
get /v1/audit/log getAuditLog
get /v1/audit/{event}/evidence getAuditEvidence
get /v1/audit/{event}/proof getInclusionProof
get /v1/authorities listAuthorities
get /v1/certificates listCertificates
get /v1/certificates/{fingerprint}/proof getIssuanceProof
get /v1/certificates/{serial} getCertificate
get /v1/enforcement-points listEnforcementPoints
get /v1/findings listFindings
get /v1/identity/{serial} getIdentity
get /v1/instances/{instanceId} getInstance
get /v1/jobs listJobs
get /v1/kills listKills
get /v1/kills/{killId} getKill
get /v1/relying-parties listRelyingParties
get /v1/relying-parties/{relyingPartyId} getRelyingParty
get /v1/relying-parties/{relyingPartyId}/tokens listRelyingPartyTokens
get /v1/renewal-info getRenewalInfo
get /v1/revocations/snapshot getRevocationSnapshot
get /v1/revocations/stream followRevocations
get /v1/revocations/{number} getRevocation
get /v1/status/agents/{agentId} listAgentStatuses
get /v1/status/fingerprints/{sha256} getStatusByFingerprint
get /v1/status/instances/{instanceId} listInstanceStatuses
get /v1/status/{serial} getStatus
get /v1/trust-bundle getTrustBundle
patch /v1/agents/{agentId} changeAgent
patch /v1/relying-parties/{relyingPartyId} changeRelyingParty
post /ocsp postOcsp
post /v1/admin-tokens createAdminToken
post /v1/admin-tokens/self/rotate rotateOwnAdminToken
post /v1/admin-tokens/{tokenId}/revoke revokeAdminToken
post /v1/admin-tokens/{tokenId}/rotate rotateAdminToken
post /v1/agents registerAgent
post /v1/agents/{agentId}/activate activateAgent
post /v1/agents/{agentId}/join-tokens createJoinToken
post /v1/agents/{agentId}/resume resumeAgent
post /v1/agents/{agentId}/retire retireAgent
post /v1/agents/{agentId}/revoke-certificates revokeAgentCertificates
post /v1/agents/{agentId}/suspend suspendAgent
post /v1/authorities/rollover-root rolloverRoot
post /v1/authorities/rotate rotateAuthority
post /v1/certificates issueCertificate
post /v1/certificates/renew renewCertificate
post /v1/certificates/{serial}/hold holdCertificate
post /v1/certificates/{serial}/release releaseCertificate
post /v1/certificates/{serial}/revoke revokeCertificate
post /v1/enforcement-points registerEnforcementPoint
post /v1/enforcement-points/{enforcementPointId}/acknowledge acknowledgeRevocations
post /v1/enforcement-points/{enforcementPointId}/leave leaveEnforcementPoint
post /v1/findings/{findingId}/resolve resolveFinding
post /v1/instances/{instanceId}/quarantine quarantineInstance
post /v1/instances/{instanceId}/release releaseInstance
post /v1/instances/{instanceId}/revoke revokeInstance
post /v1/kill kill
post /v1/kills/{killId}/resume resumeKill
post /v1/relying-parties registerRelyingParty
post /v1/relying-parties/{relyingPartyId}/certificates addRelyingPartyCertificate
post /v1/relying-parties/{relyingPartyId}/certificates/{certificateId}/remove removeRelyingPartyCertificate
post /v1/relying-parties/{relyingPartyId}/disable disableRelyingParty
post /v1/relying-parties/{relyingPartyId}/enable enableRelyingParty
post /v1/relying-parties/{relyingPartyId}/tokens createRelyingPartyToken
post /v1/relying-parties/{relyingPartyId}/tokens/{tokenId}/revoke revokeRelyingPartyToken
post /v1/renewals/steer steerRenewals
post /v1/status listStatuses"
`);
});

test.each(OPERATION_ROWS)('%s: all there is to know', (id, operation) => {
  const one = byId.get(id)!;
  expect([one.method, one.path, one['x-permission'], one['x-doors'], one['x-rate-class']]).toEqual([operation.method, operation.path, operation.permission, serving[id].on, serving[id].rate]);
  expect(one.servers).toHaveLength(serving[id].on.length);
  expect(document.tags.map(({ name }) => name)).toContain(one.tags[0]);
  expect(one.description).toMatch(/^[A-Z].*[.]$/);
  expect(one.security.length > 0).toBe(operation.permission !== 'public');
  expect(Object.keys(one.requestBody?.content ?? {})).toEqual(operation.consumes);
  for (const parameter of one.parameters) if ('name' in parameter) expect([parameter.name, parameter.description]).toEqual([parameter.name, expect.stringMatching(/^[A-Z`].*[.]$/)]);
});

test.each(OPERATION_ROWS)('%s: every code it can answer stands under its status, and nothing else', (id, operation) => {
  const one = byId.get(id)!;
  const codes = Object.entries(one.responses).flatMap(([status, { content }]) => {
    const problem = content?.['application/problem+json'];
    return problem ? Object.keys(problem.examples ?? {}).map((code) => [code, Number(status)]) : [];
  });
  expect(codes.toSorted()).toEqual(errorsOf(operation, serving[id]).map((code) => [code, ERROR_TABLE[code].status]).toSorted());
  for (const status of Object.keys(operation.responses)) expect(one.responses[status]?.headers).toHaveProperty('request-id');
});

test('what any request of its kind can be answered', () => {
  const codesOf = (id: OperationId) => byId.get(id)!['x-error-codes'];
  expect(codesOf('registerAgent')).toEqual(expect.arrayContaining(['body-too-large', 'unsupported-media-type', 'malformed-json', 'json-too-deep', 'idempotency-key-reused', 'authentication-required', 'invalid-credential', 'permission-denied', 'internal']));
  expect(codesOf('listAgents')).not.toEqual(expect.arrayContaining(['body-too-large']));
  expect(codesOf('renewCertificate')).toEqual(expect.arrayContaining(['client-certificate-required', 'client-certificate-untrusted', 'idempotency-in-progress']));
  expect(codesOf('getHealth')).toContain('rate-limited');
  expect(codesOf('getMetrics')).not.toContain('rate-limited');
  expect(Object.keys(byId.get('listAgents')!.responses['429']?.headers ?? {})).toEqual(['request-id', 'retry-after', 'ratelimit-policy', 'ratelimit']);
  expect(codesOf('postOcsp')).not.toEqual(expect.arrayContaining(['malformed-json']));
  const answered = new Set(['not-found', 'method-not-allowed', ...documented.flatMap((operation) => operation['x-error-codes'])]);
  expect(ERROR_CODES.filter((code) => !answered.has(code))).toEqual([]);
});

test.each(OPERATION_ROWS)('%s: examples of request and answers, as their schemas have them', (id, operation) => {
  const { params = {}, query = {}, requests = {}, answers } = EXAMPLES[id];
  expect(operation.params.safeParse(params)).toMatchObject({ success: true });
  expect(operation.query.safeParse(query)).toMatchObject({ success: true });
  const isRequired = operation.consumes.includes('application/json') && !operation.body.safeParse({}).success;
  expect([id, 'application/json' in requests || !isRequired]).toEqual([id, true]);
  if ('application/json' in requests) expect(operation.body.safeParse(requests['application/json'])).toMatchObject({ success: true });

  for (const [status, { contentTypes, schema }] of Object.entries(operation.responses)) {
    const binary = ['application/pkix-crl', 'application/pkix-cert', 'application/ocsp-response', 'application/octet-stream'];
    expect([id, status, Object.keys(answers[Number(status)] ?? {}).toSorted()]).toEqual([id, status, contentTypes.filter((type) => !binary.includes(type)).toSorted()]);
    const json = answers[Number(status)]?.['application/json'];
    if (schema) expect([id, status, schema.parse(json)]).toEqual([id, status, json]);
  }
});

test('answers may grow: their objects are open, those of requests closed', () => {
  const schemas = document.components['schemas'] as Record<string, { additionalProperties?: boolean }>;
  expect(schemas['Agent']).not.toHaveProperty('additionalProperties', false);
  expect(schemas['RegisterAgentRequest']?.additionalProperties).toBe(false);
});
