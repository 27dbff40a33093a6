import net from 'node:net';

/** Stands between a program and a server, and takes the server away. */
export interface TcpProxy {
  port: number;
  /** As when the server's machine died: open connections are reset, new ones refused. */
  cut(): Promise<void>;
  /** As when a cable was pulled: nothing passes any more, and nobody is told. */
  silence(): void;
  /** The server is back; what a silence held back passes now, late as it is. */
  restore(): Promise<void>;
  /** From now on new connections go to another server, as after a failover. */
  lead(to: { host: string; port: number }): void;
  close(): Promise<void>;
}

export async function startTcpProxy(to: { host: string; port: number }): Promise<TcpProxy> {
  let target = to;
  const pairs = new Set<readonly [net.Socket, net.Socket]>();
  let silent = false;

  const accept = (near: net.Socket): void => {
    const far = net.connect(target);
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on('data', (bytes) => other.write(bytes));
      one.on('error', () => undefined);
      one.on('close', () => {
        pairs.delete(pair);
        other.destroy();
      });
      if (silent) one.pause();
    }
  };
  const server = net.createServer(accept);
  const listen = (port: number) => new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const [near, far] of pairs) {
        near.resetAndDestroy();
        far.destroy();
      }
    });
  await listen(0);
  const { port } = server.address() as net.AddressInfo;

  return {
    port,
    cut: stop,
    silence() {
      silent = true;
      for (const pair of pairs) for (const socket of pair) socket.pause();
    },
    async restore() {
      silent = false;
      if (!server.listening) await listen(port);
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    lead: (other) => void (target = other),
    close: () => (server.listening ? stop() : Promise.resolve()),
  };
}

/** The same address of a server, reached through the proxy. */
export function through(proxy: TcpProxy, url: string): string {
  const changed = new URL(url);
  changed.host = `127.0.0.1:${proxy.port}`;
  return changed.href;
}
