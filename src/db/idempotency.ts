import { buffer, bytes, type Tx } from './client.ts';

/** Whose key it is: keys of two callers or two routes never meet. */
export interface IdempotencyScope {
  caller: string;
  route: string;
  key: string;
}

export interface IdempotencyRecord {
  bodyHash: Buffer;
  status: number;
  answer: Buffer;
  /** The answer is sealed under the KEK. */
  sealed: boolean;
}

/** Takes the key until the end of the transaction. False when another request holds it: nothing is waited for. `lockId`: 64 bits of a hash of the scope. */
export async function tryLockIdempotencyKey(tx: Tx, lockId: bigint): Promise<boolean> {
  const [row] = await tx.$queryRaw<{ locked: boolean }[]>`SELECT pg_try_advisory_xact_lock(${lockId}) AS locked`;
  return row?.locked === true;
}

/** The unexpired record of a key. Call it after the lock, as a statement of its own: it then sees what the last holder committed. */
export async function findIdempotencyRecord(tx: Tx, scope: IdempotencyScope, now: Date): Promise<IdempotencyRecord | undefined> {
  const row = await tx.idempotencyRecord.findUnique({ where: { caller_route_key: { ...scope } } });
  if (!row?.answer || row.expiresAt <= now) return undefined;
  return { bodyHash: buffer(row.bodyHash), status: row.status, answer: buffer(row.answer), sealed: row.sealed };
}

/** Keeps the answer under its key, in place of an expired record of the same key. */
export async function storeIdempotencyRecord(tx: Tx, scope: IdempotencyScope, record: IdempotencyRecord, times: { createdAt: Date; expiresAt: Date }): Promise<void> {
  const data = { bodyHash: bytes(record.bodyHash), status: record.status, answer: bytes(record.answer), sealed: record.sealed, serial: null, ...times };
  await tx.idempotencyRecord.upsert({ where: { caller_route_key: { ...scope } }, create: { ...scope, ...data }, update: data });
}
