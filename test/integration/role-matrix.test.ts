/**
 * Everybody at every route of every door, over the wire. What is expected is written down here by hand, a second time: which permission an operation needs, and
 * who has which permission. An operation or a permission that is new fails this test until somebody has thought about who may use it.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeAdminToken } from '../../src/admins/secret.ts';
import { OPERATIONS, type OperationId } from '../../src/api/operations.ts';
import { PERMISSIONS, type Permission, type TokenRole } from '../../src/api/permissions.ts';
import { createSystemRandom } from '../../src/core/random.ts';
import { insertAdminToken } from '../../src/db/admin-tokens.ts';
import { inTransaction } from '../../src/db/client.ts';
import { DOORS, type Door, type Route } from '../../src/http/route.ts';
import { ROUTES } from '../../src/http/routes.ts';
import { createClient, jsonOf, type Client } from '../support/https-client.ts';
import { selfSigned } from '../support/self-signed.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

/** What each operation needs. */
const NEEDS: Record<OperationId, Permission> = {
  registerAgent: 'agents:write', listAgents: 'agents:read', getAgent: 'agents:read', changeAgent: 'agents:write', activateAgent: 'agents:write',
  suspendAgent: 'agents:suspend', resumeAgent: 'agents:suspend', retireAgent: 'agents:retire',
  listInstances: 'agents:read', getInstance: 'agents:read', quarantineInstance: 'agents:suspend', releaseInstance: 'agents:suspend', revokeInstance: 'certificates:revoke',
  createJoinToken: 'join-tokens:create', listJoinTokens: 'join-tokens:read',
  issueCertificate: 'certificates:issue', renewCertificate: 'certificates:renew', listCertificates: 'certificates:read', getCertificate: 'certificates:read',
  revokeCertificate: 'certificates:revoke', holdCertificate: 'certificates:revoke', releaseCertificate: 'certificates:revoke', revokeAgentCertificates: 'certificates:revoke',
  getRenewalInfo: 'certificates:renew', steerRenewals: 'renewals:steer',
  kill: 'kills:write', listKills: 'kills:read', getKill: 'kills:read', resumeKill: 'kills:write',
  getStatus: 'status:read', listStatuses: 'status:read', listAgentStatuses: 'status:read', listInstanceStatuses: 'status:read', getStatusByFingerprint: 'status:read', getIdentity: 'status:read',
  followRevocations: 'feed:read', getRevocationSnapshot: 'feed:read', getRevocation: 'enforcement-points:read', listEnforcementPoints: 'enforcement-points:read',
  registerEnforcementPoint: 'feed:acknowledge', acknowledgeRevocations: 'feed:acknowledge', leaveEnforcementPoint: 'feed:acknowledge',
  listAuthorities: 'authorities:read', rotateAuthority: 'authorities:manage', rolloverRoot: 'authorities:manage', getTrustBundle: 'public',
  createAdminToken: 'admin-tokens:manage', listAdminTokens: 'admin-tokens:read', getOwnAdminToken: 'own-token:read', rotateOwnAdminToken: 'own-token:rotate',
  rotateAdminToken: 'admin-tokens:manage', revokeAdminToken: 'admin-tokens:manage',
  registerRelyingParty: 'relying-parties:manage', listRelyingParties: 'relying-parties:read', getRelyingParty: 'relying-parties:read', changeRelyingParty: 'relying-parties:manage',
  disableRelyingParty: 'relying-parties:manage', enableRelyingParty: 'relying-parties:manage', addRelyingPartyCertificate: 'relying-parties:manage',
  removeRelyingPartyCertificate: 'relying-parties:manage', createRelyingPartyToken: 'relying-parties:manage', listRelyingPartyTokens: 'relying-parties:read',
  revokeRelyingPartyToken: 'relying-parties:manage',
  getConsistencyProof: 'audit:read', getInclusionProof: 'audit:read', getAuditEvidence: 'audit:read', getIssuanceProof: 'status:read',
  listAudit: 'audit:read', getAuditLog: 'audit:read', getLogEntries: 'audit:read', getCheckpoint: 'public', getLogKey: 'public', getLogTile: 'public', listJobs: 'jobs:read', listFindings: 'findings:read', resolveFinding: 'findings:resolve',
  getCompleteCrl: 'public', getCrlShard: 'public', listCrls: 'public', getIssuerCertificate: 'public', postOcsp: 'public', getOcsp: 'public', getTrustBundlePem: 'public', getSpiffeBundle: 'public',
  getErrorsDocument: 'public', getOpenApi: 'public', getDocsPage: 'public', getHealth: 'public', getReadiness: 'public', getMetrics: 'public',
};

