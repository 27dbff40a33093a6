/** What every refusal owes: a status, a stable code, words that help, and nothing changed. */
import { expect } from '@jest/globals';
import { ERROR_TABLE } from '../../src/api/error-codes.ts';
import { problem, type Problem } from '../../src/api/values.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { TestDatabase } from './db.ts';
import { jsonOf, type Reply } from './https-client.ts';

/** The refusal that a bad input must meet; `says`: what its detail must tell. */
export interface Refusal {
  status: number;
  code: ErrorCode;
  says: RegExp;
}

/** Words that only an implementation says. */
const INTERNALS = /node_modules|prisma|\\n +at |SELECT |INSERT |src\/|dist\//i;

/** Expects a problem document (RFC 9457) of exactly this refusal; returns it. */
export function expectRefused(reply: Reply, { status, code, says }: Refusal): Problem {
  const text = reply.body.toString('utf8');
  const said = reply.headers['content-type'] === 'application/problem+json' ? jsonOf<Problem>(reply) : undefined;
  expect({ status: reply.status, code: said?.code, detail: said?.detail ?? text }).toEqual({ status, code, detail: expect.stringMatching(says) });
  const { type, title, next, requestId } = problem.strict().parse(said);
  expect({ title, next, anchor: new URL(type).hash }).toEqual({ title: ERROR_TABLE[code].title, next: ERROR_TABLE[code].next, anchor: `#${code}` });
  expect(reply.headers).toMatchObject({ 'request-id': requestId, 'cache-control': 'no-store' });
  expect(text).not.toMatch(INTERNALS);
  return said as Problem;
}

/** Everything a request could change, but for what is meant to happen to a refused one: its denial is recorded, and that a certificate was presented. */
const STATE = {
  agents: `SELECT to_jsonb(t) AS r FROM agents t`,
  owners: `SELECT to_jsonb(t) AS r FROM owners t`,
  instances: `SELECT to_jsonb(t) AS r FROM instances t`,
  certificates: `SELECT to_jsonb(t) - 'presented_at' AS r FROM certificates t`,
  public_keys: `SELECT to_jsonb(t) AS r FROM public_keys t`,
  join_tokens: `SELECT to_jsonb(t) AS r FROM join_tokens t`,
  issuance_stops: `SELECT to_jsonb(t) AS r FROM issuance_stops t`,
  findings: `SELECT to_jsonb(t) AS r FROM findings t`,
  feed_events: `SELECT to_jsonb(t) AS r FROM feed_events t`,
  idempotency_records: `SELECT to_jsonb(t) AS r FROM idempotency_records t`,
  audit_events: `SELECT to_jsonb(t) AS r FROM audit_events t WHERE kind ~ '^(agent|certificate|instance|join-token|finding|admin-token)\\.'`,
} as const;

const FINGERPRINT = Object.entries(STATE)
  .map(([name, rows]) => `SELECT '${name}' AS name, count(*)::int AS rows, md5(coalesce(string_agg(r::text, '|' ORDER BY r::text), '')) AS content FROM (${rows}) q`)
  .join(' UNION ALL ');

/** Rows and content of every table that says who may do what. */
export async function stateOf({ ownerDb }: Pick<TestDatabase, 'ownerDb'>): Promise<Record<string, string>> {
  const rows = await ownerDb.$queryRawUnsafe<{ name: string; rows: number; content: string }[]>(FINGERPRINT);
  return Object.fromEntries(rows.map(({ name, rows: count, content }) => [name, `${count} rows ${content}`]));
}

/** Does the work and expects that nothing changed by it. */
export async function unchanged<T>(database: Pick<TestDatabase, 'ownerDb'>, work: () => Promise<T>): Promise<T> {
  const before = await stateOf(database);
  const result = await work();
  expect(await stateOf(database)).toEqual(before);
  return result;
}
