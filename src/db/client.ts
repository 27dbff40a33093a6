import { PrismaPg } from '@prisma/adapter-pg';
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

export function connect(url: string, options: ConnectOptions): Db {
  return new PrismaClient({
    errorFormat: 'minimal',
    adapter: new PrismaPg({
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
    }),
  });
}

/** One READ COMMITTED transaction: later statements see what others committed meanwhile (DESIGN §2, kill and suspend). */
export function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.$transaction(work, { isolationLevel: 'ReadCommitted', maxWait: 5_000, timeout: 30_000 });
}

/** Bytes as node's Buffer: Prisma returns plain Uint8Array. Shares memory. */
export const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
/** Bytes as Prisma wants them (backed by an ArrayBuffer of their own). Copies. */
export const bytes = (value: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(value);
