import { appendAudit } from '../audit/append.ts';
import type { AuditEvent, Origin } from '../audit/events.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Random } from '../core/random.ts';
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
