import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import type { Clock } from '../core/clock.ts';
import { SignetError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { ulid, type Random } from '../core/random.ts';
import { liveAuthorities, lockAuthorityChanges, notifyAuthorities, type AuthorityKind, type AuthorityRecord, type StoredState } from '../db/authorities.ts';
import { inTransaction, type Db, type Tx } from '../db/client.ts';
import type { KeyStore } from '../keystore/key-store.ts';
import type { Authorities } from './authorities.ts';
import type { AuthorityConfig } from './templates.ts';

/** What a change of the authority needs; a Context serves. */
export interface AuthorityContext {
  readonly config: AuthorityConfig;
  readonly db: Db;
  readonly keyStore: KeyStore;
  readonly authorities: Pick<Authorities, 'reload'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** The authority inside a transaction that alone may change it, read after the lock was taken. */
export interface LockedAuthority {
  readonly tx: Tx;
  readonly records: readonly AuthorityRecord[];
}

/**
 * One change of the authority in one transaction, alone of its kind: `work` decides on what is stored now and returns the events of what it did;
 * none means that nothing was to be done. Every replica is woken at the commit; this one has seen the change when the promise resolves.
 */
export async function changeAuthority(ctx: AuthorityContext, origin: Origin, now: Date, work: (authority: LockedAuthority) => Promise<AuditEvent[]>): Promise<boolean> {
  const changed = await inTransaction(ctx.db, async (tx) => {
    await lockAuthorityChanges(tx);
    const events = await work({ tx, records: await liveAuthorities(tx) });
    if (events.length === 0) return false;
    await notifyAuthorities(tx);
    await appendAudit(ctx, tx, origin, now, ...events);
    return true;
  });
  if (changed) await ctx.authorities.reload();
  return changed;
}

/**
 * Runs a change that makes keys and certificates before its transaction: what a key store outside the database has made by then does not go away with a crash. An event says
 * before that it begins, another one after how it ended; a beginning without an end is a change that was cut short, and did nothing but leave keys without certificates.
 */
export async function begun<T extends boolean | void>(ctx: Pick<AuthorityContext, 'db' | 'random' | 'clock' | 'log'>, origin: Origin, change: AuthorityChange, work: () => Promise<T>): Promise<T> {
  const now = ctx.clock.now();
  const target = ulid(now, ctx.random);
  const record = (event: AuditEvent) => inTransaction(ctx.db, (tx) => appendAudit(ctx, tx, origin, ctx.clock.now(), event));
  await record({ kind: 'authority.change-begun', outcome: 'success', target, detail: { change } });
  try {
    const changed = await work();
    await record({ kind: 'authority.change-ended', outcome: 'success', target, detail: { change, changed: changed !== false } });
    return changed;
  } catch (error) {
    const code = error instanceof SignetError ? error.code : 'internal';
    // What made the change fail may make this fail as well, and is what is to be told.
    await record({ kind: 'authority.change-ended', outcome: 'failure', target, detail: { change, code } }).catch((fault: unknown) => ctx.log.error({ err: fault, change }, 'the end of a change of the authority could not be recorded'));
    throw error;
  }
}

export type AuthorityChange = 'prepare-issuer' | 'rollover-root' | 'renew-responder' | 'renew-tls' | 'renew-feed-key';

/** The records of one kind, optionally in one state, oldest first. */
export function select(records: readonly AuthorityRecord[], kind: AuthorityKind, state?: StoredState): AuthorityRecord[] {
  return records.filter((record) => record.kind === kind && (state === undefined || record.state === state));
}

type MadeKind = 'authority.created' | 'authority.prepared' | 'authority.cross-signed' | 'authority.responder-renewed' | 'authority.tls-renewed' | 'authority.feed-key-renewed';

/** The event of a certificate that was made. */
export function madeEvent(kind: MadeKind, record: AuthorityRecord): AuditEvent {
  return {
    kind,
    outcome: 'success',
    serial: record.serial,
    fingerprint: record.fingerprint,
    target: record.id,
    authority: record.issuerId ?? record.id,
    detail: { kind: record.kind, subject: record.subject, notAfter: record.notAfter.toISOString() },
  };
}
