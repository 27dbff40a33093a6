/** Instances of agents, one by one: quarantine, release, revoke (DESIGN §1). */
import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import { SignetError } from '../core/errors.ts';
import { ulid } from '../core/random.ts';
import { readNotGood } from '../db/certificate-status.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { insertFinding, resolveFindings } from '../db/findings.ts';
import { lockInstance, updateInstanceState, type InstanceRecord } from '../db/instances.ts';
import { announce } from '../revocation/announce.ts';
import { holdCertificates, releaseCertificates, revokeCertificates } from '../revocation/apply.ts';
import { certificateEvents } from '../revocation/certificate-events.ts';
import { appendFeed, feedOf } from '../revocation/feed.ts';
import { leafReason } from '../revocation/reasons.ts';
import { coveredByKill, type AgentContext, type StateChange } from './agent.ts';

export type { InstanceRecord };

export interface Quarantine extends StateChange {
  /** The certificate whose use showed that the key was copied: a finding is raised for it. Absent when an operator acts. */
  serial?: Uint8Array;
}

/** Cause of the holds that a quarantine sets: its release takes exactly these away. */
const quarantineCause = (quarantineId: string): string => `quarantine:${quarantineId}`;

/**
 * Quarantines an active instance: nothing more is issued to it, and its live certificates go on hold. A quarantined one stays as it is, with its first reason,
 * which the answer shows: nothing changed, so nothing is recorded. One that only a kill quarantined gets this cause, too.
 * @throws SignetError `instance-not-found`, `instance-state-conflict` when it is revoked
 */
export async function quarantineInstance(ctx: AgentContext, origin: Origin, instanceId: string, request: Quarantine): Promise<InstanceRecord> {
  const { reason, serial, now } = request;
  const { instance, held, off } = await inTransaction(ctx.db, async (tx) => {
    const was = await instanceToChange(tx, instanceId);
    if (was.quarantineId !== null) return { instance: was, held: [], off: await readNotGood(tx, { instanceId }, now) };
    if (was.state === 'revoked') throw conflict('the instance is revoked for ever');

    const quarantineId = ulid(now, ctx.random);
    const quarantined = await move(tx, was, { state: 'quarantined', quarantineId, quarantineReason: reason ?? null }, now);
    const newlyHeld = await holdCertificates(tx, { instanceId }, quarantineCause(quarantineId), now);
    const finding = serial && (await raiseCopiedKey(ctx, tx, was, serial, now));
    const notGood = await readNotGood(tx, { instanceId }, now);
    await appendFeed(tx, now, [...(was.state === 'active' ? [{ kind: 'instance-quarantined', agentId: was.agentId, instanceId } as const] : []), ...feedOf('held', newlyHeld)]);
    await appendAudit(
      ctx, tx, origin, now,
      {
        ...instanceEvent(was), kind: 'instance.quarantined', target: quarantineId, detail: { held: newlyHeld.length, ...(finding ? { cause: 'copied-key' } : {}) },
        personal: { reason: finding ? undefined : reason },
      },
      ...certificateEvents({ kind: 'certificate.held', detail: { cause: quarantineCause(quarantineId) } }, newlyHeld),
      ...(finding ? [finding] : []),
    );
    if (finding) ctx.metrics.findings.inc({ kind: 'copied-key' });
    return { instance: quarantined, held: newlyHeld, off: notGood };
  });
  ctx.metrics.held.inc(held.length);
  // Whoever made one so may have died before it told this replica: what is acknowledged here must hold here (invariant 13).
  await announce(ctx, off);
  return instance;
}

/**
 * Releases a quarantined instance, for instance after a false alarm: takes away exactly the cause its quarantine set, and closes its findings.
 * An active one stays as it is, and what a kill covers stays quarantined.
 * @throws SignetError `instance-not-found`, `instance-state-conflict` when it is revoked, `covered-by-kill`
 */
