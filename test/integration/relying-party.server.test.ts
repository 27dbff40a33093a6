/** Servers that the SDK guards, over a real Signet: who is let in, what handlers are told, and how fast a revoked caller is cut off. */
import http2 from 'node:http2';
import https from 'node:https';
import tls, { type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { Peer, RelyingParty } from '../../src/client/relying-party/index.ts';
import { callerOf, get, listening, partiesOf, partyToken, until, type Parties } from '../support/relying-party.ts';
import { selfSigned } from '../support/self-signed.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

let service: Service;
let parties: Parties;
let rp: RelyingParty;
const own = selfSigned('127.0.0.1', { names: ['IP:127.0.0.1'] });
const keys = { key: own.key, cert: own.certificate };
const closing: (() => void)[] = [];
const callers: https.Agent[] = [];

beforeAll(async () => {
  service = await startService();
  parties = partiesOf(service);
  const token = await partyToken(service, 'gateway');
  rp = await parties.open({ feed: { urls: [service.signet.urls.api], token, enforcementPoint: 'gateway-1' } });
}, 120_000);
afterAll(async () => {
  for (const caller of callers) caller.destroy();
  for (const close of closing) close();
  await parties.close();
  await service.close();
});

const revoke = (serial: string) => service.order(`/v1/certificates/${serial}/revoke`, { reason: 'keyCompromise' });

async function guarded(handler: (peer: Peer | undefined) => string = (peer) => JSON.stringify(peer)): Promise<number> {
  const server = https.createServer({ ...keys, ...rp.tlsOptions() }, (request, response) => response.end(handler(rp.peerOf(request))));
  rp.attach(server);
  closing.push(() => (server.closeAllConnections(), server.close()));
  return listening(server);
}
function caller(identity: Pick<Identity, 'chain' | 'key'> | undefined, more: https.AgentOptions = {}): https.Agent {
  const agent = callerOf(identity, more);
  callers.push(agent);
  return agent;
}

describe('an https server', () => {
  test('handlers are told agent, instance, owner and profile', async () => {
    const identity = await service.enrolled();
    const answer = await get(await guarded(), caller(identity));
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({
      spiffeId: `spiffe://signet.internal/agent/${identity.agentId}`, agentId: identity.agentId, instanceId: identity.instanceId, ownerId: expect.stringMatching(/^[0-9A-Z]{26}$/) as unknown,
      profile: 'agent', unknown: {}, serial: identity.serial,
    });
  });

  test('a kept connection is closed within the event that revokes its certificate, and the next one is refused with a problem', async () => {
    const identity = await service.enrolled();
    const port = await guarded();
    const agent = caller(identity);
    const closed = new Promise<void>((resolve) => agent.once('free', (socket: TLSSocket) => socket.once('close', () => resolve())));
    expect((await get(port, agent)).status).toBe(200);
    await revoke(identity.serial);
    await closed;
    const refused = await get(port, caller(identity));
    expect({ ...refused, body: JSON.parse(refused.body) as unknown }).toEqual({
      status: 403, contentType: 'application/problem+json',
      body: { type: 'urn:signet:relying-party:certificate-revoked', title: 'The certificate is revoked', status: 403, code: 'certificate-revoked' },
    });
  });

  test('without a certificate, with one of a stranger, with one of a stranger that has our names: 401', async () => {
    const port = await guarded();
    const codeOf = async (agent: https.Agent) => {
      const { status, body } = await get(port, agent);
      return [status, (JSON.parse(body) as { code: string }).code];
    };
    expect(await codeOf(caller(undefined))).toEqual([401, 'certificate-required']);
    const stranger = selfSigned('stranger', { names: ['URI:spiffe://signet.internal/agent/01KAJ3G5N8AAAAAAAAAAAAAAAA'] });
    expect(await codeOf(caller({ chain: stranger.certificate, key: stranger.key }))).toEqual([401, 'certificate-untrusted']);
  });

  test('a suspended agent is refused, and let in again when it is resumed', async () => {
    const identity = await service.enrolled();
    const port = await guarded();
    expect((await get(port, caller(identity))).status).toBe(200);
    await service.order(`/v1/agents/${identity.agentId}/suspend`);
    await until(async () => (await get(port, caller(identity))).status === 403);
    await service.order(`/v1/agents/${identity.agentId}/resume`);
    await until(async () => (await get(port, caller(identity))).status === 200);
  });

  test('a resumed session, which brings no issuers, is judged like the first; after the revocation it is refused', async () => {
    const identity = await service.enrolled();
    const port = await guarded();
    let session: Buffer | undefined;
    const ask = (resume: Buffer | undefined) =>
      new Promise<{ text: string; reused: boolean }>((resolve, reject) => {
        let text = '';
        let reused = false;
        const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, cert: identity.chain, key: identity.key, ...(resume && { session: resume }) }, () => {
          reused = socket.isSessionReused();
          socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
        });
        socket.on('session', (ticket: Buffer) => (session = ticket));
        socket.setEncoding('utf8').on('data', (part: string) => (text += part));
        socket.once('error', reject).once('close', () => resolve({ text, reused }));
      });
    expect(await ask(undefined)).toMatchObject({ text: expect.stringMatching(/^HTTP\/1.1 200/) as unknown, reused: false });
    expect(await ask(session)).toMatchObject({ text: expect.stringMatching(/^HTTP\/1.1 200/) as unknown, reused: true });
    await revoke(identity.serial);
    await until(() => rp.state().acknowledged === rp.state().n);
    expect(await ask(session)).toMatchObject({ text: expect.stringMatching(/^HTTP\/1.1 403/) as unknown, reused: true });
  });

  test('an upgraded connection (WebSocket and the like) is judged before, and closed when its caller is revoked', async () => {
    const identity = await service.enrolled();
    const server = https.createServer({ ...keys, ...rp.tlsOptions() });
    server.on('upgrade', (_request, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n'));
    rp.attach(server);
    closing.push(() => server.close());
    const port = await listening(server);
    const upgrade = (who: Pick<Identity, 'chain' | 'key'> | undefined) => {
      const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...(who && { cert: who.chain, key: who.key }) }, () => socket.write('GET / HTTP/1.1\r\nhost: a\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n'));
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()).once('error', () => undefined));
      const first = new Promise<string>((resolve) => socket.once('data', (part) => resolve(String(part).slice(0, 12))));
      return { closed, first };
    };
    expect(await upgrade(undefined).first).toBe('HTTP/1.1 401');
    const { closed, first } = upgrade(identity);
    expect(await first).toBe('HTTP/1.1 101');
    await revoke(identity.serial);
    await closed;
  });
});

