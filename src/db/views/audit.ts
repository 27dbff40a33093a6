import { buffer, bytes, type Db } from '../client.ts';
import { NUMBER_KEY, readCursor, writeCursor, type PageRequest } from './cursor.ts';

/** An audit event with its number and its canonical record. */
export interface AuditView {
  /** Position in the log: gap-free, in commit order. */
  n: bigint;
  id: string;
  kind: string;
  outcome: 'success' | 'failure';
  at: Date;
  actor: { kind: string; id: string };
  requestId: string | null;
  /** Source address of the request. */
  source: string | null;
  agentId: string | null;
  instanceId: string | null;
  serial: Buffer | null;
  target: string | null;
  /** Id of the issuer whose key was used. */
  authority: string | null;
  detail: Record<string, unknown>;
}

export interface AuditFilters {
  /** Starts behind this number; a cursor leads on from its own. */
  after?: number;
  kind?: string;
  outcome?: 'success' | 'failure';
  actorKind?: string;
  actorId?: string;
  agentId?: string;
  instanceId?: string;
  serial?: Uint8Array;
  target?: string;
  requestId?: string;
  /** Not before this time. */
  since?: Date;
  /** Before this time. */
  until?: Date;
}

/**
 * One page of the log by ascending number, and always a cursor: a reader that follows it misses no event, because numbers come in commit order
 * (DESIGN invariant 8). On the last page the cursor stands at the end of the log as it was *before* the events were read, whatever the filters hid.
 * @throws SignetError `cursor-invalid`, `cursor-mismatch`
 */
export async function listAuditViews(db: Db, filters: AuditFilters, page: PageRequest): Promise<{ items: AuditView[]; nextCursor: string }> {
  const { after, serial, since, until, ...equal } = filters;
  const query = { list: 'audit', filters: { ...filters, ...(serial && { serial: buffer(serial).toString('hex') }) }, key: [NUMBER_KEY] };
  const [key] = readCursor(query, page.cursor) ?? [];
  const from = BigInt(key ?? after ?? 0);
  const counter = await db.counter.findUnique({ where: { name: 'audit' } });
  const end = counter?.value ?? 0n;
  const rows = await db.auditEvent.findMany({
    where: {
      ...equal,
      n: { gt: from, lte: end },
      ...(serial && { serial: bytes(serial) }),
      ...((since ?? until) && { at: { ...(since && { gte: since }), ...(until && { lt: until }) } }),
    },
    orderBy: { n: 'asc' },
    take: page.limit,
  });
  const last = rows.length === page.limit ? rows.at(-1)?.n : undefined;
  const next = last ?? (end > from ? end : from);
  return { items: rows.map(auditView), nextCursor: writeCursor(query, [String(next)]) };
}

interface Row {
  n: bigint;
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
}

/** The columns to find an event by, and from its canonical bytes what only they hold (audit/append.ts). */
function auditView(row: Row): AuditView {
  const event = JSON.parse(buffer(row.event).toString('utf8')) as { source?: string; authority?: string; detail?: Record<string, unknown> };
  return {
    n: row.n,
    id: row.id,
    kind: row.kind,
    outcome: row.outcome as AuditView['outcome'],
    at: row.at,
    actor: { kind: row.actorKind, id: row.actorId },
    requestId: row.requestId,
    source: event.source ?? null,
    agentId: row.agentId,
    instanceId: row.instanceId,
    serial: row.serial && buffer(row.serial),
    target: row.target,
    authority: event.authority ?? null,
    detail: event.detail ?? {},
  };
}
