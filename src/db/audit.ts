import { buffer, bytes, type HotStatement, type Runner, type Tx } from './client.ts';

/** An audit event ready to be stored; `event` are its canonical bytes. */
export interface AuditRow {
  id: string;
  kind: string;
  outcome: string;
  at: Date;
  actorKind: string;
  actorId: string;
  agentId: string | null;
  instanceId: string | null;
  serial: Uint8Array | null;
  target: string | null;
  requestId: string | null;
  event: Uint8Array;
  personal: { field: string; value: string; salt: Uint8Array }[];
}

/**
 * Stores events in order, numbered from the counter row that stays locked until the commit: gap-free, in commit order.
 * Must be the last statement of its transaction.
 */
export async function insertAuditEvents(tx: Tx, rows: AuditRow[]): Promise<void> {
  if (rows.length === 0) return;
  const personal = rows.flatMap((row) => row.personal.map((p) => ({ eventId: row.id, field: p.field, salt: bytes(p.salt), value: p.value })));
  if (personal.length > 0) await tx.auditPersonal.createMany({ data: personal });
  await tx.$executeRawUnsafe(INSERT.text, rows.length, batchOf(rows));
}

/** The same past Prisma. */
export async function insertAuditEventsHot(tx: Runner, rows: AuditRow[]): Promise<void> {
  if (rows.length === 0) return;
  const personal = rows.flatMap((row) => row.personal.map((p) => ({ event_id: row.id, field: p.field, salt: hex(p.salt), value: p.value })));
  // Both are sent, in this order, before either is answered.
  await Promise.all([...(personal.length > 0 ? [tx.run(INSERT_PERSONAL, [JSON.stringify(personal)])] : []), tx.run(INSERT, [rows.length, batchOf(rows)])]);
}

const INSERT_PERSONAL: HotStatement = {
  name: 'insert-audit-personal',
  text: 'INSERT INTO audit_personal (event_id, field, salt, value) SELECT v.event_id, v.field, v.salt, v.value FROM json_to_recordset($1::json) AS v (event_id text, field text, salt bytea, value text)',
};

const INSERT: HotStatement = {
  name: 'insert-audit-events',
  text: `
    WITH taken AS (UPDATE counters SET value = value + $1::int WHERE name = 'audit' RETURNING value - $1::int AS base)
    INSERT INTO audit_events (n, id, kind, outcome, at, actor_kind, actor_id, agent_id, instance_id, serial, target, request_id, event)
    SELECT taken.base + v.i, v.id, v.kind, v.outcome, v.at, v.actor_kind, v.actor_id, v.agent_id, v.instance_id, v.serial, v.target, v.request_id, convert_to(v.event, 'UTF8')
    FROM taken, json_to_recordset($2::json) AS v (
      i integer, id text, kind text, outcome text, at timestamptz, actor_kind text, actor_id text, agent_id text, instance_id text, serial bytea, target text, request_id text, event text)`,
};

/**
 * One parameter, whatever the number of rows: a suspension may record tens of thousands. The canonical bytes are text; what is left out is NULL: every octet that is
 * sent costs.
 */
const batchOf = (rows: AuditRow[]): string =>
  JSON.stringify(
    rows.map((row, i) => ({
      i: i + 1,
      id: row.id,
      kind: row.kind,
      outcome: row.outcome,
      at: row.at,
      actor_kind: row.actorKind,
      actor_id: row.actorId,
      ...(row.agentId === null ? {} : { agent_id: row.agentId }),
      ...(row.instanceId === null ? {} : { instance_id: row.instanceId }),
      ...(row.serial === null ? {} : { serial: hex(row.serial) }),
      ...(row.target === null ? {} : { target: row.target }),
      ...(row.requestId === null ? {} : { request_id: row.requestId }),
      event: buffer(row.event).toString('utf8'),
    })),
  );

const hex = (value: Uint8Array): string => `\\x${buffer(value).toString('hex')}`;
