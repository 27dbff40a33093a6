/**
 * The independent prober: a process of its own that knows nothing of feeds or acknowledgements. It asks every enforcement point again and again, as a caller
 * with a certificate would, and notes when each first refuses. Times are milliseconds of the machine's monotonic clock, which all processes share.
 */
import net from 'node:net';

/** Asked over IPC. */
export interface Probe {
  /** Port of the enforcement points; connection i asks point i. */
  port: number;
  points: number;
  /** Who asks. */
  serial: string;
  /** Milliseconds between two questions to one point. */
  everyMs: number;
  giveUpMs: number;
}

/** Told over IPC: every point was asked, and lets it pass. */
export interface Watching {
  kind: 'watching';
}
/** Told over IPC: first refusal by point, and what it said; null where it still lets it pass. */
export interface Refused {
  kind: 'refused';
  at: (number | null)[];
  why: (string | null)[];
}

export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** One connection to a point: a line with the serial out, a line with the verdict in. */
async function openPoint(port: number, index: number): Promise<{ ask(serial: string): Promise<string>; close(): void }> {
  const socket = net.connect({ host: '127.0.0.1', port });
  socket.setNoDelay(true).setEncoding('utf8');
  await new Promise<void>((resolve, reject) => socket.once('error', reject).once('connect', resolve));
  let waiting: ((line: string) => void) | undefined;
  let received = '';
  socket.on('data', (text: string) => {
    received += text;
    const end = received.indexOf('\n');
    if (end < 0) return;
    const line = received.slice(0, end);
    received = received.slice(end + 1);
    waiting?.(line);
  });
  return {
    ask: (serial) =>
      new Promise((resolve) => {
        waiting = resolve;
        socket.write(`${index} ${serial}\n`);
      }),
    close: () => socket.destroy(),
  };
}

async function probe({ port, points, serial, everyMs, giveUpMs }: Probe): Promise<void> {
  const at = new Array<number | null>(points).fill(null);
  const why = new Array<string | null>(points).fill(null);
  const connections = await Promise.all(Array.from({ length: points }, (_, index) => openPoint(port, index)));
  const first = await Promise.all(connections.map((connection) => connection.ask(serial)));
  if (first.some((verdict) => verdict !== 'pass')) throw new Error(`a point refuses ${serial} before anything has happened: ${first.find((verdict) => verdict !== 'pass')}`);
  tell({ kind: 'watching' });
  const giveUp = monotonicMs() + giveUpMs;
  await Promise.all(
    connections.map(async (connection, index) => {
      // Spread over the interval: the points are not asked in one burst.
      await new Promise((resolve) => setTimeout(resolve, (index * everyMs) / points));
      for (let due = monotonicMs(); at[index] === null && due < giveUp; ) {
        const verdict = await connection.ask(serial);
        if (verdict !== 'pass') {
          at[index] = monotonicMs();
          why[index] = verdict;
        }
        due = Math.max(due + everyMs, monotonicMs());
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - monotonicMs())));
      }
      connection.close();
    }),
  );
  tell({ kind: 'refused', at, why });
}

const tell = (news: Watching | Refused) => void process.send?.(news);

// A program when it is started as one; its types are the scenario's, too.
if (process.argv[1] === import.meta.filename) process.on('message', (asked) => void probe(asked as Probe));
