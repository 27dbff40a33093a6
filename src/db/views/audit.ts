import { buffer, bytes, type Db, type Prisma } from '../client.ts';
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
  /** SHA-256 of the certificate's DER, hexadecimal. */
  fingerprint: string | null;
  /** Id of the issuer whose key was used. */
  authority: string | null;
  onBehalfOf: { kind: string; id: string } | null;
  /** What the actor showed and acted by. */
  credential: { kind: string; id?: string; role?: string; serial?: string; fingerprint?: string } | null;
  /** Trace id of the request, 32 hexadecimal digits. */
  traceId: string | null;
  detail: Record<string, unknown>;
  /** Personal fields that rest beside the event, where they were asked for. Null: erased, only its salted hash is left in the event. */
  personal?: Record<string, string | null>;
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

export interface AuditPageRequest extends PageRequest {
  /** Events looked at where a filter has no index. */
  scanMax: number;
  /** Whether personal fields are wanted, too. */
  personal?: boolean;
}

/** Filters with an index of their own, in the order of numbers; the first of these that is given leads, the others are looked at one by one. */
const INDEXED = ['serial', 'agentId', 'actorId', 'kind'] as const;

/**
 * One page of the log by ascending number, and always a cursor: a reader that follows it misses no event, because numbers come in commit order
 * (DESIGN invariant 8). A page may be empty before the end: it looks at `scanMax` events at most, and its cursor stands behind them. At the end the cursor
 * stands where the log ended *before* the events were read, whatever the filters hid: it is the one that was sent when nothing was added.
 * @throws SignetError `cursor-invalid`, `cursor-mismatch`
 */
export async function listAuditViews(db: Db, filters: AuditFilters, page: AuditPageRequest): Promise<{ items: AuditView[]; nextCursor: string }> {
  const { after, serial, since, until, ...equal } = filters;
  const query = { list: 'audit', filters: { ...filters, ...(serial && { serial: buffer(serial).toString('hex') }) }, key: [NUMBER_KEY] };
  const [key] = readCursor(query, page.cursor) ?? [];
  const from = BigInt(key ?? after ?? 0);
  const counter = await db.counter.findUnique({ where: { name: 'audit' } });
  const all: Prisma.AuditEventWhereInput = { ...equal, ...(serial && { serial: bytes(serial) }) };
  const times: Prisma.AuditEventWhereInput = (since ?? until) ? { at: { ...(since && { gte: since }), ...(until && { lt: until }) } } : {};
  const lead = INDEXED.find((column) => all[column] !== undefined);
  const led: Prisma.AuditEventWhereInput = { ...times, ...(lead && { [lead]: all[lead] }) };
  const isLed = Object.entries(all).every(([column, value]) => column === lead || value === undefined);
  const logEnd = counter?.value ?? 0n;
  const end = isLed ? logEnd : await scanEnd(db, led, { from, end: logEnd, scanMax: page.scanMax });
  const rows = await db.auditEvent.findMany({ where: { ...all, ...times, n: { gt: from, lte: end } }, orderBy: { n: 'asc' }, take: page.limit });
  const last = rows.length === page.limit ? rows.at(-1)?.n : undefined;
  const next = last ?? (end > from ? end : from);
  const items = rows.map(auditView);
  return { items: page.personal === true ? await withPersonal(db, rows, items) : items, nextCursor: writeCursor(query, [String(next)]) };
}

/** The number up to which `scanMax` events of `led` lie behind `from`, or `end` when they are fewer. */
async function scanEnd(db: Db, led: Prisma.AuditEventWhereInput, { from, end, scanMax }: { from: bigint; end: bigint; scanMax: number }): Promise<bigint> {
  const last = await db.auditEvent.findFirst({ where: { ...led, n: { gt: from, lte: end } }, orderBy: { n: 'asc' }, skip: scanMax - 1, select: { n: true } });
  return last?.n ?? end;
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

/**
 * Canonical bytes of every version (audit/append.ts). Version 1 had no `onBehalfOf`, `credential` and `traceId`, and its SHA-256 of a certificate stood in `detail`; what people gave as
 * a reason did, too.
 */
interface EventBody {
  v: number;
  source?: string;
  authority?: string;
  onBehalfOf?: { kind: string; id: string };
  credential?: NonNullable<AuditView['credential']>;
  traceId?: string;
  fingerprint?: string;
  detail?: { certificateSha256?: string; [member: string]: unknown };
  /** Salted hashes. */
  personal?: Record<string, string>;
}

const bodyOf = (row: Pick<Row, 'event'>) => JSON.parse(buffer(row.event).toString('utf8')) as EventBody;

/** The columns to find an event by, and from its canonical bytes what only they hold. */
function auditView(row: Row): AuditView {
  const event = bodyOf(row);
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
    fingerprint: event.fingerprint ?? event.detail?.certificateSha256 ?? null,
    authority: event.authority ?? null,
    onBehalfOf: event.onBehalfOf ?? null,
    credential: event.credential ?? null,
    traceId: event.traceId ?? null,
    detail: event.detail ?? {},
  };
}

async function withPersonal(db: Db, rows: readonly Row[], items: readonly AuditView[]): Promise<AuditView[]> {
  const hashed = rows.map((row) => Object.keys(bodyOf(row).personal ?? {}));
  const ids = rows.filter((_, i) => (hashed[i] ?? []).length > 0).map(({ id }) => id);
  const kept = ids.length === 0 ? [] : await db.auditPersonal.findMany({ where: { eventId: { in: ids } } });
  const values = new Map(kept.map(({ eventId, field, value }) => [`${eventId} ${field}`, value]));
  return items.map((item, i) => ({ ...item, personal: Object.fromEntries((hashed[i] ?? []).map((field) => [field, values.get(`${item.id} ${field}`) ?? null])) }));
}
