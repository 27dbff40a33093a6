import { X509Certificate } from 'node:crypto';
import https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import type { Connections } from './connections.ts';
import { PeerRefused, refuse, type Decision, type Peer, type Refused } from './decision.ts';
import type { Peers } from './peers.ts';
import { chainOf } from './server.ts';

export interface ClientOptions {
  /** The caller's own certificate with its chain, and its key, PEM: shown to servers that ask. */
  identity?: { certificate: string; key: string };
  /** The SPIFFE ID that a server must have: one, some, or by host. Without it a server is judged by its host name, and by nothing else. */
  spiffeId?: string | readonly string[] | ((host: string) => string | undefined);
  /** For the handshake and the judgement, milliseconds; 10,000. */
  connectTimeoutMs?: number;
}

/** The shape of undici's `connect` option: of every version, and of none in particular. */
export type Connector = (options: ConnectorOptions, callback: (...of: [error: null, socket: TLSSocket] | [error: Error, socket: null]) => void) => void;

export interface ConnectorOptions {
  hostname: string;
  host?: string | undefined;
  protocol: string;
  port: string;
  servername?: string | null | undefined;
  localAddress?: string | null | undefined;
  httpSocket?: unknown;
}

/** What Node's own fetch takes as `dispatcher`. */
export type FetchDispatcher = NonNullable<RequestInit['dispatcher']>;

/** Judges servers that are connected to. */
export interface ClientSide {
  /** For https.request, axios and what else takes an agent. */
  agent(options?: ClientOptions & Pick<https.AgentOptions, 'keepAlive' | 'maxSockets' | 'maxFreeSockets' | 'timeout'>): https.Agent;
  /** For undici: `new Agent({ connect: connector() })`. */
  connector(options?: ClientOptions): Connector;
  /** For fetch: `fetch(url, { dispatcher: await dispatcher() })`. Its `close()` ends its connections. */
  dispatcher(options?: ClientOptions): Promise<FetchDispatcher>;
  /** A TLS connection to a server that was let in. @throws PeerRefused, and node's own errors */
  connect(to: tls.ConnectionOptions & { host: string; port: number }, options?: ClientOptions): Promise<TLSSocket>;
  /** The server at the other end of a connection that was let in. */
  peerOf(socket: TLSSocket): Peer | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;

export function createClientSide(peers: Peers, connections: Connections): ClientSide {
  const servers = new WeakMap<TLSSocket, Peer>();

  async function judge(socket: TLSSocket, host: string, options: ClientOptions): Promise<Decision> {
    const record = peers.recordOf(chainOf(socket), 'serverAuth');
    if ('allowed' in record) return record;
    const decision = await peers.decide(record);
    const unexpected = decision.allowed ? faultOf(record.leaf.der, decision.peer, host, options) : undefined;
    if (unexpected) return unexpected;
    if (decision.allowed) connections.add(socket, record, () => void socket.destroy(new PeerRefused(refuse('certificate-revoked', 'the server is good no more'))));
    return decision;
  }

  /** Nothing is sent before the server is let in. */
  function connect(to: tls.ConnectionOptions & { host: string; port: number }, options: ClientOptions = {}): Promise<TLSSocket> {
    const { identity, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    return new Promise((resolve, reject) => {
      const servername = to.servername ?? (net.isIP(to.host) === 0 ? to.host : '');
      const socket = tls.connect({ minVersion: 'TLSv1.2', ...to, servername, rejectUnauthorized: false, ...(identity && { cert: identity.certificate, key: identity.key }) });
      const late = setTimeout(() => socket.destroy(new Error(`no connection to ${to.host} within ${connectTimeoutMs} ms`)), connectTimeoutMs);
      const fail = (error: Error): void => {
        clearTimeout(late);
        reject(error);
      };
      socket.once('error', fail);
      socket.once('secureConnect', () => {
        judge(socket, to.host, options).then(
          (decision) => {
            clearTimeout(late);
            if (!decision.allowed) {
              // One that was closed meanwhile tells of no error any more.
              fail(new PeerRefused(decision));
              return void socket.destroy();
            }
            if (socket.destroyed) return fail(new Error('the connection was closed meanwhile'));
            socket.off('error', fail);
            servers.set(socket, decision.peer);
            resolve(socket);
          },
          (error: unknown) => socket.destroy(error instanceof Error ? error : new Error(String(error))),
        );
      });
    });
  }

  const connector = (options: ClientOptions = {}): Connector => ({ hostname, protocol, port, servername, localAddress, httpSocket }, callback) => {
    if (protocol !== 'https:') return callback(new Error(`${protocol}//${hostname} has no certificate to judge: use https`), null);
    const to = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port === '' ? 443 : port), ALPNProtocols: ['http/1.1'], ...(servername != null && servername !== '' && { servername }), ...(localAddress != null && { localAddress }) };
    connect({ ...to, ...(httpSocket !== undefined && httpSocket !== null && { socket: httpSocket as net.Socket }) }, options).then((socket) => callback(null, socket), (error: Error) => callback(error, null));
  };

  return {
    agent: (options = {}) => new JudgingAgent(options, (to) => connect(to, options)),
    connector,
    // Loaded when it is asked for: a server that calls nobody does without.
    dispatcher: async (options) => new (await import('undici')).Agent({ connect: connector(options) }) as unknown as FetchDispatcher,
    connect,
    peerOf: (socket) => servers.get(socket),
  };
}

type Connect = (to: tls.ConnectionOptions & { host: string; port: number }) => Promise<TLSSocket>;

/** An https.Agent whose connections are judged before a request has them. */
class JudgingAgent extends https.Agent {
  readonly #connect: Connect;
  constructor(options: https.AgentOptions, connect: Connect) {
    super({ keepAlive: options.keepAlive ?? true, ...(options.maxSockets !== undefined && { maxSockets: options.maxSockets }), ...(options.maxFreeSockets !== undefined && { maxFreeSockets: options.maxFreeSockets }), ...(options.timeout !== undefined && { timeout: options.timeout }) });
    this.#connect = connect;
  }
  override createConnection(options: https.RequestOptions, callback?: (error: Error | null, stream: Duplex) => void): Duplex | null | undefined {
    const host = options.host ?? options.hostname ?? 'localhost';
    const to = { host, port: Number(options.port ?? 443), ALPNProtocols: ['http/1.1'], ...(options.servername !== undefined && options.servername !== '' && { servername: options.servername }) };
    this.#connect(to).then((socket) => callback?.(null, socket), (error: Error) => callback?.(error, undefined as unknown as Duplex));
    return undefined;
  }
}

/** Whether the server is the one that was meant: by its SPIFFE ID, else by its host name (RFC 9525 §6, never by the common name). */
function faultOf(der: Buffer, peer: Peer, host: string, { spiffeId }: ClientOptions): Refused | undefined {
  const wanted = typeof spiffeId === 'function' ? spiffeId(host) : spiffeId;
  if (wanted !== undefined) {
    const isWanted = peer.spiffeId !== undefined && [wanted].flat().includes(peer.spiffeId);
    return isWanted ? undefined : refuse('identity-not-accepted', `the server is ${peer.spiffeId ?? 'without a SPIFFE ID'}, not ${[wanted].flat().join(' or ')}`, { peer });
  }
  const certificate = new X509Certificate(der);
  const fits = net.isIP(host) === 0 ? certificate.checkHost(host, { subject: 'never' }) : certificate.checkIP(host);
  return fits === undefined ? refuse('identity-not-accepted', `the certificate of the server is not for ${host}`, { peer }) : undefined;
}
