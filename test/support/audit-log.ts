import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { appendAudit } from '../../src/audit/append.ts';
import type { AuditEvent } from '../../src/audit/events.ts';
import { ensureLog } from '../../src/audit/log.ts';
import type { SequenceContext } from '../../src/audit/sequence.ts';
import { noBarrier } from '../../src/core/barrier.ts';
import type { AuditLogRecord } from '../../src/db/audit-logs.ts';
import { inTransaction, type Db } from '../../src/db/client.ts';
import { emptyTree, appendLeaf, leafHash, rootOf } from '../../src/verify/log/merkle.ts';
import { openTestAuthority, TEST_ORIGIN, type TestAuthority } from './authority.ts';
import { databaseMould, type DatabaseMould, type TestDatabase } from './db.ts';

/** An authority with a log, and what a sequencer needs. */
export interface TestLog extends TestAuthority {
  record: AuditLogRecord;
  /** For as many sequencers as a test wants. */
  sequence: SequenceContext & { copyDir: string };
  /** Appends events, one transaction each. */
  append(count: number): Promise<void>;
  /** Removes the folder of copies. */
  removeCopies(): void;
}

export async function openTestLog(database: TestDatabase, options: Parameters<typeof openTestAuthority>[1] = {}): Promise<TestLog> {
  const authority = await openTestAuthority(database, options);
  const copyDir = mkdtempSync(path.join(tmpdir(), 'signet-log-'));
  const sequence = { ...authority, copyDir, barrier: noBarrier };
  const record = await ensureLog(sequence, TEST_ORIGIN);
  return {
    ...authority,
    record,
    sequence,
    append: (count) => appendEvents(authority, count),
    removeCopies: () => rmSync(copyDir, { recursive: true }),
  };
}

/** Databases that have an authority and a log already: of those `openTestLog` opens what is there, ten times as fast. */
export const logMould = (): Promise<DatabaseMould> =>
  databaseMould(async (database) => {
    const log = await openTestLog(database);
    await log.authorities.close();
    log.removeCopies();
  });

async function appendEvents(authority: TestAuthority, count: number): Promise<void> {
  const event: AuditEvent = { kind: 'request.denied', outcome: 'failure', target: 'test', detail: { code: 'test' } };
  for (let i = 0; i < count; i++) await inTransaction(authority.db, (tx) => appendAudit(authority, tx, TEST_ORIGIN, authority.clock.now(), event));
}

/** Root over the first `size` events as RFC 6962 has it, computed from their bytes alone. */
export async function rootOverEvents(db: Db, size: number): Promise<Buffer> {
  const rows = await db.$queryRaw<{ event: Uint8Array }[]>`SELECT event FROM audit_events WHERE n <= ${size} ORDER BY n`;
  if (rows.length !== size) throw new Error(`there are ${rows.length} of ${size} events`);
  const tree = emptyTree();
  for (const { event } of rows) appendLeaf(tree, leafHash(event));
  return rootOf(tree);
}

/** Many events at once, past the service: a backlog. */
export async function insertBacklog(ownerDb: Db, count: number): Promise<void> {
  await ownerDb.$executeRaw`
    WITH taken AS (UPDATE counters SET value = value + ${count}::int WHERE name = 'audit' RETURNING value - ${count}::int AS base)
    INSERT INTO audit_events (n, id, kind, outcome, at, actor_kind, actor_id, event)
    SELECT base + i, 'backlog-' || (base + i), 'request.denied', 'failure', now(), 'system', 'test', convert_to('{"v":1,"n":' || i || '}', 'UTF8') FROM taken, generate_series(1, ${count}::int) i`;
}
