import { hash } from 'node:crypto';
import type { z } from 'zod';
import { SignetError, type FieldFault } from '../core/errors.ts';

/** Faults shown of one request at most. */
const FAULTS_MAX = 20;

/**
 * A part of a request as its schema has it. `prefix` is put before the pointer of each fault: empty for the body, `/query` or `/path`.
 * @throws SignetError `invalid-request` with the faults by field
 */
export function parsePart<T extends z.ZodType>(schema: T, value: unknown, prefix: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.flatMap((issue) => faultsOf(issue, prefix)).slice(0, FAULTS_MAX);
  const first = fields[0];
  throw new SignetError('invalid-request', first ? `${first.path || 'the body'}: ${first.message}` : 'the request is not valid', { fields });
}

function faultsOf(issue: z.core.$ZodIssue, prefix: string): FieldFault[] {
  const path = prefix + issue.path.map((step) => `/${escapeStep(String(step))}`).join('');
  if (issue.code === 'unrecognized_keys') return issue.keys.slice(0, FAULTS_MAX).map((key) => ({ path: `${path}/${escapeStep(key)}`, message: 'is not known here' }));
  return [{ path, message: issue.message }];
}

/** A step of a JSON pointer (RFC 6901 §3), cut: hostile names are not echoed at length. */
export const escapeStep = (step: string): string => step.slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1');

/** The query of a request target: a repeated name gives an array. */
export function parseQuery(url: string): Record<string, string | string[]> {
  const start = url.indexOf('?');
  if (start < 0) return {};
  const query: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of new URLSearchParams(url.slice(start + 1))) {
    const earlier = query[name];
    if (earlier === undefined) query[name] = value;
    else query[name] = Array.isArray(earlier) ? [...earlier, value] : [earlier, value];
  }
  return query;
}

/** Media type of a header value: without parameters, lower case. */
export function mediaType(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const end = header.indexOf(';');
  return (end < 0 ? header : header.slice(0, end)).trim().toLowerCase();
}

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** The SHA-256 of the key: a secret that somebody takes for one is not stored. @throws SignetError `idempotency-key-invalid` */
export function parseIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== 'string' || !IDEMPOTENCY_KEY.test(header)) {
    throw new SignetError('idempotency-key-invalid', 'Idempotency-Key must be 1 to 255 visible ASCII characters');
  }
  return hash('sha256', header, 'base64url');
}

/** The version in If-Match: one strong entity tag of ours. @throws SignetError `invalid-request` */
export function parseIfMatch(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const [, version] = /^"([0-9]{1,9})"$/.exec(header.trim()) ?? [];
  if (version === undefined) throw new SignetError('invalid-request', 'If-Match must be one entity tag as the ETag header showed it, for instance "3"');
  return Number(version);
}
