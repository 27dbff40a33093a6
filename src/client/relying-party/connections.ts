import type { Decision } from './decision.ts';
import type { PeerRecord, Peers } from './peers.ts';

/** What can be closed: a TLS socket, an HTTP/2 session. */
export interface Closable {
  destroy(error?: Error): unknown;
  once(event: 'close', listener: () => void): unknown;
  readonly destroyed: boolean;
}

/** Open connections to peers: closed as soon as a peer is good no more. */
export interface Connections {
  add(connection: Closable, record: PeerRecord, onRefused?: () => void): void;
  /** Judges those again whose certificate has this serial; without one, all of them. */
  judge(serial?: string): void;
  readonly size: number;
  close(): void;
}

interface Open {
  record: PeerRecord;
  end: () => void;
}

export function createConnections(peers: Peers, sweepMs: number): Connections {
  const open = new Map<Closable, Open>();
  const bySerial = new Map<string, Set<Closable>>();

  function forget(connection: Closable): void {
    const serial = open.get(connection)?.record.serial;
    open.delete(connection);
    if (serial === undefined) return;
    const same = bySerial.get(serial);
    same?.delete(connection);
    if (same?.size === 0) bySerial.delete(serial);
  }

  function act(connection: Closable, decision: Decision): void {
    if (decision.allowed) return;
    open.get(connection)?.end();
    forget(connection);
  }

  function judgeOne(connection: Closable): void {
    const record = open.get(connection)?.record;
    if (!record) return;
    const now = peers.decideNow(record);
    if (now) return act(connection, now);
    peers.decide(record).then((decision) => act(connection, decision), () => connection.destroy());
  }

  let isDue = false;
  /** Everybody, once for all that is asked in one turn of the event loop. */
  function judgeAll(): void {
    if (isDue) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      for (const connection of [...open.keys()]) judgeOne(connection);
    });
  }
  const timer = setInterval(judgeAll, sweepMs);
  timer.unref();

  return {
    add(connection, record, onRefused) {
      if (open.has(connection) || connection.destroyed) return;
      open.set(connection, { record, end: onRefused ?? (() => void connection.destroy()) });
      const same = bySerial.get(record.serial) ?? new Set();
      bySerial.set(record.serial, same.add(connection));
      connection.once('close', () => forget(connection));
    },
    judge(serial) {
      if (serial === undefined) return judgeAll();
      for (const connection of [...(bySerial.get(serial) ?? [])]) judgeOne(connection);
    },
    get size() {
      return open.size;
    },
    close: () => clearInterval(timer),
  };
}
