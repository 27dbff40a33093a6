import { bytes, Prisma, type Tx } from './client.ts';

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
  const values = rows.map(
    (r, i) => Prisma.sql`(${i + 1}::int, ${r.id}, ${r.kind}, ${r.outcome}, ${r.at}::timestamptz, ${r.actorKind}, ${r.actorId}, ${r.agentId}, ${r.instanceId}, ${r.serial ? bytes(r.serial) : null}::bytea, ${r.target}, ${r.requestId}, ${bytes(r.event)}::bytea)`,
  );
  await tx.$executeRaw`
    WITH taken AS (UPDATE counters SET value = value + ${rows.length} WHERE name = 'audit' RETURNING value - ${rows.length} AS base)
    INSERT INTO audit_events (n, id, kind, outcome, at, actor_kind, actor_id, agent_id, instance_id, serial, target, request_id, event)
    SELECT taken.base + v.i, v.id, v.kind, v.outcome, v.at, v.actor_kind, v.actor_id, v.agent_id, v.instance_id, v.serial, v.target, v.request_id, v.event
    FROM taken, (VALUES ${Prisma.join(values)}) AS v (i, id, kind, outcome, at, actor_kind, actor_id, agent_id, instance_id, serial, target, request_id, event)`;
}