export async function releaseInstance(ctx: AgentContext, origin: Origin, instanceId: string, { reason, now }: StateChange): Promise<InstanceRecord> {
  const { instance, released } = await inTransaction(ctx.db, async (tx) => {
    const was = await instanceToChange(tx, instanceId);
    if (was.state === 'active') return { instance: was, released: [] };
    if (was.state === 'revoked') throw conflict('the instance is revoked for ever');
    if (was.quarantineId === null) throw coveredByKill('instance', was.killIds);

    const isFree = was.killIds.length === 0;
    const cause = quarantineCause(was.quarantineId);
    const released = await move(tx, was, isFree ? { state: 'active', quarantineId: null, quarantineReason: null } : { state: 'quarantined', quarantineId: null, quarantineReason: was.quarantineReason }, now);
    const good = await releaseCertificates(tx, { instanceId }, cause);
    await resolveFindings(tx, instanceId, now);
    await appendFeed(tx, now, [...(isFree ? [{ kind: 'instance-released', agentId: was.agentId, instanceId } as const] : []), ...feedOf('released', good)]);
    await appendAudit(
      ctx, tx, origin, now,
      { ...instanceEvent(was), kind: 'instance.released', target: was.quarantineId, detail: { released: good.length }, personal: { reason } },
      ...certificateEvents({ kind: 'certificate.released', detail: { cause } }, good),
    );
    return { instance: released, released: good };
  });
  ctx.metrics.released.inc(released.length);
  await announce(ctx, released);
  return instance;
}

/**
 * Revokes an instance and all its live certificates, for ever; its agent goes on. A revoked one stays as it is, with its first reason.
 * @throws SignetError `instance-not-found`, `reason-not-allowed`
 */
export async function revokeInstance(ctx: AgentContext, origin: Origin, instanceId: string, request: { reason: string; now: Date }): Promise<InstanceRecord> {
  const { reason, now } = request;
  const code = leafReason(reason);
  const { instance, revoked, off } = await inTransaction(ctx.db, async (tx) => {
    const was = await instanceToChange(tx, instanceId);
    if (was.state === 'revoked') return { instance: was, revoked: [], off: await readNotGood(tx, { instanceId }, now) };

    const ended = await move(tx, was, { state: 'revoked', quarantineId: null, quarantineReason: was.quarantineReason }, now);
    const newlyRevoked = await revokeCertificates(tx, { instanceId }, code, now);
    await resolveFindings(tx, instanceId, now);
    const notGood = await readNotGood(tx, { instanceId }, now);
    await appendFeed(tx, now, [{ kind: 'instance-revoked', agentId: was.agentId, instanceId, reason: code }, ...feedOf('revoked', newlyRevoked)]);
    await appendAudit(
      ctx, tx, origin, now,
      { ...instanceEvent(was), kind: 'instance.revoked', detail: { reason, revoked: newlyRevoked.length } },
      ...certificateEvents({ kind: 'certificate.revoked', detail: { reason } }, newlyRevoked),
    );
    return { instance: ended, revoked: newlyRevoked, off: notGood };
  });
  if (revoked.length > 0) ctx.metrics.revoked.inc({ reason }, revoked.length);
  await announce(ctx, off);
  return instance;
}

const conflict = (detail: string) => new SignetError('instance-state-conflict', detail);

async function instanceToChange(tx: Tx, instanceId: string): Promise<InstanceRecord> {
  const instance = await lockInstance(tx, instanceId);
  if (!instance) throw new SignetError('instance-not-found', `there is no instance ${instanceId}`);
  return instance;
}

async function move(
  tx: Tx,
  was: InstanceRecord,
  to: Pick<InstanceRecord, 'state' | 'quarantineId' | 'quarantineReason'>,
  now: Date,
): Promise<InstanceRecord> {
  if (!(await updateInstanceState(tx, was, to, now))) throw new Error('an instance changed under its lock');
  return { ...was, ...to, updatedAt: now };
}

const instanceEvent = ({ agentId, id }: InstanceRecord) => ({ outcome: 'success', agentId, instanceId: id }) as const;

async function raiseCopiedKey(ctx: AgentContext, tx: Tx, instance: InstanceRecord, serial: Uint8Array, now: Date): Promise<AuditEvent> {
  const id = ulid(now, ctx.random);
  await insertFinding(tx, { id, kind: 'copied-key', agentId: instance.agentId, instanceId: instance.id, serial, createdAt: now });
  return { kind: 'finding.raised', outcome: 'success', agentId: instance.agentId, instanceId: instance.id, serial, target: id, detail: { finding: 'copied-key' } };
}
