import net from 'node:net';
import type { Config, ListenAddress } from '../config/schema.ts';
import { StartupError } from '../core/errors.ts';

/**
 * Listens for a moment where the doors will be: an address that is taken, or not of this machine, is known before a first start makes a database and a root.
 * The doors themselves say the same when somebody comes between. @throws StartupError (69) naming each
 */
export async function assertDoorsFree(config: Pick<Config, 'apiListen' | 'mtlsListen' | 'statusListen' | 'operationsListen'>): Promise<void> {
  const doors = { api: config.apiListen, mtls: config.mtlsListen, status: config.statusListen, operations: config.operationsListen };
  const faults = await Promise.all(
    Object.entries(doors).map(async ([door, { host, port }]) => {
      const fault = port === 0 ? undefined : await faultOf({ host, port });
      return fault === undefined ? [] : [`the ${door} door cannot listen on ${host}:${port}: ${fault} (another address: SIGNET_${door.toUpperCase()}_LISTEN)`];
    }),
  );
  if (faults.flat().length > 0) throw new StartupError(faults.flat().join('\n'), 69);
}

function faultOf({ host, port }: ListenAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error) => resolve(error.message));
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
}
