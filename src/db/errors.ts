import { SignetError } from '../core/errors.ts';

/** What the adapter says of a refused statement (@prisma/driver-adapter-utils, MappedError), found under every kind of Prisma error. */
interface DriverFault {
  /** SQLSTATE, when the server spoke at all. */
  originalCode?: string;
  kind?: string;
  constraint?: { index?: string };
  table?: string;
}

/** SQLSTATEs that say: rolled back, try again (serialization, deadlock, lock not available). */
const RETRYABLE = new Set(['40001', '40P01', '55P03']);
/** Disk full. */
const STORAGE_FULL = '53100';
/** Resources, shutdown and crash, I/O, read-only standby, time-outs, credentials or database not (yet) there. */
const UNAVAILABLE = /^(08|53|57P|58)|^(25006|57014|25P03|28000|28P01|3D000)$/;
/** Prisma: not reachable, timed out, closed, pool or transaction not to be had in time, too many connections. */
const UNAVAILABLE_PRISMA = new Set(['P1000', 'P1001', 'P1002', 'P1003', 'P1008', 'P1017', 'P2024', 'P2028', 'P2037']);
const UNAVAILABLE_KINDS = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'TooManyConnections', 'SocketTimeout', 'AuthenticationFailed', 'DatabaseDoesNotExist', 'DatabaseAccessDenied', 'TlsConnectionError']);
const UNAVAILABLE_SYSTEM = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
/** The driver's own, which carry no code. */
const UNAVAILABLE_MESSAGE = /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client was closed)/;

/**
 * A fault of the database as callers are told it: `database-unavailable` (away, overloaded, read-only, too slow; also a lost deadlock) or `storage-full`.
 * Undefined when it is neither: a broken constraint, a wrong statement, or no fault of the database at all.
 * Whether the transaction was committed is NOT known, unless `isRetryable`.
 */
export function asServiceError(error: unknown): SignetError | undefined {
  const fault = driverFault(error);
  const state = sqlState(error, fault);
  if (isRetryable(error)) return new SignetError('database-unavailable', 'the database could not serialize this request with others', { retryAfterSeconds: 1, cause: error });
  if (state === STORAGE_FULL) return new SignetError('storage-full', 'the database has no space left', { retryAfterSeconds: 60, cause: error });
  if (!isAway(error, fault, state)) return undefined;
  return new SignetError('database-unavailable', 'the database does not answer', { retryAfterSeconds: 2, cause: error });
}

/** Whether the database says that it rolled back and a second try may succeed. */
export function isRetryable(error: unknown): boolean {
  const fault = driverFault(error);
  return fault?.kind === 'TransactionWriteConflict' || code(error) === 'P2034' || RETRYABLE.has(sqlState(error, fault) ?? '');
}

/** Whether a unique constraint was broken; `name` (optional): this one, by the name of the constraint (of its index) or of its table. */
export function isUniqueViolation(error: unknown, name?: string): boolean {
  const fault = driverFault(error);
  if (sqlState(error, fault) !== '23505' && fault?.kind !== 'UniqueConstraintViolation') return false;
  const { constraint, table } = error as { constraint?: string; table?: string };
  return name === undefined || [fault?.constraint?.index, fault?.table, constraint, table].includes(name);
}

function isAway(error: unknown, fault: DriverFault | undefined, state: string | undefined): boolean {
  return (
    (state !== undefined && UNAVAILABLE.test(state)) ||
    UNAVAILABLE_KINDS.has(fault?.kind ?? '') ||
    UNAVAILABLE_PRISMA.has(code(error) ?? '') ||
    UNAVAILABLE_SYSTEM.has(code(error) ?? '') ||
    (error instanceof Error && UNAVAILABLE_MESSAGE.test(error.message))
  );
}

function code(error: unknown): string | undefined {
  const value = (error as { code?: unknown } | null | undefined)?.code;
  return typeof value === 'string' ? value : undefined;
}

/** Under Prisma's known errors, or the adapter's error itself. */
function driverFault(error: unknown): DriverFault | undefined {
  const { meta, cause, name } = (error ?? {}) as { meta?: { driverAdapterError?: { cause?: DriverFault } }; cause?: DriverFault; name?: string };
  return meta?.driverAdapterError?.cause ?? (name === 'DriverAdapterError' ? cause : undefined);
}

/** SQLSTATE of a Prisma error, or of pg's own (whose `code` it is). */
function sqlState(error: unknown, fault: DriverFault | undefined): string | undefined {
  if (fault !== undefined) return fault.originalCode;
  const value = code(error);
  return (error as { severity?: unknown } | null | undefined)?.severity !== undefined && value !== undefined && /^[0-9A-Z]{5}$/.test(value) ? value : undefined;
}
