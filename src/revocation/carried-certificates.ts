/**
 * What an operator decides about certificates that only a list of a lost world tells of (`signet admin recover --restored` carried them over): their agents,
 * instances and keys are not known to this database, their serials and issuers are.
 */
import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin, StatusChange } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { changeCarried, lockCarried, REMOVED, type CarriedCertificate } from '../db/carried-revocations.ts';
import { inTransaction } from '../db/client.ts';
import { CERTIFICATE_HOLD } from '../db/crls.ts';
import type { FeedKind } from '../db/feed.ts';
import { announce } from './announce.ts';
import { appendFeed } from './feed.ts';
import { leafReason, reasonName } from './reasons.ts';

/** Status after a change. Unknown: released, and otherwise never recorded here. */
export interface CarriedChange {
  serial: Buffer;
  status: 'unknown' | 'held' | 'revoked';
  reason: string | undefined;
  at: Date | undefined;
}

type Needs = Pick<Context, 'db' | 'random' | 'barrier' | 'signals' | 'siblings' | 'metrics'>;
interface Request {
  serial: Uint8Array;
  now: Date;
}

/** For good; also after a hold, or its release. Idempotent: the first reason and time stay. Undefined when no such certificate is carried. @throws SignetError reason-not-allowed */
export async function revokeCarried(ctx: Needs, origin: Origin, request: Request & { reason: string }): Promise<CarriedChange | undefined> {
  const reason = leafReason(request.reason);
  const done = await change(ctx, origin, request, { to: reason, feed: 'revoked', audit: { kind: 'certificate.revoked', detail: { reason: reasonName(reason) } } });
  if (done?.changed) ctx.metrics.revoked.inc({ reason: reasonName(reason) });
  return done && statusOf(done.row);
}

/** Idempotent. Undefined when no such certificate is carried. @throws SignetError hold-conflict when it is revoked */
export async function holdCarried(ctx: Needs, origin: Origin, request: Request): Promise<CarriedChange | undefined> {
  const done = await change(ctx, origin, request, { to: CERTIFICATE_HOLD, feed: 'held', audit: { kind: 'certificate.held', detail: { reason: reasonName(CERTIFICATE_HOLD) } } });
  if (done?.changed) ctx.metrics.held.inc();
  if (done && isRevoked(done.row)) throw new SignetError('hold-conflict', 'the certificate is revoked; a revocation cannot become a hold');
  return done && statusOf(done.row);
}

/**
 * Takes the hold away: from then on the certificate is on no list and OCSP says of it what it says of any serial that was not recorded: unknown. Never good.
 * Idempotent. Undefined when no such certificate is carried. @throws SignetError hold-conflict when it is revoked
 */
export async function releaseCarried(ctx: Needs, origin: Origin, request: Request): Promise<CarriedChange | undefined> {
  const done = await change(ctx, origin, request, { to: REMOVED, feed: 'released', audit: { kind: 'certificate.released', detail: {} } });
  if (done?.changed) ctx.metrics.released.inc();
  if (done && isRevoked(done.row)) throw new SignetError('hold-conflict', 'the certificate is revoked; that is for ever');
  return done && statusOf(done.row);
}

const isRevoked = ({ reason }: CarriedCertificate): boolean => reason !== CERTIFICATE_HOLD && reason !== REMOVED;

function statusOf(row: CarriedCertificate): CarriedChange {
  const { serial, reason, revokedAt } = row;
  if (reason === REMOVED) return { serial, status: 'unknown', reason: undefined, at: undefined };
  return { serial, status: isRevoked(row) ? 'revoked' : 'held', reason: reasonName(reason), at: revokedAt };
}

const ofUnknown = (change: StatusChange, { serial, issuerId }: CarriedCertificate): AuditEvent =>
  ({ ...change, detail: { ...change.detail, certificate: 'unknown to this database' }, outcome: 'success', serial, authority: issuerId }) as AuditEvent;

/** One transaction {change, feed, audit}; a revocation stays as it is (invariant 6). Then this replica answers with it before the caller is told (invariant 13). */
async function change(ctx: Needs, origin: Origin, { serial, now }: Request, what: { to: number; feed: FeedKind; audit: StatusChange }): Promise<{ row: CarriedCertificate; changed: boolean } | undefined> {
  const { to, feed, audit } = what;
  const done = await inTransaction(ctx.db, async (tx) => {
    const row = await lockCarried(tx, serial);
    if (!row || isRevoked(row) || row.reason === to) return row && { row, changed: false };
    await changeCarried(tx, serial, to, now);
    await ctx.barrier('revoke:before-commit');
    await appendFeed(tx, now, [{ kind: feed, serial: row.serial, issuerId: row.issuerId, shard: row.shard, ...(to === REMOVED ? {} : { reason: to }) }]);
    await appendAudit(ctx, tx, origin, now, ofUnknown(audit, row));
    return { row: { ...row, reason: to, revokedAt: now }, changed: true };
  });
  // Also what was so before: whoever changed it may have died before this replica knew.
  if (done) await announce(ctx, [done.row]);
  await ctx.barrier('revoke:committed');
  return done;
}