type Holder = TokenRole | 'enrollment' | 'agent';
const STAFF = ['admin', 'operator', 'auditor'] as const;
/** Who has each permission. */
const HOLDERS: Record<Exclude<Permission, 'public'>, readonly Holder[]> = {
  'agents:read': STAFF,
  'agents:write': ['admin', 'operator'],
  'agents:suspend': ['admin', 'operator'],
  'agents:retire': ['admin', 'operator'],
  'join-tokens:read': STAFF,
  'join-tokens:create': ['admin', 'operator'],
  'certificates:issue': ['enrollment'],
  'certificates:renew': ['agent'],
  'certificates:read': STAFF,
  'certificates:revoke': ['admin', 'operator'],
  'status:read': [...STAFF, 'relying-party', 'agent'],
  'feed:read': [...STAFF, 'relying-party'],
  'feed:acknowledge': ['admin', 'operator', 'relying-party'],
  'enforcement-points:read': STAFF,
  'authorities:read': STAFF,
  'authorities:manage': ['admin'],
  'own-token:read': [...STAFF, 'relying-party'],
  'own-token:rotate': [...STAFF, 'relying-party'],
  'admin-tokens:read': ['admin', 'auditor'],
  'admin-tokens:manage': ['admin'],
  'relying-parties:read': STAFF,
  'relying-parties:manage': ['admin', 'operator'],
  'audit:read': ['admin', 'auditor'],
  'jobs:read': STAFF,
  'findings:read': STAFF,
  'findings:resolve': ['admin', 'operator'],
  'kills:read': STAFF,
  'kills:write': ['admin'],
  'renewals:steer': ['admin', 'operator'],
};

/** How an asker is refused where it may not: 401 when what it shows is no credential there, 403 when it is a credential that does not permit it. */
interface Asker {
  name: string;
  holds: Holder | 'nothing';
  /** Scopes: what is left of the role. */
  only?: readonly Permission[];
  token?: string;
  identity?: { chain: string; key: string };
  /** The refusal of an asker that was somebody once, wherever its credential is looked at. */
  gone?: 401 | 403;
}

/** `yes` is any answer that is neither a refusal nor a fault of ours. */
function expected(asker: Asker, operation: OperationId, door: Door): 'yes' | 401 | 403 {
  const needs = NEEDS[operation];
  if (needs === 'public') return 'yes';
  const byCertificate = door === 'mtls';
  if (byCertificate ? asker.identity === undefined : asker.token === undefined) return 401;
  // Who enrolls is told by the join token, who renews by the certificate that was issued here: nothing else is looked at.
  if (needs === 'certificates:issue') return asker.holds === 'enrollment' ? 'yes' : 401;
  if (needs === 'certificates:renew' && asker.holds !== 'agent') return 401;
  if (asker.gone) return asker.gone;
  if (!byCertificate && asker.holds === 'enrollment') return 401;
  const has = asker.holds !== 'nothing' && HOLDERS[needs].includes(asker.holds) && (asker.only?.includes(needs) ?? true);
  return has ? 'yes' : 403;
}

let service: Service;
const askers: Asker[] = [];

/** By name, in the order they are told in the tests; made once. */
const NAMES = [
  'admin', 'operator', 'auditor', 'relying party with a token', 'relying party with a certificate', 'disabled relying party with a token', 'disabled relying party with a certificate',
  'operator narrowed to reading agents', 'admin narrowed to nothing it lists', 'expired admin', 'revoked admin', 'join token', 'agent', 'revoked agent', 'stranger with a certificate', 'nobody',
] as const;

/** A thousand requests from one address, most of them refused: how many it may send is another test's. */
const UNLIMITED = Object.fromEntries(['CREDENTIAL_FAILURES', 'SOURCE_READ_RATE', 'SOURCE_CHANGE_RATE', 'CALLER_READ_RATE', 'CALLER_CHANGE_RATE'].map((key) => [`SIGNET_${key}`, '0']));

