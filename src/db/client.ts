import type { Readable } from 'node:stream';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { PrismaClient, Prisma } from './generated/client.ts';

/** A pool of connections. Functions of this folder take `Db | Tx` first and return plain records. */
export type Db = PrismaClient;
/** An open transaction. A `Db` serves wherever one statement is enough. */
export type Tx = Prisma.TransactionClient;
export { Prisma };

export interface ConnectOptions {
  maxConnections: number;
  /** statement_timeout of every session, milliseconds. */
  statementTimeoutMs: number;
  applicationName: string;
}

/** How much longer than the server's own limit an answer is waited for. */
const CONNECTION_SLACK_MS = 2_000;

/** The pool behind each client: hot statements go to it directly, over the same connections. */
const pools = new WeakMap<Db, pg.Pool>();

export function connect(url: string, options: ConnectOptions): Db {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.maxConnections,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    application_name: options.applicationName,
    statement_timeout: options.statementTimeoutMs,
    // A connection that died without a word must not keep its caller waiting for ever.
    query_timeout: options.statementTimeoutMs + CONNECTION_SLACK_MS,
    keepAlive: true,
    idle_in_transaction_session_timeout: 15_000,
  });
  // An idle connection that breaks is replaced when it is needed; unheard, the event would end the process.
  pool.on('error', () => undefined);
  const db = new PrismaClient({ errorFormat: 'minimal', adapter: new PrismaPg(pool, { disposeExternalPool: true }) });
  pools.set(db, pool);
  return db;
}

/** Connections of a pool that serve, and that do not; and how many callers wait for one. */
export function poolState(db: Db): { inUse: number; idle: number; waiting: number } {
  const pool = pools.get(db);
  return { inUse: (pool?.totalCount ?? 0) - (pool?.idleCount ?? 0), idle: pool?.idleCount ?? 0, waiting: pool?.waitingCount ?? 0 };
}

/** A prepared statement of the hot path. `name` is unique in the program. */
export interface HotStatement {
  name: string;
  text: string;
}

/**
 * Runs a hot statement past Prisma, whose query compiler copies every parameter through WebAssembly: for a batch of certificates that costs as much as signing them
 * (ADR 0005). Errors are pg's own; `asServiceError` knows them.
 */
export async function runHot<R extends pg.QueryResultRow>(db: Db, statement: HotStatement, values: unknown[]): Promise<R[]> {
  return (await poolOf(db).query<R>({ ...statement, values })).rows;
}

function poolOf(db: Db): pg.Pool {
  const pool = pools.get(db);
  if (!pool) throw new Error('this client was not made by connect()');
  return pool;
}

/** An open transaction past Prisma: prepared statements. */
export interface Runner {
  run<R extends pg.QueryResultRow>(statement: HotStatement, values: unknown[]): Promise<R[]>;
}

/** An open transaction past Prisma. */
export interface HotTx extends Runner {
  /**
   * What a query finds in the binary format of COPY, as it comes; nothing else can be run until the last of it was taken. COPY has no parameters: whoever
   * writes `sql` quotes (`literal`).
   */
  copyOut(sql: string): AsyncIterable<Buffer>;
}

/** Runs one transaction past Prisma, as `inTransaction` else. For what is run every second, or moves a million rows. */
export async function inHotTransaction<T>(db: Db, work: (tx: HotTx) => Promise<T>): Promise<T> {
  const client = await poolOf(db).connect();
  // What breaks the connection fails the statement under way as well; unheard, the event would end the process.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work({
      run: async <R extends pg.QueryResultRow>(statement: HotStatement, values: unknown[]) => (await client.query<R>({ ...statement, values })).rows,
      copyOut: (sql) => copyRows(client, sql),
    });
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((later: unknown) => (broken = later as Error));
    throw error;
  } finally {
    client.removeListener('error', ignore);
    client.release(broken);
  }
}

/** An open transaction past Prisma whose statements do not wait for one another. */
export interface PipelinedTx extends Runner {
  /** A statement put together from parts, planned anew each time. */
  query<R extends pg.QueryResultRow>(sql: Prisma.Sql): Promise<R[]>;
  /** Leaves what was sent unawaited: the transaction ends after it, and with its error where it failed. */
  leave(...sent: Promise<unknown>[]): void;
}

/**
 * Runs one READ COMMITTED transaction past Prisma in as few round trips as `work` awaits answers, and one: what it sends without awaiting it travels together, BEGIN with the
 * first, COMMIT with the last. On busy cores every round trip waits for its turn twice. `work` that throws, or gives undefined, is rolled back. @throws what `work` and its statements throw
 */
