import { createHash } from 'node:crypto';
import type { Random } from '../core/random.ts';
import { ulid } from '../core/random.ts';
import { insertAuditEvents, insertAuditEventsHot, type AuditRow } from '../db/audit.ts';
import type { HotTx, Tx } from '../db/client.ts';
import type { AuditEvent, JsonValue, Origin } from './events.ts';

/** Version of the canonical bytes. A reader dispatches on it; a writer never changes what an old number means. */
const EVENT_VERSION = 1;

export interface AuditContext {
  random: Random;
}

/** One event as it will rest: canonical bytes plus the columns to find it by. Number and personal fields are not in the bytes. */
export function encodeAuditEvent(ctx: AuditContext, origin: Origin, at: Date, event: AuditEvent): AuditRow {
  const id = ulid(at, ctx.random);
  const personal = Object.entries(event.personal ?? {}).map(([field, value]) => {
    const salt = ctx.random.bytes(16);
    const hash = createHash('sha256').update(salt).update(value, 'utf8').digest('hex');
    return { field, value, salt, hash };
  });
  const serial = event.serial ? Buffer.from(event.serial).toString('hex') : undefined;
  const body: Record<string, JsonValue | undefined> = {
    v: EVENT_VERSION,
    id,
    kind: event.kind,
    outcome: event.outcome,
    at: at.toISOString(),
    actor: { kind: origin.actor.kind, id: origin.actor.id },
    requestId: origin.requestId ?? undefined,
    source: origin.source ?? undefined,
    agent: event.agentId,
    instance: event.instanceId,
    serial,
    target: event.target,
    authority: event.authority,
    detail: event.detail,
    personal: personal.length > 0 ? Object.fromEntries(personal.map((p) => [p.field, p.hash])) : undefined,
  };
  return {
    id,
    kind: event.kind,
    outcome: event.outcome,
    at,
    actorKind: origin.actor.kind,
    actorId: origin.actor.id,
    agentId: event.agentId ?? null,
    instanceId: event.instanceId ?? null,
    serial: event.serial ?? null,
    target: event.target ?? null,
    requestId: origin.requestId,
    event: Buffer.from(canonicalJson(body), 'utf8'),
    personal: personal.map(({ field, value, salt }) => ({ field, value, salt })),
  };
}

/** Appends events inside the caller's transaction. Call it LAST, after the feed: the number is taken here and held to the commit (invariant 8). */
export async function appendAudit(ctx: AuditContext, tx: Tx, origin: Origin, at: Date, ...events: AuditEvent[]): Promise<void> {
  await insertAuditEvents(tx, events.map((event) => encodeAuditEvent(ctx, origin, at, event)));
}

/** The same in a transaction past Prisma, of events without personal fields. */
export async function appendAuditHot(ctx: AuditContext, tx: HotTx, origin: Origin, at: Date, ...events: AuditEvent[]): Promise<void> {
  await insertAuditEventsHot(tx, events.map((event) => encodeAuditEvent(ctx, origin, at, event)));
}

/** JSON with sorted keys and no white space (the subset of RFC 8785 that strings, integers, booleans, arrays and objects need). Undefined members are left out. */
export function canonicalJson(value: JsonValue | undefined | Record<string, JsonValue | undefined>): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new TypeError('only integers are canonical here');
  return JSON.stringify(value);
}
