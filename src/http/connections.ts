import { readFileSync } from 'node:fs';
import type { RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { addressMatcher, plainAddress } from '../core/addresses.ts';
import type { Config } from '../config/schema.ts';
import type { Context } from '../context.ts';
import { sourceKey } from '../limits/source-key.ts';
import type { Door } from './route.ts';

/** Files that are not connections of clients: listeners, log, libraries, the embedded database's pipes. */
const RESERVED_FILES = 256;

/** Closes connections that are too many: of one source address, of one that makes them too fast, and of all together; and those that ask too much at once. */
export interface ConnectionGuard {
  /** `listener` gets the requests that may be under way. */
  watch(door: Door, server: Server, listener: RequestListener): void;
  /** Closes every connection of a door, those in the middle of a handshake as well: Node's closeAllConnections knows only those that speak HTTP. */
  closeAll(door: Door): void;
}

/** `most`: connections of all doors but operations, where whoever watches over the service must get in while the others are full. */
export function createConnectionGuard(ctx: Pick<Context, 'config' | 'limits' | 'metrics' | 'siblings'>, most: number): ConnectionGuard {
  // 0 stays 0: no limit.
  const maxPerSource = Math.ceil(ctx.config.maxConnectionsPerSource / ctx.siblings.workers);
  const isProxy = addressMatcher(ctx.config.trustedProxies);
  const open = new Map<string, number>();
  const sockets: Record<Door, Set<Socket>> = { api: new Set(), mtls: new Set(), status: new Set(), operations: new Set() };
  let total = 0;

  function refusal(door: Door, address: string, key: string): string | undefined {
    if (total >= most) return 'total';
    // It speaks for many.
    if (isProxy(address)) return undefined;
    if (maxPerSource > 0 && (open.get(key) ?? 0) >= maxPerSource) return 'source';
    // A handshake is the work of its own; requests in clear are limited by themselves.
    if (door !== 'status' && !ctx.limits.connection(address)) return 'rate';
    return undefined;
  }

  function accept(door: Door, socket: Socket): void {
    const address = plainAddress(socket.remoteAddress ?? '');
    const key = sourceKey(address);
    const reason = refusal(door, address, key);
    if (reason !== undefined) {
      ctx.metrics.connectionsRefused.inc({ door, reason });
      socket.destroy();
      return;
    }
    total++;
    open.set(key, (open.get(key) ?? 0) + 1);
    socket.once('close', () => {
      total--;
      const left = (open.get(key) ?? 1) - 1;
      if (left === 0) open.delete(key);
      else open.set(key, left);
    });
  }

  /** Node starts on all requests that it has read, however long their answers wait for each other. */
  function bounded(door: Door, listener: RequestListener): RequestListener {
    return (req, res) => {
      const socket: CountedSocket = req.socket;
      if (socket.destroyed) return;
      const others = socket[UNDER_WAY] ?? 0;
      if (others >= ctx.config.maxPipelined) {
        ctx.metrics.connectionsRefused.inc({ door, reason: 'pipelining' });
        socket.destroy();
        return;
      }
      socket[UNDER_WAY] = others + 1;
      res.on('close', answered);
      listener(req, res);
    };
  }

  return {
    watch(door, server, listener) {
      const handle = bounded(door, listener);
      server.on('request', handle).on('checkContinue', handle).on('timeout', cutOff);
      server.on('drop', () => ctx.metrics.connectionsRefused.inc({ door, reason: 'door' }));
      server.on('connection', (socket) => {
        sockets[door].add(socket);
        socket.once('close', () => sockets[door].delete(socket));
        if (door !== 'operations') accept(door, socket);
      });
    },
    closeAll: (door) => sockets[door].forEach((socket) => socket.destroy()),
  };
}

/** How many requests of a connection are under way: on the socket itself, with one listener for all answers, which is half a microsecond less a request than a map and a closure. */
const UNDER_WAY = Symbol('requests under way');
type CountedSocket = Socket & { [UNDER_WAY]?: number };

function answered(this: ServerResponse): void {
  const socket: CountedSocket = this.req.socket;
  socket[UNDER_WAY] = (socket[UNDER_WAY] ?? 1) - 1;
}

/** Without a reset the system would go on offering what was not read, and keep it as long. */
function cutOff(socket: Socket): void {
  if (socket.writableLength > 0 && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
  else socket.destroy();
}

/** Connections that the open files of this process allow for; Infinity where the system does not say. Node has raised the soft limit to the hard one. */
export function connectionsAllowed({ databaseConnections }: Pick<Config, 'databaseConnections'>): number {
  return Math.max(RESERVED_FILES, openFilesLimit() - databaseConnections - RESERVED_FILES);
}

function openFilesLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}