test('HTTP/2: streams are judged, and the session of a revoked caller is closed', async () => {
  const identity = await service.enrolled();
  const server = http2.createSecureServer({ ...keys, ...rp.tlsOptions() }, (request, response) => void response.end(rp.peerOf(request)?.agentId ?? ''));
  rp.attach(server);
  closing.push(() => server.close());
  const port = await listening(server);
  const connect = (who: Pick<Identity, 'chain' | 'key'> | undefined) => http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, ...(who && { cert: who.chain, key: who.key }) });
  const ask = (session: http2.ClientHttp2Session) =>
    new Promise<[number | undefined, string]>((resolve, reject) => {
      let [status, text]: [number | undefined, string] = [undefined, ''];
      const stream = session.request({ ':path': '/' });
      stream.once('response', (headers) => (status = headers[':status']));
      stream.setEncoding('utf8').on('data', (part: string) => (text += part));
      stream.once('error', reject).once('end', () => resolve([status, text]));
    });
  const stranger = connect(undefined);
  expect(await ask(stranger)).toEqual([401, expect.stringContaining('certificate-required') as unknown]);
  stranger.destroy();
  const session = connect(identity);
  const closed = new Promise<void>((resolve) => session.once('close', () => resolve()).on('error', () => undefined));
  expect([await ask(session), await ask(session)]).toEqual([[200, identity.agentId], [200, identity.agentId]]);
  await revoke(identity.serial);
  await closed;
});

test('raw TLS: a connection reaches nobody before it is let in, and is closed when its caller is revoked', async () => {
  const [good, bad] = [await service.enrolled(), await service.enrolled()];
  await revoke(bad.serial);
  await until(() => rp.state().acknowledged === rp.state().n);
  const reached: (string | undefined)[] = [];
  const server = tls.createServer({ ...keys, ...rp.tlsOptions() }, (socket) => {
    reached.push(rp.peerOf(socket)?.agentId);
    socket.on('error', () => undefined).on('data', (part: Buffer) => socket.write(part));
  });
  rp.attach(server);
  closing.push(() => server.close());
  const port = await listening(server);
  const connect = (who: Identity) => {
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, cert: who.chain, key: who.key }, () => socket.write('hello'));
    const closed = new Promise<void>((resolve) => socket.on('error', () => undefined).once('close', () => resolve()));
    return { closed, first: new Promise<string>((resolve) => socket.once('data', (part) => resolve(String(part)))) };
  };
  await connect(bad).closed;
  const { first, closed } = connect(good);
  expect(await first).toBe('hello');
  expect(reached).toEqual([good.agentId]);
  await revoke(good.serial);
  await closed;
});

test('Express: the middleware judges, tells the handler, and refuses with a problem; a server need not be attached', async () => {
  const identity = await service.enrolled();
  const app = express();
  app.use(rp.express());
  app.get('/', (request, response) => void response.json((request as unknown as { peer: Peer }).peer));
  const server = https.createServer({ ...keys, ...rp.tlsOptions() }, app);
  closing.push(() => (server.closeAllConnections(), server.close()));
  const port = await listening(server);
  const agent = caller(identity);
  const closed = new Promise<void>((resolve) => agent.once('free', (socket: TLSSocket) => socket.once('close', () => resolve())));
  const good = await get(port, agent);
  expect([good.status, JSON.parse(good.body)]).toMatchObject([200, { agentId: identity.agentId, profile: 'agent' }]);
  expect(await get(port, caller(undefined))).toMatchObject({ status: 401, contentType: 'application/problem+json' });
  await revoke(identity.serial);
  await closed;
  expect(await get(port, caller(identity))).toMatchObject({ status: 403 });
});

test('it says where it stands, and what it applied', async () => {
  await until(() => rp.state().acknowledged === rp.state().n);
  expect(rp.state()).toMatchObject({ source: 'feed', why: '', mode: 'closed', n: expect.any(Number) as unknown, trust: { roots: 1, refused: undefined } });
  expect(rp.state().stalenessMs).toBeLessThan(5_000);
  expect(Math.abs(rp.state().clockAheadMs ?? 0)).toBeLessThan(60_000);
});

test('a relying party that was closed lets nobody in', async () => {
  const identity = await service.enrolled();
  const closed = await parties.open({});
  const server = https.createServer({ ...keys, ...closed.tlsOptions() }, (_request, response) => response.end('in'));
  closed.attach(server);
  closing.push(() => (server.closeAllConnections(), server.close()));
  const port = await listening(server);
  expect((await get(port, caller(identity))).status).toBe(200);
  await closed.close();
  expect(JSON.parse((await get(port, caller(identity))).body)).toMatchObject({ code: 'status-unknown' });
});
