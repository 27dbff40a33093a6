import type { RotateAdminTokenBody } from '../api/admin-tokens.ts';
import { appendAudit } from '../audit/append.ts';
import type { Origin } from '../audit/events.ts';
import type { Context } from '../context.ts';
import { SignetError } from '../core/errors.ts';
import { adminTokenState, countRotatedTokens, insertAdminToken, lockAdminTokens, markAdminTokenRotated, relyingPartyOfToken, type AdminTokenRecord } from '../db/admin-tokens.ts';
import type { Tx } from '../db/client.ts';
import { lockRelyingParty } from '../db/relying-parties.ts';
import { assertNoMoreThan, callerUnusable } from './caller.ts';
import type { CreatedAdminToken } from './create.ts';
import { endOfToken } from './life.ts';
import { makeAdminToken } from './secret.ts';

export interface Rotation extends RotateAdminTokenBody {
  tokenId: string;
}

/**
 * Replaces a usable token by one with the same name, role, scopes and relying party, and another secret. The old one ends after the overlap, and no later
 * than it would have. The new one lives as long as the old one was made for; with a token of its own a holder cannot ask for more than that.
 * Runs in the caller's transaction (http/idempotency.ts), audit event last. Both rows are locked at once, so that of two rotations one is refused.
 * @throws SignetError `admin-token-not-found`, `admin-token-state-conflict`, `invalid-credential`, `permission-denied`, `ttl-not-granted`, `invalid-request`, `relying-party-full`
 */
export async function rotateAdminToken(ctx: Pick<Context, 'random' | 'config' | 'barrier'>, tx: Tx, origin: Origin, request: Rotation, now: Date): Promise<CreatedAdminToken> {
  const { tokenId, overlapSeconds = ctx.config.adminTokenOverlapSeconds } = request;
  assertOverlap(ctx, overlapSeconds);
  const callerId = origin.actor.kind === 'admin' ? origin.actor.id : undefined;
  await lockPartyOf(ctx, tx, tokenId, overlapSeconds, now);
  const locked = await lockAdminTokens(tx, callerId === undefined ? [tokenId] : [tokenId, callerId]);
  const caller = locked.find(({ id }) => id === callerId);
  if (callerId !== undefined && (!caller || adminTokenState(caller, now) !== 'active')) throw callerUnusable();
  const old = locked.find(({ id }) => id === tokenId);
  if (!old) throw new SignetError('admin-token-not-found', 'there is no API token with this id');
  assertRotatable(old, now);
  assertNoMoreThan(caller, old);

  const expiresAt = endOfSuccessor(ctx, old, request.ttlSeconds, callerId === tokenId, now);
  const { id, token, secretHash } = makeAdminToken(now, ctx.random);
  const overlapEnd = new Date(now.getTime() + overlapSeconds * 1000);
  const endsAt = old.expiresAt !== null && old.expiresAt < overlapEnd ? old.expiresAt : overlapEnd;
  if (!(await markAdminTokenRotated(tx, old.id, id, endsAt, now))) throw new Error('an API token changed under its lock');
  const { name, role, scopes, relyingPartyId } = old;
  await insertAdminToken(tx, { id, name, role, scopes, secretHash, expiresAt, relyingPartyId, predecessorId: old.id }, now);
  await appendAudit(ctx, tx, origin, now, {
    kind: 'admin-token.rotated', outcome: 'success', target: old.id,
    detail: { name, role, successor: id, endsAt: endsAt.toISOString(), expiresAt: expiresAt.toISOString(), ...(relyingPartyId !== null && { relyingParty: relyingPartyId }) },
  });
  await ctx.barrier('rotate-token:before-commit');
  return { id, name, role, scopes, token, expiresAt, predecessor: { id: old.id, endsAt }, relyingPartyId };
}

/**
 * A holder can rotate what it has just rotated, and each goes on for its overlap: no more of those than the relying party may have tokens. Its row is locked
 * first, as whoever makes its tokens does.
 * @throws SignetError `relying-party-full`
 */
async function lockPartyOf({ config }: Pick<Context, 'config'>, tx: Tx, tokenId: string, overlapSeconds: number, now: Date): Promise<void> {
  const partyId = await relyingPartyOfToken(tx, tokenId);
  if (partyId === null || partyId === undefined || overlapSeconds === 0) return;
  await lockRelyingParty(tx, partyId);
  const { relyingPartyTokensMax } = config;
  if ((await countRotatedTokens(tx, partyId, now)) < relyingPartyTokensMax) return;
  throw new SignetError('relying-party-full', `${relyingPartyTokensMax} rotated tokens of this relying party still work (relyingPartyTokensMax): rotate with overlapSeconds 0, or wait until one of them has ended`);
}

function assertOverlap({ config }: Pick<Context, 'config'>, overlapSeconds: number): void {
  const { adminTokenOverlapMaxSeconds } = config;
  if (overlapSeconds <= adminTokenOverlapMaxSeconds) return;
  const fault = { path: '/overlapSeconds', message: `must be at most ${adminTokenOverlapMaxSeconds}` };
  throw new SignetError('invalid-request', `${fault.path}: ${fault.message}`, { fields: [fault] });
}

function assertRotatable(old: AdminTokenRecord, now: Date): void {
  const conflict = (detail: string) => new SignetError('admin-token-state-conflict', detail);
  if (old.successorId !== null) {
    throw conflict(`the token was rotated to ${old.successorId} already; the same request with the same Idempotency-Key gets the first answer again for some minutes`);
  }
  const state = adminTokenState(old, now);
  if (state !== 'active') throw conflict(`the token ${state === 'expired' ? 'has expired' : 'was revoked'}: only a usable one is rotated`);
}

/** @throws SignetError `ttl-not-granted` */
function endOfSuccessor(ctx: Pick<Context, 'config'>, old: AdminTokenRecord, asked: number | undefined, isOwn: boolean, now: Date): Date {
  const { adminTokenTtlSeconds, adminTokenMaxTtlSeconds } = ctx.config;
  const madeFor = old.expiresAt === null ? adminTokenTtlSeconds : Math.round((old.expiresAt.getTime() - old.createdAt.getTime()) / 1000);
  if (isOwn && asked !== undefined && asked > madeFor) throw new SignetError('ttl-not-granted', `a token that rotates itself lives at most as long as it was made for, ${madeFor} s; ${asked} s were asked for`);
  return endOfToken(ctx, asked ?? Math.min(madeFor, adminTokenMaxTtlSeconds), now);
}
