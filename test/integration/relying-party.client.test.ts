/** Clients that judge the server they call: an agent that serves with its Signet certificate, over https.Agent, fetch and raw TLS. */
import https from 'node:https';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RelyingParty } from '../../src/client/relying-party/index.ts';
import { get, listening, partiesOf, partyToken, type Parties } from '../support/relying-party.ts';
import { selfSigned } from '../support/self-signed.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

let service: Service;
let parties: Parties;
let rp: RelyingParty;
const closing: (() => void)[] = [];

beforeAll(async () => {
  service = await startService();
  parties = partiesOf(service);
  rp = await parties.open({ feed: { urls: [service.signet.urls.api], token: await partyToken(service, 'caller') } });
}, 120_000);
afterAll(async () => {
  for (const close of closing) close();
  await parties.close();
  await service.close();
});

const idOf = ({ agentId }: Identity) => `spiffe://signet.internal/agent/${agentId}`;

/** A service of an agent; it counts what reached it, and tells who called. */
async function serving({ chain, key }: Pick<Identity, 'chain' | 'key'>) {
  const seen = { requests: 0 };
  const server = https.createServer({ key, cert: chain, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    seen.requests++;
    response.end((request.socket as TLSSocket).getPeerCertificate().subject?.CN ?? 'nobody');
  });
  closing.push(() => (server.closeAllConnections(), server.close()));
  return { port: await listening(server), seen };
}
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(() => 'none', (error: Error) => {
    const { decision } = (error.cause ?? error) as { decision?: { code: string } };
    return decision?.code ?? `${String(error)} because ${String(error.cause)}`;
  });

test('an agent: the server that was meant is called, with the own certificate; another one never gets a request', async () => {
  const [server, caller] = [await service.enrolled(), await service.enrolled()];
  const { port, seen } = await serving(server);
  const agent = rp.agent({ spiffeId: idOf(server), identity: { certificate: caller.chain, key: caller.key } });
  expect(await get(port, agent)).toMatchObject({ status: 200, body: caller.agentId });
  expect(seen.requests).toBe(1);
  expect(await codeOf(get(port, rp.agent({ spiffeId: idOf(caller) })))).toBe('identity-not-accepted');
  expect(await codeOf(get(port, rp.agent()))).toBe('identity-not-accepted'); // by host name: the certificate has none
  const stranger = selfSigned('127.0.0.1', { names: ['IP:127.0.0.1'] });
  const other = await serving({ chain: stranger.certificate, key: stranger.key });
  expect(await codeOf(get(other.port, rp.agent()))).toBe('certificate-untrusted');
  expect([seen.requests, other.seen.requests]).toEqual([1, 0]);
});

test('a kept connection to a server that is revoked is closed, and it is never called again', async () => {
  const server = await service.enrolled();
  const { port, seen } = await serving(server);
  const agent = rp.agent({ spiffeId: idOf(server) });
  const closed = new Promise<void>((resolve) => agent.once('free', (socket: TLSSocket) => socket.once('close', () => resolve())));
  expect((await get(port, agent)).status).toBe(200);
  await service.order(`/v1/certificates/${server.serial}/revoke`, { reason: 'keyCompromise' });
  await closed;
  expect(await codeOf(get(port, agent))).toBe('certificate-revoked');
  expect(seen.requests).toBe(1);
});

test("Node's own fetch with the dispatcher: judged, closed, refused in the same way", async () => {
  const [server, caller] = [await service.enrolled(), await service.enrolled()];
  const { port, seen } = await serving(server);
  const dispatcher = await rp.dispatcher({ spiffeId: (host) => (host === '127.0.0.1' ? idOf(server) : undefined), identity: { certificate: caller.chain, key: caller.key } });
  const closed = new Promise<void>((resolve) => dispatcher.once('disconnect', () => resolve()));
  const ask = () => fetch(`https://127.0.0.1:${port}/`, { dispatcher });
  expect(await (await ask()).text()).toBe(caller.agentId);
  expect(rp.state().connections).toBeGreaterThan(0);
  await service.order(`/v1/certificates/${server.serial}/revoke`, { reason: 'keyCompromise' });
  await closed;
  expect(await codeOf(ask())).toContain('certificate-revoked'); // Node's fetch is of another realm than the test's errors, and wraps them
  expect(seen.requests).toBe(1);
  expect(await codeOf(fetch(`http://127.0.0.1:${port}/`, { dispatcher }))).toContain('fetch failed');
  await dispatcher.close();
});

test('by host name: the TLS door of Signet itself, whose certificate has a name and no SPIFFE ID', async () => {
  const { port } = new URL(service.signet.urls.api);
  const socket = await rp.connect({ host: '127.0.0.1', port: Number(port) });
  expect(socket.authorized || socket.encrypted).toBe(true);
  expect(rp.peerOf(socket)).toMatchObject({ spiffeId: undefined, agentId: undefined });
  socket.destroy();
});
