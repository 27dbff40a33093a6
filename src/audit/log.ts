import type { Clock } from '../core/clock.ts';
import { ulid, type Random } from '../core/random.ts';
import { findLiveLog, insertLog, insertTree, latestCheckpoint, listLogs, markLogEnded, markLogStopped, type AuditLogRecord } from '../db/audit-logs.ts';
import { inTransaction, type Db, type Tx } from '../db/client.ts';
import { findCluster } from '../db/cluster.ts';
import { isUniqueViolation } from '../db/errors.ts';
import type { KeyStore } from '../keystore/key-store.ts';
import { formatCheckpoint, openCheckpoint } from '../verify/log/checkpoint.ts';
import { formatNote, formatVerifierKey, keyIdOf, parseVerifierKey } from '../verify/log/note.ts';
import { appendAudit } from './append.ts';
import type { AuditEvent, Origin } from './events.ts';
import { copiedLogs, readNewestCopy } from './log-copies.ts';

/** What a log is made with. */
export interface LogContext {
  readonly db: Db;
  readonly keyStore: KeyStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly config: { readonly trustDomain: string };
  /** Where checkpoints are copied to, outside the database. */
  readonly copyDir: string | undefined;
}

/** DER of a SubjectPublicKeyInfo before the 32 octets of an Ed25519 key (RFC 8410 §4). */
const SPKI_PREFIX_OCTETS = 12;

/**
 * The log in force; begins one where there is none: at the first start, at the first one after the upgrade to the version that has logs, and after a recovery.
 * The origin of the first is the trust domain. A later one has its id in its origin, and a key of its own: whoever follows the older one sees that it ended, and
 * nothing that either has signed is ever denied by the other.
 */
export async function ensureLog(ctx: LogContext, origin: Origin): Promise<AuditLogRecord> {
  const live = await findLiveLog(ctx.db);
  if (live) return live;
  const logs = await listLogs(ctx.db);
  const made = await makeLog(ctx, logs.at(-1), { isFirst: logs.length === 0 && (await findCluster(ctx.db))?.epoch === 1 });
  try {
    await inTransaction(ctx.db, (tx) => begin(ctx, tx, origin, { log: { ...made, treeId: logs.at(-1)?.treeId ?? 1 }, before: logs.at(-1), events: [] }));
  } catch (error) {
    // Another replica was first. Its key is the one; ours is cleared away.
    if (!isUniqueViolation(error)) throw error;
  }
  return ensureLog(ctx, origin);
}

/**
 * Ends the log in force and begins another one over a tree that is built anew from the events, as the owner: what an operator does after a log has stopped, or to give it
 * another key. Returns both.
 */
export async function restartLog(ctx: LogContext & { ownerDb: Db }, origin: Origin, reason: string): Promise<{ ended: AuditLogRecord | undefined; begun: string }> {
  const made = await makeLog(ctx, (await listLogs(ctx.db)).at(-1), { isFirst: false });
  return inTransaction(ctx.ownerDb, async (tx) => {
    const ended = await endLog(ctx, tx, 'operator', reason);
    await begin(ctx, tx, origin, { log: { ...made, treeId: await insertTree(tx) }, before: ended.log, events: ended.events });
    return { ended: ended.log, begun: made.origin };
  });
}

/** Ends the log in force in a transaction that makes another world; the next start begins another. The events are the caller's to append. */
export async function endLog({ clock }: Pick<LogContext, 'clock'>, tx: Tx, by: 'recovery' | 'operator', reason: string): Promise<{ log: AuditLogRecord | undefined; events: AuditEvent[] }> {
  const log = await markLogEnded(tx, reason, clock.now());
  return { log, events: log ? [{ kind: 'log.ended', outcome: 'success', target: log.id, detail: { origin: log.origin, by }, personal: { reason } }] : [] };
}

/** The log signs nothing more until an operator acts. False when it had stopped before. */
export function stopLog({ db, clock, random }: Pick<LogContext, 'db' | 'clock' | 'random'>, origin: Origin, log: AuditLogRecord, reason: string): Promise<boolean> {
  const now = clock.now();
  return inTransaction(db, async (tx) => {
    if (!(await markLogStopped(tx, log.id, reason, now))) return false;
    await appendAudit({ random }, tx, origin, now, { kind: 'log.stopped', outcome: 'failure', target: log.id, detail: { origin: log.origin, cause: reason } });
    return true;
  });
}

/** Signs a checkpoint of the log and reads it again as whoever follows the log will. @throws LogError when key and log do not belong together */
export async function signCheckpoint(keyStore: KeyStore, log: AuditLogRecord, tree: { size: number; root: Buffer }): Promise<string> {
  const text = formatCheckpoint({ origin: log.origin, ...tree });
  const key = await keyStore.open(log.keyId);
  const publicKey = key.spki.subarray(SPKI_PREFIX_OCTETS);
  const note = formatNote({ text, signatures: [{ name: log.origin, keyId: keyIdOf(log.origin, 'ed25519', publicKey), signature: await key.sign(Buffer.from(text, 'utf8')) }] });
  openCheckpoint(note, { logKey: parseVerifierKey(log.vkey) });
  return note;
}

type MadeLog = Pick<AuditLogRecord, 'id' | 'origin' | 'keyId' | 'vkey' | 'startedAt'>;

/** Later than the log before it, whatever the clock says: start and id tell which log is the newest, here and in the folder of copies. */
async function makeLog(ctx: LogContext, before: AuditLogRecord | undefined, { isFirst }: { isFirst: boolean }): Promise<MadeLog> {
  const startedAt = new Date(Math.max(ctx.clock.now().getTime(), (before?.startedAt.getTime() ?? 0) + 1));
  const id = ulid(startedAt, ctx.random);
  // A copy of a log that this database does not know: the database is older than it, and the name is taken.
  const isNameFree = isFirst && (await copiedLogs(ctx.copyDir)).length === 0;
  const origin = isNameFree ? ctx.config.trustDomain : `${ctx.config.trustDomain}/${id.toLowerCase()}`;
  const key = await ctx.keyStore.generate('ed25519', 'log');
  const publicKey = key.spki.subarray(SPKI_PREFIX_OCTETS);
  const vkey = formatVerifierKey({ name: origin, type: 'ed25519', keyId: keyIdOf(origin, 'ed25519', publicKey), publicKey });
  return { id, origin, keyId: key.id, vkey, startedAt };
}

interface Beginning {
  log: MadeLog & { treeId: number };
  /** The log that ended before. */
  before: AuditLogRecord | undefined;
  /** Of this transaction, to be appended first. */
  events: readonly AuditEvent[];
}

async function begin(ctx: LogContext, tx: Tx, origin: Origin, { log, before, events }: Beginning): Promise<void> {
  await insertLog(tx, log);
  const after = before && (await lastOf(ctx, tx, before));
  const detail = { origin: log.origin, key: log.vkey, ...(after ? { after } : {}) };
  await appendAudit(ctx, tx, origin, log.startedAt, ...events, { kind: 'log.started', outcome: 'success', target: log.id, detail });
}

/** Where the log before ended, as far as anybody here knows: what its followers can hold the new one against. */
async function lastOf(ctx: LogContext, tx: Tx, log: AuditLogRecord): Promise<{ origin: string; size?: number; root?: string }> {
  const stored = await latestCheckpoint(tx, log.id);
  const copied = await readNewestCopy(ctx.copyDir, log).catch(() => undefined);
  const last = copied && copied.size > (stored?.size ?? 0) ? copied : stored;
  return { origin: log.origin, ...(last ? { size: last.size, root: last.root.toString('base64') } : {}) };
}
