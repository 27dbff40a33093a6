import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
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
  const pool = pools.get(db);
  if (!pool) throw new Error('this client was not made by connect()');
  return (await pool.query<R>({ ...statement, values })).rows;
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
