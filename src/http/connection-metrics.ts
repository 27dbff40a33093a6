import type http from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Context } from '../context.ts';
import type { Door } from './route.ts';

/** Counts the connections of a door and, where it speaks TLS, its handshakes. */
export function measureConnections({ metrics }: Pick<Context, 'metrics'>, server: http.Server, door: Door): void {
  server.on('connection', (socket: Socket) => {
    metrics.connections.inc({ door });
    metrics.openConnections.inc({ door });
    socket.once('close', () => metrics.openConnections.dec({ door }));
  });
  server.on('secureConnection', (socket: TLSSocket) => metrics.tlsHandshakes.inc({ door, outcome: socket.isSessionReused() ? 'resumed' : 'full' }));
  server.on('tlsClientError', () => metrics.tlsHandshakes.inc({ door, outcome: 'failed' }));
}