beforeAll(async () => {
  service = await startService({ env: UNLIMITED });
  const { db } = service.database;
  const made = async (role: TokenRole, more: object = {}) => jsonOf<{ token: string }>(await service.order('/v1/admin-tokens', { name: 'matrix', role, ...more })).token;
  const party = async (name: string) => {
    const { id } = jsonOf<{ id: string }>(await service.order('/v1/relying-parties', { name, ownerEmail: 'bob@example.com', mayAsk: ['status', 'identity', 'feed'] }));
    const { token } = jsonOf<{ token: string }>(await service.order(`/v1/relying-parties/${id}/tokens`, { name: 'matrix' }));
    const { certificate, identity } = selfSigned(name);
    await service.order(`/v1/relying-parties/${id}/certificates`, { certificate });
    return { id, token, identity };
  };
  const stale = async (change: { expiresAt?: Date; revokedAt?: Date }) => {
    const { id, token, secretHash } = makeAdminToken(new Date(), createSystemRandom());
    await inTransaction(db, (tx) => insertAdminToken(tx, { id, name: 'stale', role: 'admin', secretHash, expiresAt: change.expiresAt ?? null }, new Date()));
    if (change.revokedAt) await db.adminToken.update({ where: { id }, data: { revokedAt: change.revokedAt } });
    return token;
  };
  const [good, disabled] = [await party('matrix'), await party('matrix-disabled')];
  await service.order(`/v1/relying-parties/${disabled.id}/disable`);
  const [agent, revoked] = [await service.enrolled(), await service.enrolled()];
  await service.order(`/v1/certificates/${revoked.serial}/revoke`, { reason: 'superseded' });
  const past = new Date(Date.now() - 1000);
  const identityOf = ({ chain, key }: Pick<Identity, 'chain' | 'key'>) => ({ chain, key });
  askers.push(
    { name: 'admin', holds: 'admin', token: service.signet.adminToken },
    { name: 'operator', holds: 'operator', token: await made('operator') },
    { name: 'auditor', holds: 'auditor', token: await made('auditor') },
    { name: 'relying party with a token', holds: 'relying-party', token: good.token },
    { name: 'relying party with a certificate', holds: 'relying-party', identity: good.identity },
    { name: 'disabled relying party with a token', holds: 'relying-party', token: disabled.token, gone: 403 },
    { name: 'disabled relying party with a certificate', holds: 'relying-party', identity: disabled.identity, gone: 403 },
    { name: 'operator narrowed to reading agents', holds: 'operator', token: await made('operator', { scopes: ['agents:read'] }), only: ['agents:read', 'own-token:read'] },
    { name: 'admin narrowed to nothing it lists', holds: 'admin', token: await made('admin', { scopes: ['own-token:rotate'] }), only: ['own-token:rotate', 'own-token:read'] },
    { name: 'expired admin', holds: 'admin', token: await stale({ expiresAt: past }), gone: 401 },
    { name: 'revoked admin', holds: 'admin', token: await stale({ revokedAt: past }), gone: 401 },
    { name: 'join token', holds: 'enrollment', token: await service.joinToken(await service.register()) },
    { name: 'agent', holds: 'agent', identity: identityOf(agent) },
    { name: 'revoked agent', holds: 'agent', identity: identityOf(revoked), gone: 403 },
    { name: 'stranger with a certificate', holds: 'nothing', identity: selfSigned('stranger').identity, gone: 401 },
    { name: 'nobody', holds: 'nothing' },
  );
}, 90_000);
afterAll(() => service.close());

test('every operation and every permission has been thought about', () => {
  expect(Object.keys(NEEDS).toSorted()).toEqual(Object.keys(OPERATIONS).toSorted());
  expect(['public', ...Object.keys(HOLDERS)].toSorted()).toEqual([...PERMISSIONS].toSorted());
  expect(askers.map(({ name }) => name)).toEqual([...NAMES]);
});

const PARAMETERS: Record<string, string> = { serial: '01'.repeat(20), shard: '0', request: 'AAAA', sha256: '01'.repeat(32) };
const NO_ID = '01KAMV3W5QZ3C1D6X2G7R8S9TZ';

/** A request that does nothing where it is permitted: nothing is there, or the body is refused. */
async function ask(client: Client, { operation }: Route): Promise<number> {
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => PARAMETERS[name] ?? NO_ID);
  // A stream has no end; HEAD is judged as GET is.
  const method = operation.id === 'followRevocations' ? 'HEAD' : operation.method.toUpperCase();
  const [type] = operation.consumes;
  if (type === undefined) return (await client.send(method, path)).status;
  if (type !== 'application/json') return (await client.send(method, path, { bytes: Buffer.from('x'), headers: { 'content-type': type } })).status;
  const issues = operation.id === 'issueCertificate' || operation.id === 'renewCertificate';
  return (await client.send(method, path, { json: issues ? { csr: 'AAAA' } : { 'no member of anything': true } })).status;
}

const familyOf = (status: number): 'yes' | number => (status === 401 || status === 403 || status >= 500 ? status : 'yes');

describe.each(DOORS)('the %s door', (door) => {
  const rows = ROUTES.filter(({ on }) => on.includes(door));

  test.each(NAMES)('%s', async (name) => {
    const asker = askers.find((one) => one.name === name);
    if (!asker) throw new Error(`nobody is ${name}`);
    const { token, identity } = asker;
    const secure = door === 'api' || door === 'mtls';
    const client = createClient({
      url: service.signet.urls[door], connections: 1, ...(secure && { ca: service.signet.rootPem }), ...(token !== undefined && { token }), ...(identity && { identity }),
    });
    const seen: Record<string, unknown> = {};
    for (const row of rows) seen[row.operation.id] = familyOf(await ask(client, row));
    client.close();
    expect(seen).toEqual(Object.fromEntries(rows.map(({ operation }) => [operation.id, expected(asker, operation.id as OperationId, door)])));
  });
});
