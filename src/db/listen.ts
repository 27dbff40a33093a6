import pg from 'pg';
import type { Logger } from '../core/log.ts';

export interface Listener {
  close(): Promise<void>;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/**
 * Calls `onNotify` for every NOTIFY on `channel`, with its payload, and once with '' after each (re)connect: what was sent before that may have been missed.
 * A lost connection is made again with growing waits. `url` must be a direct connection: a pooler in transaction mode forgets LISTEN.
 * A notification is a hint and may be lost; poll as the safety net.
 */
export function createListener(url: string, channel: string, onNotify: (payload: string) => void, log: Pick<Logger, 'warn' | 'info'>): Listener {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let waitMs = FIRST_WAIT_MS;
  let lost = false;
  let closed = false;
  let connecting = Promise.resolve();

  const retry = (ended: pg.Client, error: Error | undefined): void => {
    if (closed || client !== ended) return;
    client = undefined;
    void ended.end().catch(() => undefined);
    if (!lost) log.warn({ err: error, channel }, 'lost the connection that listens to the database');
    lost = true;
    timer = setTimeout(() => void (connecting = connect()), waitMs);
    waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
  };

  async function connect(): Promise<void> {
    const fresh = new pg.Client({ connectionString: url, application_name: 'signet-listen', keepAlive: true, connectionTimeoutMillis: 5_000 });
    client = fresh;
    fresh.on('error', (error) => retry(fresh, error));
    fresh.on('end', () => retry(fresh, undefined));
    fresh.on('notification', ({ payload }) => onNotify(payload ?? ''));
    try {
      await fresh.connect();
      await fresh.query(`LISTEN ${fresh.escapeIdentifier(channel)}`);
      waitMs = FIRST_WAIT_MS;
      if (lost) log.info({ channel }, 'listening to the database again');
      lost = false;
      onNotify('');
    } catch (error) {
      retry(fresh, error as Error);
    }
  }

  connecting = connect();
  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      await connecting;
      await client?.end().catch(() => undefined);
    },
  };
}
