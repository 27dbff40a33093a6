import { createHash } from 'node:crypto';
import { SignetError } from '../core/errors.ts';
import type { Context } from '../context.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { findIdempotencyRecord, storeIdempotencyRecord, tryLockIdempotencyKey, type IdempotencyScope } from '../db/idempotency.ts';
import type { Answer, ApiRequest } from './handler.ts';

type IdempotencyContext = Pick<Context, 'db' | 'config' | 'sealer'>;

/**
 * Runs a creating use case in one transaction with the record of its answer: the same key with the same request gives the same answer, without a
 * second creation, whatever was lost or killed in between. Errors are not kept: nothing was created, so the request may be repeated.
 * @throws SignetError `idempotency-in-progress`, `idempotency-key-reused`, and what `create` throws
 */
export function createOnce(ctx: IdempotencyContext, request: ApiRequest, route: string, create: (tx: Tx) => Promise<Answer>): Promise<Answer> {
  const { idempotencyKey: key, requestHash } = request;
  if (key === undefined || requestHash === undefined) return inTransaction(ctx.db, create);
  const scope: IdempotencyScope = { caller: `${request.caller.kind}:${request.caller.id}`, route, key };
  const identity = [scope.caller, scope.route, scope.key].join('\n');

  return inTransaction(ctx.db, async (tx) => {
    if (!(await tryLockIdempotencyKey(tx, lockId(identity)))) {
      throw new SignetError('idempotency-in-progress', 'the first request with this Idempotency-Key has not been answered yet', { retryAfterSeconds: 1 });
    }
    const record = await findIdempotencyRecord(tx, scope, request.now);
    if (record) {
      if (!record.bodyHash.equals(requestHash)) {
        throw new SignetError('idempotency-key-reused', 'this Idempotency-Key was used with another request; use a new key for a new request');
      }
      const answer = record.sealed ? ctx.sealer.open(sealContext(identity), record.answer) : record.answer;
      return decodeAnswer(record.status, answer);
    }
    const answer = await create(tx);
    const plain = encodeAnswer(answer);
    const sealed = answer.secret === true;
    const kept = { bodyHash: requestHash, status: answer.status, answer: sealed ? ctx.sealer.seal(sealContext(identity), plain) : plain, sealed };
    const ttlSeconds = sealed ? Math.min(ctx.config.idempotencySecretTtlSeconds, ctx.config.idempotencyTtlSeconds) : ctx.config.idempotencyTtlSeconds;
    await storeIdempotencyRecord(tx, scope, kept, { createdAt: request.now, expiresAt: new Date(request.now.getTime() + ttlSeconds * 1000) });
    return answer;
  });
}

/** The space of single 64-bit advisory locks is shared with constants of ours: a hash does not meet them. */
const lockId = (identity: string): bigint => createHash('sha256').update('idempotency\n').update(identity).digest().readBigInt64BE();

/** Authenticated with the seal: an answer cannot be moved under another key. */
const sealContext = (identity: string): string => `idempotency\n${identity}`;

const encodeAnswer = (answer: Answer): Buffer => Buffer.from(JSON.stringify({ json: answer.json, headers: answer.headers ?? {} }), 'utf8');

function decodeAnswer(status: number, encoded: Buffer): Answer {
  const { json, headers } = JSON.parse(encoded.toString('utf8')) as { json: unknown; headers: Record<string, string> };
  return { status, json, headers: { ...headers, 'idempotency-replayed': 'true' } };
}
