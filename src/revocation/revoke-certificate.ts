import { SignetError } from '../core/errors.ts';
import type { Context } from '../context.ts';
import { appendAudit } from '../audit/append.ts';
import type { AuditKind, Origin } from '../audit/events.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { findCertificate, type StoredCertificate } from '../db/commit.ts';
import type { FeedKind } from '../db/feed.ts';
import { serialHex } from '../x509/serial.ts';
import { announce } from './announce.ts';
import { holdCertificates, releaseCertificates, revokeCertificates, type AffectedCertificate } from './apply.ts';
import { appendFeed, feedOf } from './feed.ts';
import { leafReason, reasonName } from './reasons.ts';

/** Status of one certificate after a change; `changed` is false when it was so before. */
export interface CertificateChange {
  serial: Buffer;
  status: 'good' | 'held' | 'revoked';
  reason: string | undefined;
  at: Date | undefined;
  changed: boolean;
}

/** Cause of a hold that an operator set by hand. One per certificate: setting it twice is one hold. */
const OPERATOR_HOLD = 'operator';

/**
 * Revokes one certificate for good. Idempotent: the second call answers what the first did, with the first's reason and time (invariant 6).
 * @throws SignetError certificate-not-found, reason-not-allowed
 */
export async function revokeCertificate(ctx: Context, origin: Origin, request: { serial: Uint8Array; reason: string; now: Date }): Promise<CertificateChange> {
  const { serial, now } = request;
  const reason = leafReason(request.reason);
  const changed = await change(ctx, origin, { serial, now, feed: 'revoked', audit: 'certificate.revoked', detail: { reason: reasonName(reason) } }, (tx) =>
    revokeCertificates(tx, { serial }, reason, now),
  );
  if (changed) ctx.metrics.revoked.inc({ reason: reasonName(reason) });
  return statusAfter(ctx, serial, changed);
}

/**
 * Puts one certificate on hold by an operator's hand (certificateHold, RFC 5280 §5.3.1). Idempotent.
 * @throws SignetError certificate-not-found, hold-conflict when it is revoked
 */
export async function holdCertificate(ctx: Context, origin: Origin, request: { serial: Uint8Array; now: Date }): Promise<CertificateChange> {
  const { serial, now } = request;
  const before = await known(ctx, serial);
  if (before.revokedAt) throw new SignetError('hold-conflict', 'the certificate is revoked; a revocation cannot become a hold');
  const changed = await change(ctx, origin, { serial, now, feed: 'held', audit: 'certificate.held', detail: { cause: OPERATOR_HOLD } }, (tx) =>
    holdCertificates(tx, { serial }, OPERATOR_HOLD, now),
  );
  return statusAfter(ctx, serial, changed);
}

/**
 * Takes the operator's hold away. Other causes (a suspension, a quarantine) stay, and with them the hold.
 * @throws SignetError certificate-not-found, hold-conflict when there is no operator's hold to release
 */
export async function releaseCertificate(ctx: Context, origin: Origin, request: { serial: Uint8Array; now: Date }): Promise<CertificateChange> {
  const { serial, now } = request;
  await known(ctx, serial);
  const changed = await change(ctx, origin, { serial, now, feed: 'released', audit: 'certificate.released', detail: { cause: OPERATOR_HOLD } }, (tx) =>
    releaseCertificates(tx, { serial }, OPERATOR_HOLD),
  );
  const after = await statusAfter(ctx, serial, changed);
  if (after.status === 'revoked') throw new SignetError('hold-conflict', 'the certificate is revoked; that is for ever');
  return after;
}

/**
 * Revokes every live certificate of an agent, whose registration stays as it is. Returns how many were revoked by this call.
 * @throws SignetError reason-not-allowed
 */
export async function revokeAgentCertificates(ctx: Context, origin: Origin, request: { agentId: string; reason: string; now: Date }): Promise<{ revoked: number }> {
  const { agentId, now } = request;
  const reason = leafReason(request.reason);
  const affected = await inTransaction(ctx.db, async (tx) => {
    const [agent] = await tx.$queryRaw<unknown[]>`SELECT 1 FROM agents WHERE id = ${agentId} FOR UPDATE`;
    if (agent === undefined) throw new SignetError('agent-not-found', 'there is no such agent');
    const revoked = await revokeCertificates(tx, { agentId }, reason, now);
    await ctx.barrier('revoke:before-commit');
    await appendFeed(tx, now, feedOf('revoked', revoked));
    await appendAudit(ctx, tx, origin, now, ...revoked.map((c) => auditOf('certificate.revoked', c, { reason: reasonName(reason) })));
    return revoked;
  });
  ctx.metrics.revoked.inc({ reason: reasonName(reason) }, affected.length);
  announce(ctx, affected);
  await ctx.barrier('revoke:committed');
  return { revoked: affected.length };
}

interface Change {
  serial: Uint8Array;
  now: Date;
  feed: FeedKind;
  audit: AuditKind;
  detail: Record<string, string>;
}

/** One transaction {conditional change, feed, audit}; then this replica answers with it before the caller is told (invariant 13). */
async function change(ctx: Context, origin: Origin, what: Change, apply: (tx: Tx) => Promise<AffectedCertificate[]>): Promise<boolean> {
  const affected = await inTransaction(ctx.db, async (tx) => {
    const rows = await apply(tx);
    if (rows.length === 0) return rows;
    await ctx.barrier('revoke:before-commit');
    await appendFeed(tx, what.now, feedOf(what.feed, rows));
    await appendAudit(ctx, tx, origin, what.now, ...rows.map((row) => auditOf(what.audit, row, what.detail)));
    return rows;
  });
  announce(ctx, affected);
  await ctx.barrier('revoke:committed');
  return affected.length > 0;
}

function auditOf(kind: AuditKind, row: AffectedCertificate, detail: Record<string, string>) {
  return { kind, outcome: 'success', agentId: row.agentId, instanceId: row.instanceId, serial: row.serial, detail } as const;
}

async function known(ctx: Context, serial: Uint8Array): Promise<StoredCertificate> {
  const stored = await findCertificate(ctx.db, serial);
  if (!stored) throw new SignetError('certificate-not-found', `no certificate with serial ${serialHex(serial)} was issued here`);
  return stored;
}

async function statusAfter(ctx: Context, serial: Uint8Array, changed: boolean): Promise<CertificateChange> {
  const stored = await known(ctx, serial);
  // Another replica may have made the change: what is acknowledged here must hold here, too (invariant 13).
  if (!changed) announce(ctx, [stored]);
  const status = stored.revokedAt ? 'revoked' : stored.heldAt ? 'held' : 'good';
  return {
    serial: stored.serial,
    status,
    reason: stored.revokedAt ? reasonName(stored.revocationReason ?? 0) : stored.heldAt ? 'certificateHold' : undefined,
    at: stored.revokedAt ?? stored.heldAt ?? undefined,
    changed,
  };
}
