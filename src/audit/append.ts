import { createHash } from 'node:crypto';
import type { Random } from '../core/random.ts';
import { ulid } from '../core/random.ts';
import { insertAuditEvents, insertAuditEventsHot, type AuditRow } from '../db/audit.ts';
import type { Runner, Tx } from '../db/client.ts';
import { canonicalJson, type JsonMembers, type JsonValue } from './canonical-json.ts';
import type { AuditEvent, Origin } from './events.ts';

/** Version of the canonical bytes. A reader dispatches on it (db/views/audit.ts); a writer never changes what an old number means. */
const EVENT_VERSION = 2;

/** Octets of canonical bytes: what an entry of the log may have (C2SP tlog-tiles, a length of 16 bits). */
export const MAX_EVENT_OCTETS = 65_535;
/** Octets of a member of `detail` that stay when all of it would be too long. */
const MAX_MEMBER_OCTETS = 1_024;

export interface AuditContext {
  random: Random;
}

/**
 * One event as it will rest: canonical bytes plus the columns to find it by. Number and personal fields are not in the bytes.
 * A change that must happen is not refused because it is hard to tell: where the bytes would be too long, each long member of `detail` is cut to its length and hash.
 */
export function encodeAuditEvent(ctx: AuditContext, origin: Origin, at: Date, event: AuditEvent): AuditRow {
  const id = ulid(at, ctx.random);
  const { actor, onBehalfOf, credential } = origin;
  const personal = event.personal === undefined ? [] : salted(ctx, event.personal);
  const members = {
    v: EVENT_VERSION,
    id,
    kind: event.kind,
    outcome: event.outcome,
    at: at.toISOString(),
    actor: { kind: actor.kind, id: actor.id },
    onBehalfOf: onBehalfOf && { kind: onBehalfOf.kind, id: onBehalfOf.id },
    credential: credential && { ...credential },
    requestId: origin.requestId ?? undefined,
    traceId: origin.traceId,
    source: origin.source ?? undefined,
    agent: event.agentId,
    instance: event.instanceId,
    serial: event.serial && hex(event.serial),
    fingerprint: event.fingerprint && hex(event.fingerprint),
    target: event.target,
    authority: event.authority,
    detail: event.detail as JsonMembers | undefined,
    personal: personal.length > 0 ? Object.fromEntries(personal.map(({ field, hash }) => [field, hash])) : undefined,
  };
  return {
    id,
    kind: event.kind,
    outcome: event.outcome,
    at,
    actorKind: actor.kind,
    actorId: actor.id,
    agentId: event.agentId ?? null,
    instanceId: event.instanceId ?? null,
    serial: event.serial ?? null,
    target: event.target ?? null,
    requestId: origin.requestId,
    event: canonicalBytes(members),
    personal: personal.map(({ field, value, salt }) => ({ field, value, salt })),
  };
}

/** @throws RangeError when the bytes are too long even without what is long of `detail`: a fault of ours, all else is ids */
function canonicalBytes(members: JsonMembers & { detail?: JsonMembers | undefined }): Buffer {
  const whole = Buffer.from(canonicalJson(members), 'utf8');
  if (whole.length <= MAX_EVENT_OCTETS) return whole;
  const shorter = Buffer.from(canonicalJson({ ...members, detail: members.detail && cut(members.detail) }), 'utf8');
  if (shorter.length > MAX_EVENT_OCTETS) throw new RangeError(`an audit event of ${shorter.length} octets, at most ${MAX_EVENT_OCTETS} are allowed`);
  return shorter;
}

/** Long members become `{"cut":{"octets":…,"sha256":…}}`, of their canonical bytes: whoever has the value can show that it is this one. */
function cut(detail: JsonMembers): JsonMembers {
  return Object.fromEntries(
    Object.entries(detail).map(([name, value]): [string, JsonValue | undefined] => {
      const octets = value === undefined ? Buffer.alloc(0) : Buffer.from(canonicalJson(value), 'utf8');
      return [name, octets.length <= MAX_MEMBER_OCTETS ? value : { cut: { octets: octets.length, sha256: createHash('sha256').update(octets).digest('hex') } }];
    }),
  );
}

/** The hash is of the salt and the value: without the salt, which goes with the value, nobody can try values. */
const salted = (ctx: AuditContext, fields: NonNullable<AuditEvent['personal']>) =>
  Object.entries(fields).flatMap(([field, value]) => {
    if (value === undefined) return [];
    const salt = ctx.random.bytes(16);
    const hash = createHash('sha256').update(salt).update(value, 'utf8').digest('hex');
    return [{ field, value, salt, hash }];
  });

const hex = (octets: Uint8Array): string => Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('hex');

/** Appends events inside the caller's transaction. Call it LAST, after the feed: the number is taken here and held to the commit (invariant 8). */
export async function appendAudit(ctx: AuditContext, tx: Tx, origin: Origin, at: Date, ...events: AuditEvent[]): Promise<void> {
  await insertAuditEvents(tx, events.map((event) => encodeAuditEvent(ctx, origin, at, event)));
}

/** The same in a transaction past Prisma. */
export async function appendAuditHot(ctx: AuditContext, tx: Runner, origin: Origin, at: Date, ...events: AuditEvent[]): Promise<void> {
  await insertAuditEventsHot(tx, events.map((event) => encodeAuditEvent(ctx, origin, at, event)));
}
