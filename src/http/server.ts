import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SecureContextOptions } from 'node:tls';
import { StartupError } from '../core/errors.ts';
import type { Config, ListenAddress } from '../config/schema.ts';
import type { Context } from '../context.ts';
import { createAccessLog } from './access-log.ts';
import { createAuthenticator } from './authenticate.ts';
import { measureConnections } from './connection-metrics.ts';
import { connectionsAllowed, createConnectionGuard } from './connections.ts';
import { createDenials, toAuditLog } from './denials.ts';
import { createDocuments } from './documents.ts';
import { createOcspDoor } from './ocsp-door.ts';
import { readinessHere } from './readiness.ts';
import { answerSiblings } from './replica.ts';
import { createRouter } from './router.ts';
import { DOORS, type Door } from './route.ts';
import { ROUTES } from './routes.ts';
import { createServe } from './serve.ts';
import { tlsOptions, type TlsMaterial } from './tls.ts';

/** The open listeners. */
export interface Doors {
  /** Where each door really listens (a port 0 of the configuration is a free port here). */
  readonly addresses: Readonly<Record<Door, ListenAddress>>;
  /** Shows another certificate from the next handshake on; open connections stay. */
  updateTls(material: TlsMaterial): void;
  /** From now on /readyz says no, and answers close their connections. */
  startDraining(): void;
  /** After config `drainDelaySeconds` stops listening, lets requests under way finish within `drainSeconds`, then closes what is left. */
  close(): Promise<void>;
}

export interface DoorOptions {
  tls: TlsMaterial;
  /** Shown by /readyz. */
  warnings: readonly string[];
}

/** How often Node looks for requests that are over their time. */
const TIMEOUT_CHECK_MS = 1_000;
/** How often a draining door looks for connections that have become idle. */
const IDLE_CHECK_MS = 50;

/**
 * Opens the four doors of DESIGN §4.
 * @throws StartupError when an address cannot be listened on; then none is open
 */
export async function openDoors(ctx: Context, options: DoorOptions): Promise<Doors> {
  const state = { draining: false, warnings: options.warnings };
  const denials = createDenials(ctx, toAuditLog(ctx));
  const { config } = ctx;
  const parts = { authenticator: createAuthenticator(ctx), denials, process: state, access: createAccessLog(config), documents: createDocuments(config, ROUTES) };
  const serve = createServe(ctx, parts);
  const servers: Record<Door, http.Server> = {
    api: https.createServer({ ...httpOptions(config), ...tlsOptions(ctx, options.tls) }),
    // Any certificate gets through the handshake: what it is worth is judged by us, on every request.
    mtls: https.createServer({ ...httpOptions(config), ...tlsOptions(ctx, options.tls), requestCert: true, rejectUnauthorized: false }),
    status: http.createServer(httpOptions(config)),
    operations: http.createServer(httpOptions(config)),
  };
  const allowed = connectionsAllowed(config);
  // Open files are limited for each process.
  const share = Math.ceil(config.maxConnections / ctx.siblings.workers);
  if (allowed < share) ctx.log.info({ connections: allowed }, 'the limit of open files allows fewer connections than maxConnections: raise it (ulimit -n, LimitNOFILE=)');
  const guard = createConnectionGuard(ctx, allowed);
  for (const door of DOORS) {
    prepare(servers[door], config, share);
    const router = createRouter(door, ROUTES, serve);
    guard.watch(door, servers[door], door === 'status' ? createOcspDoor(ctx, parts, router) : router);
    measureConnections(ctx, servers[door], door);
  }
  answerSiblings(ctx, () => readinessHere(ctx, state));
  const addresses = await listenAll(servers, config);

  return {
    addresses,
    updateTls(material) {
      for (const door of ['api', 'mtls'] as const) showCertificate(servers[door] as https.Server, tlsOptions(ctx, material));
    },
    startDraining() {
      state.draining = true;
    },
    async close() {
      state.draining = true;
      if (config.drainDelaySeconds > 0) await sleep(config.drainDelaySeconds * 1000);
      // Streams have no end of their own: whoever reads them is sent to another replica before the doors wait for what is under way.
      ctx.liveFeed.drain();
      // The operations door goes last: until then it says what is going on.
      await Promise.all(DOORS.filter((door) => door !== 'operations').map((door) => drain(servers[door], config.drainSeconds, () => guard.closeAll(door))));
      await drain(servers.operations, config.drainSeconds, () => guard.closeAll('operations'));
      await denials.settled();
    },
  };
}

