import type { Problem } from '../api/values.ts';
import { ERROR_TABLE } from '../api/error-codes.ts';
import { SignetError } from '../core/errors.ts';
import { asServiceError } from '../db/errors.ts';
import type { Answer } from './handler.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Any error as one of ours: faults of the database have codes of their own, everything else is `internal`. */
export function asSignetError(error: unknown): SignetError {
  if (error instanceof SignetError) return error;
  return asServiceError(error) ?? new SignetError('internal', '', { cause: error });
}

/** The answer to an error (RFC 9457). `internal` says nothing but the request id (DESIGN invariant 11). */
export function problemAnswer(error: SignetError, requestId: string, apiUrl: string): Answer {
  const { status, title, next } = ERROR_TABLE[error.code];
  const problem: Problem = {
    type: `${apiUrl}/errors#${error.code}`,
    title,
    status,
    ...(error.code === 'internal' || error.message === '' ? {} : { detail: error.message }),
    code: error.code,
    requestId,
    next,
    ...(error.fields === undefined ? {} : { fields: error.fields }),
    ...(error.granted === undefined ? {} : { granted: error.granted }),
  };
  const headers: Record<string, string> = {};
  if (error.retryAfterSeconds !== undefined) headers['retry-after'] = String(error.retryAfterSeconds);
  else if (status === 503 || status === 429) headers['retry-after'] = '1';
  if (status === 401 && !error.code.startsWith('client-certificate')) headers['www-authenticate'] = 'Bearer realm="signet"';
  return { status, json: problem, contentType: PROBLEM_TYPE, headers };
}
