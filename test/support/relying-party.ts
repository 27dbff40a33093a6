/** Relying parties over a real service: servers that the SDK guards, callers with certificates of agents, and what stands between and lies. */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRelyingParty, type RelyingParty, type RelyingPartyOptions } from '../../src/client/relying-party/index.ts';
import { jsonOf } from './https-client.ts';
import type { Identity, Service } from './service.ts';

export const TRUST_DOMAIN = 'signet.internal';

/** Registers a relying party, and returns a token of it. */
export async function partyToken(service: Service, name: string, mayAsk: readonly string[] = ['status', 'identity', 'feed']): Promise<string> {
  const { id } = jsonOf<{ id: string }>(await service.order('/v1/relying-parties', { name, ownerEmail: 'bob@example.com', mayAsk }));
  return jsonOf<{ token: string }>(await service.order(`/v1/relying-parties/${id}/tokens`, { name })).token;
}

export interface Parties {
  open(options: Partial<RelyingPartyOptions>): Promise<RelyingParty>;
  close(): Promise<void>;
}

/** Relying parties of one service, closed together. */
export function partiesOf(service: Service): Parties {
  const open: RelyingParty[] = [];
  return {
    async open(options) {
      const party = await createRelyingParty({ trustBundle: service.signet.rootPem, trustDomain: TRUST_DOMAIN, ...options });
      open.push(party);
      return party;
    },
    async close() {
      await Promise.all(open.map((party) => party.close()));
    },
  };
}

export const chainOf = (identity: Identity): Buffer[] => (identity.chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((pem) => Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64'));

export async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

export interface Got {
  status: number;
  body: string;
  contentType: string;
}

/** A GET that says what came; `agent` keeps the connection. */
export function get(port: number, agent: https.Agent): Promise<Got> {
  return new Promise((resolve, reject) => {
    https
      .get({ host: '127.0.0.1', port, agent, timeout: 10_000 }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body, contentType: response.headers['content-type'] ?? '' }));
      })
      .once('error', reject);
  });
}

/** A caller with the certificate of an agent, on one connection that is kept. It does not judge the server: that is another test's affair. */
export const callerOf = (identity: Pick<Identity, 'chain' | 'key'> | undefined, more: https.AgentOptions = {}): https.Agent =>
  new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false, ...(identity && { cert: identity.chain, key: identity.key }), ...more });

export async function until(wanted: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 500; !(await wanted()); left--) {
    if (left === 0) throw new Error(`not so in 10 s: ${String(wanted)}`);
    await sleep(20);
  }
}

/** Stands before the status door: passes on, answers instead, or is silent. */
export interface Between {
  url: string;
  /** What happens with a request from now on; undefined: it is passed on. */
  answer: ((request: http.IncomingMessage, response: http.ServerResponse, body: Buffer) => boolean) | undefined;
  /** Paths that were asked for. */
  asked: string[];
  close(): Promise<void>;
}

export async function startBetween(target: string): Promise<Between> {
  const between: Between = { url: '', answer: undefined, asked: [], close: () => Promise.resolve() };
  const server = http.createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      between.asked.push(request.url ?? '');
      if (between.answer?.(request, response, body) === true) return;
      const onward = http.request(new URL(request.url ?? '/', target), { method: request.method ?? 'GET', headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      onward.end(body);
    });
  });
  between.url = `http://127.0.0.1:${await listening(server)}`;
  between.close = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return between;
}
