/** The two ways to ask: as fast as answers come (closed), and at a constant rate whatever the answers do (open). */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Connection, type Door, type Reply } from './connection.ts';

/** What came of a run. */
export interface Answers {
  /** In the order of the requests. */
  replies: Reply[];
  latenciesMs: number[];
  seconds: number;
  /** Requests answered over each connection, by our port of it. */
  byPort: Map<number, number>;
}

/** Connections of the load, opened before the clock starts and used by all runs of a scenario. */
export interface Pool {
  connections: readonly Connection[];
  close(): void;
}

export async function openPool(door: Door, size: number): Promise<Pool> {
  const connections = await Promise.all(Array.from({ length: size }, () => connect(door)));
  return { connections, close: () => connections.forEach((connection) => connection.close()) };
}

function collect(count: number) {
  const answers: Answers = { replies: new Array<Reply>(count), latenciesMs: new Array<number>(count), seconds: 0, byPort: new Map() };
  return {
    answers,
    note: (index: number, reply: Reply, sinceMs: number, port: number): void => {
      answers.replies[index] = reply;
      answers.latenciesMs[index] = performance.now() - sinceMs;
      answers.byPort.set(port, (answers.byPort.get(port) ?? 0) + 1);
    },
  };
}

/**
 * Each connection asks its next question when it has its answer. Question i goes over connection i modulo their number, so that a repeated run asks
 * the same worker the same things.
 */
export async function closedLoop(pool: Pool, requests: readonly Buffer[]): Promise<Answers> {
  const { answers, note } = collect(requests.length);
  const started = performance.now();
  await Promise.all(
    pool.connections.map(async (connection, first) => {
      for (let i = first; i < requests.length; i += pool.connections.length) {
        const asked = performance.now();
        note(i, await connection.ask(requests[i] as Buffer), asked, connection.localPort);
      }
    }),
  );
  answers.seconds = (performance.now() - started) / 1000;
  return answers;
}

/** One request on a new connection each, `concurrency` at a time; `doors[i]` is where the i-th goes, with its client certificate. */
export async function newConnections(doors: readonly Door[], requests: readonly Buffer[], concurrency: number): Promise<Answers> {
  const { answers, note } = collect(requests.length);
  const started = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (let i = next++; i < requests.length; i = next++) {
        const asked = performance.now();
        const connection = await connect(doors[i] as Door);
        note(i, await connection.ask(requests[i] as Buffer), asked, connection.localPort);
        connection.close();
      }
    }),
  );
  answers.seconds = (performance.now() - started) / 1000;
  return answers;
}

const TICK_MS = 1;

/** Constant arrival: the i-th request is due at i / `perSecond`, and its latency counts from then, also while it waits for a free connection. */
export async function openLoop(pool: Pool, requests: readonly Buffer[], perSecond: number): Promise<Answers> {
  const { answers, note } = collect(requests.length);
  const free = [...pool.connections];
  const due: number[] = [];
  const under = new Set<Promise<void>>();
  const started = performance.now();
  const dueMs = (index: number) => started + (index * 1000) / perSecond;
  let fault: unknown;

  const send = (connection: Connection, index: number) => {
    const asked = connection.ask(requests[index] as Buffer).then((reply) => {
      note(index, reply, dueMs(index), connection.localPort);
      const waiting = due.shift();
      if (waiting === undefined) free.push(connection);
      else send(connection, waiting);
    });
    const settled = asked.catch((error: unknown) => (fault ??= error)).then(() => void under.delete(settled));
    under.add(settled);
  };
  for (let i = 0; i < requests.length && fault === undefined; ) {
    for (const now = performance.now(); i < requests.length && dueMs(i) <= now; i++) {
      const connection = free.pop();
      if (connection) send(connection, i);
      else due.push(i);
    }
    await sleep(TICK_MS);
  }
  while (under.size > 0) await Promise.all(under);
  if (fault !== undefined) throw fault as Error;
  answers.seconds = (performance.now() - started) / 1000;
  return answers;
}