function httpOptions(config: Config): http.ServerOptions {
  return {
    headersTimeout: config.headersTimeoutMs,
    requestTimeout: config.requestTimeoutMs,
    keepAliveTimeout: config.keepAliveTimeoutMs,
    maxHeaderSize: config.maxHeaderBytes,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  };
}

function prepare(server: http.Server, config: Config, maxConnections: number): void {
  // Without `dropMaxConnection` (not in @types/node yet) a full worker gives a connection back to its supervisor, and full ones pass it round for ever.
  Object.assign(server, { maxConnections, dropMaxConnection: true });
  server.timeout = config.stallTimeoutMs;
  // Node would drop the fields beyond in silence: serve.ts counts them, and refuses.
  server.maxHeadersCount = 0;
  server.on('clientError', refuseUnparsed);
}

/** What never became a request: broken, too long or too slow. The answer is as small as the trust. */
function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket): void {
  const isHttp = error.code?.startsWith('HPE_') === true || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  // What broke as TLS, or never got through its handshake, hears no answer, and one would wait for ever to be sent.
  if (!isHttp || !socket.writable) return void socket.destroy();
  const [status, title] = UNPARSED[error.code ?? ''] ?? [400, 'Bad Request'];
  const body = JSON.stringify({ type: 'about:blank', title, status });
  socket.end(`HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
  // Time to read it, not to stay: no timeout of the server's looks at this connection any more.
  const last = setTimeout(() => socket.destroy(), REFUSED_LINGER_MS);
  socket.resume().once('close', () => clearTimeout(last));
}

const REFUSED_LINGER_MS = 2_000;

const UNPARSED: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Payload Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
};

async function listenAll(servers: Record<Door, http.Server>, config: Config): Promise<Record<Door, ListenAddress>> {
  const wanted: Record<Door, ListenAddress> = { api: config.apiListen, mtls: config.mtlsListen, status: config.statusListen, operations: config.operationsListen };
  const results = await Promise.allSettled(DOORS.map((door) => listen(servers[door], wanted[door], door)));
  const failed = results.filter((result) => result.status === 'rejected');
  if (failed.length > 0) {
    for (const door of DOORS) servers[door].close();
    throw new StartupError(failed.map((result) => (result.reason as Error).message).join('\n'), 69);
  }
  return Object.fromEntries(
    DOORS.map((door) => {
      const { address, port } = servers[door].address() as AddressInfo;
      return [door, { host: address, port }];
    }),
  ) as Record<Door, ListenAddress>;
}

function listen(server: http.Server, { host, port }: ListenAddress, door: Door): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(new Error(`the ${door} door cannot listen on ${host}:${port}: ${error.message} (another address: SIGNET_${door.toUpperCase()}_LISTEN)`));
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

/** The workers of a replica share the keys of session tickets (node:cluster gives them to each server): another certificate must not part them. */
function showCertificate(server: https.Server, options: SecureContextOptions): void {
  const ticketKeys = server.getTicketKeys();
  server.setSecureContext(options);
  server.setTicketKeys(ticketKeys);
}

/** `cutOff` closes what is left after `seconds`. */
function drain(server: http.Server, seconds: number, cutOff: () => void): Promise<void> {
  return new Promise((resolve) => {
    const last = setTimeout(cutOff, seconds * 1000);
    // An answer whose head was sent before the draining began leaves its connection open.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
    server.close(() => {
      clearTimeout(last);
      clearInterval(idle);
      resolve();
    });
    server.closeIdleConnections();
  });
}
