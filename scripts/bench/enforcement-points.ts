/**
 * Enforcement points, as many as are asked for, in a process of their own: each follows the feed of one replica by client/feed, acknowledges, and lets callers pass or not on its
 * own. What the prober asks: a line "<point> <serial>", answered by "pass" or why not.
 */
import net from 'node:net';
import { followFeed, type Feed } from '../../src/client/feed/follow-feed.ts';

/** Told over IPC. */
export interface PointsConfig {
  kind: 'follow';
  trustBundle: string;
  /** One for each point. The first is reached over a relay that can be silenced. */
  points: { url: string; token: string; name: string }[];
}
/** The relay of the first point passes nothing on any more, and tells nobody. */
export interface Cut {
  kind: 'cut';
}

/** Told by it. */
export interface Following {
  kind: 'following';
  /** Where the prober asks. */
  port: number;
}

const listen = (server: net.Server): Promise<number> => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port)));

/** Passes octets on to a port of this machine until it is cut: then all stays open, and nothing moves. */
async function startRelay(to: number): Promise<{ port: number; cut: () => void }> {
  const sockets = new Set<net.Socket>();
  let isCut = false;
  const port = await listen(net.createServer((near) => {
    const far = net.connect(to, '127.0.0.1');
    for (const [one, other] of [[near, far], [far, near]] as const) {
      sockets.add(one);
      one.on('data', (octets) => void (isCut || other.write(octets)));
      one.on('error', () => undefined).on('close', () => other.destroy());
    }
  }));
  return { port, cut: () => void (isCut = true) };
}

async function follow({ trustBundle, points }: PointsConfig): Promise<{ port: number; cut: () => void }> {
  const relay = await startRelay(Number(new URL(points[0]?.url ?? '').port));
  const feeds = await Promise.all(points.map(({ url, token, name }, i) => followFeed({ urls: [i === 0 ? `https://127.0.0.1:${relay.port}` : url], trustBundle, token, enforcementPoint: name, openWithinMs: 60_000 })));
  const closed = feeds.find((feed) => !feed.state().open);
  if (closed) throw new Error(`an enforcement point does not follow: ${JSON.stringify(closed.state())}`);
  const port = await listen(net.createServer((socket) => {
    socket.setNoDelay(true).setEncoding('utf8').on('error', () => undefined);
    socket.on('data', (lines: string) => {
      for (const line of lines.split('\n').slice(0, -1)) socket.write(`${verdict(feeds, line)}\n`);
    });
  }));
  return { port, cut: relay.cut };
}

function verdict(feeds: readonly Feed[], line: string): string {
  const [index = '', serial = ''] = line.split(' ');
  const judged = feeds[Number(index)]?.judge(serial);
  if (!judged) return 'no such point';
  return judged.allowed ? 'pass' : judged.detail;
}

// A program when it is started as one; its types are the scenario's, too.
if (process.argv[1] === import.meta.filename) {
  let cut: (() => void) | undefined;
  process.on('message', (asked: PointsConfig | Cut) => {
    if (asked.kind === 'cut') return cut?.();
    void follow(asked).then((following) => {
      cut = following.cut;
      process.send?.({ kind: 'following', port: following.port } satisfies Following);
    });
  });
}