export async function inPipelinedTransaction<T>(db: Db, work: (tx: PipelinedTx) => Promise<T>): Promise<T> {
  const client = await poolOf(db).connect();
  // Read by the driver at each statement; the others who use this connection wait for each answer.
  const pipelined = client as pg.PoolClient & { pipeline: boolean };
  const sent: Promise<unknown>[] = [];
  let failed = false;
  const leave = (...answers: Promise<unknown>[]): void => {
    // Looked at in the end; until then an error is nobody's yet.
    for (const answer of answers) answer.catch(() => (failed = true));
    sent.push(...answers);
  };
  let ended = false;
  const send = <R extends pg.QueryResultRow>(query: string | pg.QueryConfig): Promise<pg.QueryResult<R>> => {
    if (ended) throw new Error('a statement was sent after the end of its transaction');
    const answer = client.query<R>(query);
    leave(answer);
    return answer;
  };
  const ignore = (): void => undefined;
  client.on('error', ignore);
  let broken: Error | undefined;
  try {
    pipelined.pipeline = true;
    void send('BEGIN');
    const result = await work({
      run: async <R extends pg.QueryResultRow>(statement: HotStatement, values: unknown[]) => (await send<R>({ ...statement, values })).rows,
      query: async <R extends pg.QueryResultRow>({ text, values }: Prisma.Sql) => (await send<R>({ text, values })).rows,
      leave,
    });
    // The database rolls back for what fails there. What failed here, before it was sent, it knows nothing of, and would commit all the rest: by the end of this turn that is known.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    if (failed) await Promise.all(sent);
    const end = send(result === undefined ? 'ROLLBACK' : 'COMMIT');
    ended = true;
    await Promise.all(sent);
    // A transaction in which a statement failed is rolled back by it, without an error.
    if (result !== undefined && (await end).command !== 'COMMIT') throw new Error('a transaction was rolled back at its commit');
    return result;
  } catch (error) {
    // What `work` left running must not send into the transaction of whoever has this connection next.
    ended = true;
    await Promise.allSettled(sent);
    await client.query('ROLLBACK').catch((later: unknown) => (broken = later as Error));
    throw error;
  } finally {
    pipelined.pipeline = false;
    client.removeListener('error', ignore);
    client.release(broken);
  }
}

/** A string as SQL has it. */
export const literal = (value: string): string => pg.escapeLiteral(value);

/** One COPY may take longer than other statements: a million rows on a busy machine. Milliseconds. */
const COPY_MS = 60_000;

async function* copyRows(client: pg.PoolClient, sql: string): AsyncGenerator<Buffer, void, undefined> {
  await client.query(`SET LOCAL statement_timeout = ${COPY_MS}`);
  const copy = Object.assign(copyTo(`COPY (${sql}) TO STDOUT (FORMAT binary)`), { query_timeout: COPY_MS + CONNECTION_SLACK_MS });
  const rows = client.query(copy) as Readable & { callback?: () => void };
  let ended = false;
  try {
    for await (const chunk of rows) {
      yield chunk as Buffer;
      // The socket hands on up to 32 chunks before anything else gets a turn: too long where each takes its time.
      await new Promise((resolve) => setImmediate(resolve));
    }
    ended = true;
  } finally {
    // The driver's time limit for an answer waits for a callback that the stream does not make.
    rows.callback?.();
    // Left in the middle, the rest would be taken for the answer to the next statement.
    if (!ended) await client.end().catch(() => undefined);
  }
}

/** One READ COMMITTED transaction: later statements see what others committed meanwhile (DESIGN §2, kill and suspend). */
export function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>, timeoutMs = 30_000): Promise<T> {
  return db.$transaction(work, { isolationLevel: 'ReadCommitted', maxWait: 5_000, timeout: timeoutMs });
}

/** One transaction that sees one moment throughout, and changes nothing. */
export function inSnapshot<T>(db: Db, work: (tx: Tx) => Promise<T>, timeoutMs: number): Promise<T> {
  return db.$transaction(work, { isolationLevel: 'RepeatableRead', maxWait: 10_000, timeout: timeoutMs });
}

/** Bytes as node's Buffer: Prisma returns plain Uint8Array. Shares memory. */
export const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
/** Bytes as Prisma wants them (backed by an ArrayBuffer of their own). Copies. */
export const bytes = (value: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(value);
