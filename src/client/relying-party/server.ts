import http from 'node:http';
import type http2 from 'node:http2';
import type { Duplex } from 'node:stream';
import tls, { TLSSocket } from 'node:tls';
import type { Connections, Closable } from './connections.ts';
import { problemOf, refuse, type Allowed, type Decision, type Peer, type Refused } from './decision.ts';
import type { PeerRecord, Peers } from './peers.ts';

/** A request as the SDK sees it: of http, https, http2 or Express. */
export type AnyRequest = http.IncomingMessage | http2.Http2ServerRequest;
export type AnyResponse = http.ServerResponse | http2.Http2ServerResponse;

/** What a TLS server needs: the certificate of the caller is asked for, and judged here, never by Node's `authorizationError`. */
export const TLS_OPTIONS = { requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' } as const satisfies tls.TlsOptions;

/** Judges callers of servers. */
export interface ServerSide {
  /** Guards a server: every request, upgrade, stream and raw connection, before any handler sees it. */
  attach(server: tls.Server): void;
  /** Middleware for Express, Connect and what is like them. */
  express(): (request: http.IncomingMessage, response: http.ServerResponse, next: (error?: unknown) => void) => void;
  /** Judges the caller of a request, or of a connection, now. */
  judge(caller: AnyRequest | TLSSocket): Promise<Decision>;
  /** The caller of a request or connection that was let in; undefined of any other. */
  peerOf(caller: AnyRequest | TLSSocket): Peer | undefined;
}

const PROBLEM = 'application/problem+json';
const SECURE = 'secureConnection';
/** Events of HTTP servers that hand something from a caller to a handler. */
const REQUESTS: readonly (string | symbol)[] = ['request', 'checkContinue', 'checkExpectation'];
const UPGRADES: readonly (string | symbol)[] = ['upgrade', 'connect'];

/** A certificate belongs to its connection (renegotiation is off): it is read once for all requests on it, and judged on each. */
function readConnections(peers: Peers, connections: Connections) {
  const shown = new WeakMap<object, PeerRecord | Refused>();
  function recordOf(connection: Closable, socket: TLSSocket): PeerRecord | Refused {
    const known = shown.get(connection);
    if (known) return known;
    const record = peers.recordOf(chainOf(socket), 'clientAuth');
    shown.set(connection, record);
    if (!('allowed' in record)) connections.add(connection, record);
    return record;
  }
  function judgeConnection(connection: Closable, socket: TLSSocket): Promise<Decision> {
    const record = recordOf(connection, socket);
    return 'allowed' in record ? Promise.resolve(record) : peers.decide(record);
  }
  return { recordOf, judgeConnection };
}

export function createServerSide(peers: Peers, connections: Connections): ServerSide {
  const { recordOf, judgeConnection } = readConnections(peers, connections);
  const decisions = new WeakMap<object, Allowed>();

  async function judge(caller: AnyRequest | TLSSocket): Promise<Decision> {
    const known = decisions.get(caller);
    if (known) return known;
    const { connection, socket } = connectionOf(caller);
    if (!(typeof socket.getPeerX509Certificate === 'function')) return refuse('certificate-required', 'the connection is not TLS');
    const decision = await judgeConnection(connection, socket);
    if (decision.allowed && !(caller instanceof TLSSocket)) decisions.set(caller, decision);
    return decision;
  }

  /** Lets `go` happen once the caller is let in. */
  function guard(caller: AnyRequest, go: () => void, stop: (refused: Refused) => void): void {
    judge(caller).then((decision) => (decision.allowed ? go() : stop(decision)), () => stop(refuse('status-unknown', 'the caller could not be judged')));
  }

  function guardStream(stream: http2.ServerHttp2Stream, go: () => void): void {
    const { session } = stream;
    const judged = session ? judgeConnection(session, session.socket as TLSSocket) : Promise.resolve(refuse('certificate-required', 'the session has ended'));
    // Until a handler has it nobody else hears of a stream that breaks.
    const ignore = (): void => undefined;
    stream.on('error', ignore);
    void judged
      .catch(() => refuse('status-unknown', 'the caller could not be judged'))
      .then((decision) => {
        if (stream.destroyed) return;
        if (decision.allowed) {
          if (session) decisions.set(stream, decision);
          stream.off('error', ignore);
          return go();
        }
        stream.respond({ ':status': decision.status, 'content-type': PROBLEM, 'cache-control': 'no-store' });
        stream.end(problemOf(decision), () => session?.close());
      });
  }

  /** A raw connection reaches nobody before it is let in: what comes meanwhile waits in the socket. */
  function guardConnection(socket: TLSSocket, go: () => void): void {
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    void judgeConnection(socket, socket)
      .catch(() => refuse('status-unknown', 'the caller could not be judged'))
      .then((decision) => {
        if (socket.destroyed) return;
        if (!decision.allowed) return socket.destroy();
        decisions.set(socket, decision);
        go();
        socket.off('error', ignore);
      });
  }

  /** What happens with an event instead of telling its listeners at once; undefined: nothing. */
  function intercept(server: tls.Server, event: string | symbol, [first, second]: unknown[], go: () => void): (() => void) | undefined {
    const isHttp = 'setTimeout' in server;
    if (event === SECURE && !isHttp) return () => guardConnection(first as TLSSocket, go);
    if (event === SECURE) {
      // Known from the start, so that it is closed though it never asks anything.
      const socket = first as TLSSocket;
      if (socket.alpnProtocol !== 'h2') recordOf(socket, socket);
      return undefined;
    }
    if (event === 'stream') return () => guardStream(first as http2.ServerHttp2Stream, go);
    const request = first as AnyRequest;
    // Those of HTTP/2 came as a stream before.
    if (REQUESTS.includes(event) && request.httpVersionMajor < 2) return () => guard(request, go, (refused) => refuseRequest(request, second as AnyResponse, refused));
    if (UPGRADES.includes(event) && request.httpVersionMajor < 2) {
      const socket = second as Duplex;
      socket.on('error', () => undefined);
      return () => guard(request, go, (refused) => refuseUpgrade(socket, refused));
    }
    return undefined;
  }

  return {
    attach(server) {
      // Listeners that were there before, and those that come later, are told by `emit`: the one place that no handler gets around.
      const emit = server.emit.bind(server) as (event: string | symbol, ...args: unknown[]) => boolean;
      server.emit = (event: string | symbol, ...args: unknown[]): boolean => {
        const instead = intercept(server, event, args, () => void emit(event, ...args));
        if (!instead) return emit(event, ...args);
        instead();
        return true;
      };
      server.on('session', (session: http2.ServerHttp2Session) => void recordOf(session, session.socket as TLSSocket));
    },
    express: () => (request, response, next) =>
      guard(request, () => {
        (request as { peer?: Peer | undefined }).peer = decisions.get(request)?.peer;
        next();
      }, (refused) => refuseRequest(request, response, refused)),
    judge,
    peerOf: (caller) => (decisions.get(caller) ?? ('stream' in caller ? decisions.get(caller.stream) : undefined))?.peer,
  };
}

/** What is closed when the peer is good no more, and the TLS socket below it. */
function connectionOf(caller: AnyRequest | TLSSocket): { connection: Closable; socket: TLSSocket } {
  if (caller instanceof TLSSocket) return { connection: caller, socket: caller };
  const session = 'stream' in caller ? caller.stream.session : undefined;
  const socket = (session?.socket ?? caller.socket) as TLSSocket;
  return { connection: session ?? socket, socket };
}

/** Longest chain that is read from a handshake. */
const MAX_CHAIN = 10;

/** The certificates of the other end, DER, as they were sent: leaf first. */
export function chainOf(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  for (let one = socket.getPeerX509Certificate(); one && chain.length < MAX_CHAIN; one = one.issuerCertificate) {
    if (chain.some((known) => known.equals(one?.raw ?? Buffer.alloc(0)))) break;
    chain.push(one.raw);
  }
  return chain;
}

function refuseRequest(request: AnyRequest, response: AnyResponse, refused: Refused): void {
  if (response.headersSent || response.destroyed) return void request.socket.destroy();
  const body = problemOf(refused);
  const ends = request.httpVersionMajor < 2 ? { connection: 'close' } : {};
  (response as http.ServerResponse).writeHead(refused.status, { 'content-type': PROBLEM, 'content-length': body.length, 'cache-control': 'no-store', ...ends });
  (response as http.ServerResponse).end(body);
}

function refuseUpgrade(socket: Duplex, refused: Refused): void {
  const body = problemOf(refused);
  const head = `HTTP/1.1 ${refused.status} ${http.STATUS_CODES[refused.status] ?? ''}\r\ncontent-type: ${PROBLEM}\r\ncontent-length: ${body.length}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n`;
  socket.end(Buffer.concat([Buffer.from(head, 'latin1'), body]));
}
