import { SignetError } from '../core/errors.ts';
import type { Context } from '../context.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin, StatusChange } from '../audit/events.ts';
import { inTransaction, type Tx } from '../db/client.ts';
import { countRevoked, holdRows, readNotGood, releaseRows, revokeRows, type CauseChange } from '../db/certificate-status.ts';
import { findCertificate, type StoredCertificate } from '../db/commit.ts';
import type { FeedKind } from '../db/feed.ts';
import { announce } from './announce.ts';
import { revokeCertificates } from './apply.ts';
import { besides, certificateEvents } from './certificate-events.ts';
import { appendFeed, feedOf } from './feed.ts';
import { leafReason, reasonName } from './reasons.ts';
import { noLeaf } from './selection.ts';

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
 * @throws SignetError certificate-not-found, authority-state-conflict, reason-not-allowed
 */
export async function revokeCertificate(ctx: Context, origin: Origin, request: { serial: Uint8Array; reason: string; now: Date }): Promise<CertificateChange> {
  const { serial, now } = request;
  const reason = leafReason(request.reason);
  const changed = await change(ctx, origin, { serial, now, feed: 'revoked', audit: { kind: 'certificate.revoked', detail: { reason: reasonName(reason) } } }, async (tx) =>
    (await revokeCertificates(tx, { serial }, reason, now)).map((row) => ({ ...row, flipped: true })),
  );
  if (changed) ctx.metrics.revoked.inc({ reason: reasonName(reason) });
  return statusAfter(ctx, serial, changed);
}

/**
 * Puts one certificate on hold by an operator's hand (certificateHold, RFC 5280 §5.3.1). Idempotent.
 * @throws SignetError certificate-not-found, authority-state-conflict, hold-conflict when it is revoked
 */
export async function holdCertificate(ctx: Context, origin: Origin, request: { serial: Uint8Array; now: Date }): Promise<CertificateChange> {
  const { serial, now } = request;
  await known(ctx, serial);
  const changed = await change(ctx, origin, { serial, now, feed: 'held', audit: { kind: 'certificate.held', detail: { cause: OPERATOR_HOLD } } }, (tx) =>
    holdRows(tx, { serial }, OPERATOR_HOLD, now),
  );
  if (changed) ctx.metrics.held.inc();
  const after = await statusAfter(ctx, serial, changed);
  if (after.status === 'revoked') throw new SignetError('hold-conflict', 'the certificate is revoked; a revocation cannot become a hold');
  return after;
}

/**
 * Takes the operator's hold away. Other causes (a suspension, a quarantine) stay, and with them the hold. Idempotent.
 * @throws SignetError certificate-not-found, authority-state-conflict, hold-conflict when it is revoked
 */
export async function releaseCertificate(ctx: Context, origin: Origin, request: { serial: Uint8Array; now: Date }): Promise<CertificateChange> {
  const { serial, now } = request;
  await known(ctx, serial);
  const changed = await change(ctx, origin, { serial, now, feed: 'released', audit: { kind: 'certificate.released', detail: { cause: OPERATOR_HOLD } } }, (tx) =>
    releaseRows(tx, { serial }, OPERATOR_HOLD),
  );
  if (changed) ctx.metrics.released.inc();
  const after = await statusAfter(ctx, serial, changed);
  if (after.status === 'revoked') throw new SignetError('hold-conflict', 'the certificate is revoked; that is for ever');
  return after;
}

/**
 * Revokes every certificate of an agent that lives, or could still be renewed after its expiry; the registration stays as it is. Returns how many of
 * those are revoked now: a second call answers the same.
 * @throws SignetError agent-not-found, reason-not-allowed
 */
export async function revokeAgentCertificates(ctx: Context, origin: Origin, request: { agentId: string; reason: string; now: Date }): Promise<{ revoked: number }> {
  const { agentId, now } = request;
  const reason = leafReason(request.reason);
  const since = new Date(now.getTime() - ctx.profiles.longestGraceSeconds * 1000);
  const { affected, total, off } = await inTransaction(ctx.db, async (tx) => {
    const [agent] = await tx.$queryRaw<unknown[]>`SELECT 1 FROM agents WHERE id = ${agentId} FOR UPDATE`;
    if (agent === undefined) throw new SignetError('agent-not-found', 'there is no such agent');
    const revoked = await revokeRows(tx, { agentId }, reason, now, since);
    const all = await countRevoked(tx, { agentId }, since);
    const notGood = await readNotGood(tx, { agentId }, since);
    await ctx.barrier('revoke:before-commit');
    await appendFeed(tx, now, feedOf('revoked', revoked));
    await appendAudit(ctx, tx, origin, now, ...certificateEvents({ kind: 'certificate.revoked', detail: { reason: reasonName(reason) } }, revoked));
    return { affected: revoked, total: all, off: notGood };
  });
  ctx.metrics.revoked.inc({ reason: reasonName(reason) }, affected.length);
  // As in `statusAfter`: an earlier call may have died before it told this replica.
  await announce(ctx, off);
  await ctx.barrier('revoke:committed');
  return { revoked: total };
}

interface Change {
  serial: Uint8Array;
  now: Date;
  feed: FeedKind;
  audit: StatusChange;
}

/**
 * One transaction {conditional change, feed, audit}; then this replica answers with it before the caller is told (invariant 13). A cause that comes to
 * others, or goes from among them, is no news for relying parties, but a change of state that the audit log tells.
 */
async function change(ctx: Context, origin: Origin, what: Change, apply: (tx: Tx) => Promise<CauseChange[]>): Promise<boolean> {
  const affected = await inTransaction(ctx.db, async (tx) => {
    const rows = await apply(tx);
    if (rows.length === 0) return rows;
    const flipped = rows.filter((row) => row.flipped);
    await ctx.barrier('revoke:before-commit');
    await appendFeed(tx, what.now, feedOf(what.feed, flipped));
    await appendAudit(ctx, tx, origin, what.now, ...rows.flatMap((row) => certificateEvents(row.flipped ? what.audit : besides(what.audit), [row])));
    return flipped;
  });
  await announce(ctx, affected);
  await ctx.barrier('revoke:committed');
  return affected.length > 0;
}


async function known(ctx: Context, serial: Uint8Array): Promise<StoredCertificate> {
  const stored = await findCertificate(ctx.db, serial);
  if (!stored) throw await noLeaf(ctx, serial);
  return stored;
}

async function statusAfter(ctx: Context, serial: Uint8Array, changed: boolean): Promise<CertificateChange> {
  const stored = await known(ctx, serial);
  // Another replica may have made the change: what is acknowledged here must hold here, too (invariant 13).
  if (!changed) await announce(ctx, [stored]);
  const status = stored.revokedAt ? 'revoked' : stored.heldAt ? 'held' : 'good';
  return {
    serial: stored.serial,
    status,
    reason: stored.revokedAt ? reasonName(stored.revocationReason ?? 0) : stored.heldAt ? 'certificateHold' : undefined,
    at: stored.revokedAt ?? stored.heldAt ?? undefined,
    changed,
  };
}
