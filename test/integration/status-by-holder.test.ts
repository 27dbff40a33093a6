/** Status by agent, instance and fingerprint: pages, who may ask, and that an acknowledged revocation is never told good. */
import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ok, outcome } from '../support/fault/fleet.ts';
import { createClient, jsonOf, type Client } from '../support/https-client.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

let service: Service;
let identities: Identity[];
let agentId: string;
beforeAll(async () => {
  service = await startService();
  agentId = await service.register();
  identities = [];
  for (let i = 0; i < 5; i++) identities.push(await service.enrolled(agentId));
}, 60_000);
afterAll(() => service.close());

interface Status {
  serial: string;
  status: string;
  agentId?: string;
}
interface Page {
  items: Status[];
  nextCursor: string | null;
}

const read = async <T>(path: string, client: Client = service.admin): Promise<T> => jsonOf<T>(ok(await client.send('GET', path)));
const sha256 = ({ chain }: Identity): string => createHash('sha256').update(new X509Certificate(chain).raw).digest('hex');
const party = async (mayAsk: string[]): Promise<Client> => {
  const { id } = jsonOf<{ id: string }>(await service.order('/v1/relying-parties', { name: `party-${mayAsk.join('-')}`, ownerEmail: 'bob@example.com', mayAsk }));
  const { token } = jsonOf<{ token: string }>(await service.order(`/v1/relying-parties/${id}/tokens`, { name: 'test' }));
  return createClient({ url: service.signet.urls.api, ca: service.signet.rootPem, token, connections: 1 });
};

test('by agent, page by page, in the order of issue; by instance', async () => {
  const seen: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Page = await read<Page>(`/v1/status/agents/${agentId}?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
    expect(page.items.length).toBeLessThanOrEqual(2);
    seen.push(...page.items.map(({ serial }) => serial));
    cursor = page.nextCursor;
  }
  expect(seen).toEqual(identities.map(({ serial }) => serial));
  const [first] = identities as [Identity];
  expect((await read<Page>(`/v1/status/instances/${first.instanceId}`)).items).toMatchObject([{ serial: first.serial, status: 'good', agentId }]);
});

test('by fingerprint, in either case; with an entity tag', async () => {
  const [first] = identities as [Identity];
  const path = `/v1/status/fingerprints/${sha256(first).toUpperCase()}`;
  const reply = ok(await service.admin.send('GET', path));
  expect(jsonOf<Status>(reply)).toMatchObject({ serial: first.serial, status: 'good', agentId });
  expect((await service.admin.send('GET', path, { headers: { 'if-none-match': String(reply.headers.etag) } })).status).toBe(304);
  expect(outcome(await service.admin.send('GET', `/v1/status/fingerprints/${'00'.repeat(32)}`))).toBe('certificate-not-found');
  expect(outcome(await service.admin.send('GET', '/v1/status/fingerprints/abc'))).toBe('invalid-request');
});

test('what is acknowledged is told by every way at once', async () => {
  const [, second] = identities as [Identity, Identity];
  await read(`/v1/status/${second.serial}`);
  await service.order(`/v1/certificates/${second.serial}/revoke`, { reason: 'keyCompromise' });
  const of = ({ items }: Page) => items.find(({ serial }) => serial === second.serial)?.status;
  expect(of(await read<Page>(`/v1/status/agents/${agentId}`))).toBe('revoked');
  expect(of(await read<Page>(`/v1/status/instances/${second.instanceId}`))).toBe('revoked');
  expect((await read<Status>(`/v1/status/fingerprints/${sha256(second)}`)).status).toBe('revoked');
});

test('which certificates are whose is for those registered for identity', async () => {
  const [first] = identities as [Identity];
  const [plain, identifying] = [await party(['status']), await party(['status', 'identity'])];
  expect(outcome(await plain.send('GET', `/v1/status/agents/${agentId}`))).toBe('permission-denied');
  expect(outcome(await plain.send('GET', `/v1/status/instances/${first.instanceId}`))).toBe('permission-denied');
  // The event of an issuance says the agent, the instance, and from what address it was asked for.
  expect(outcome(await plain.send('GET', `/v1/certificates/${sha256(first)}/proof`))).toBe('permission-denied');
  expect(outcome(await identifying.send('GET', `/v1/certificates/${sha256(first)}/proof`))).not.toBe('permission-denied');
  expect(await read<Status>(`/v1/status/fingerprints/${sha256(first)}`, plain)).toMatchObject({ serial: first.serial, status: 'good' });
  expect((await read<Status>(`/v1/status/fingerprints/${sha256(first)}`, plain)).agentId).toBeUndefined();
  expect((await read<Page>(`/v1/status/agents/${agentId}`, identifying)).items[0]?.agentId).toBe(agentId);
  expect(outcome(await service.open.send('GET', `/v1/status/agents/${agentId}`))).toBe('authentication-required');
  plain.close();
  identifying.close();
});

test('what is not known, and cursors of others', async () => {
  const nobody = '01KAMV3W5QZ3C1D6X2G7R8S9TZ';
  expect(outcome(await service.admin.send('GET', `/v1/status/agents/${nobody}`))).toBe('agent-not-found');
  expect(outcome(await service.admin.send('GET', `/v1/status/instances/${nobody}`))).toBe('instance-not-found');
  const { nextCursor } = await read<Page>(`/v1/status/agents/${agentId}?limit=1`);
  expect(outcome(await service.admin.send('GET', `/v1/status/agents/${await service.register()}?cursor=${nextCursor}`))).toBe('cursor-mismatch');
});
