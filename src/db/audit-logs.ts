import { buffer, bytes, runHot, type Db, type HotStatement, type Tx } from './client.ts';

/** What checkpoints are signed as. */
export interface AuditLogRecord {
  id: string;
  /** First line of its checkpoints, and name of its key. */
  origin: string;
  keyId: string;
  /** Its public key, as C2SP signed-note writes it. */
  vkey: string;
  treeId: number;
  /** `stopped`: nothing is signed until an operator acts. `ended`: another took its place. */
  state: 'running' | 'stopped' | 'ended';
  /** Why it stopped or ended. */
  reason: string | null;
  startedAt: Date;
  changedAt: Date;
}

const toLog = (row: { state: string } & Omit<AuditLogRecord, 'state'>): AuditLogRecord => ({ ...row, state: row.state as AuditLogRecord['state'] });

/** The log that is running or stopped. Undefined before the first start, and from a recovery to the next start. */
export async function findLiveLog(db: Db | Tx): Promise<AuditLogRecord | undefined> {
  const row = await db.auditLog.findFirst({ where: { state: { not: 'ended' } } });
  return row === null ? undefined : toLog(row);
}

/** Every log there was, oldest first: by its tree before its time, for clocks that were set back; a tree is never gone back to. */
export async function listLogs(db: Db | Tx): Promise<AuditLogRecord[]> {
  return (await db.auditLog.findMany({ orderBy: [{ treeId: 'asc' }, { startedAt: 'asc' }, { id: 'asc' }] })).map(toLog);
}

/** @throws a unique violation when there is a live one, or one of this origin */
export async function insertLog(tx: Tx, log: Pick<AuditLogRecord, 'id' | 'origin' | 'keyId' | 'vkey' | 'treeId' | 'startedAt'>): Promise<void> {
  await tx.auditLog.create({ data: { ...log, state: 'running', reason: null, changedAt: log.startedAt } });
}

/** False when it is stopped or ended already. */
export async function markLogStopped(tx: Tx, id: string, reason: string, at: Date): Promise<boolean> {
  return (await tx.auditLog.updateMany({ where: { id, state: 'running' }, data: { state: 'stopped', reason, changedAt: at } })).count === 1;
}

/** Ends the live log; another can begin. Returns it, or undefined when there is none. */
export async function markLogEnded(tx: Tx, reason: string, at: Date): Promise<AuditLogRecord | undefined> {
  const live = await findLiveLog(tx);
  if (live) await tx.auditLog.updateMany({ where: { id: live.id }, data: { state: 'ended', reason: live.reason ?? reason, changedAt: at } });
  return live;
}

/** Begins an empty tree beside those there are, as the owner. Returns its id. */
export async function insertTree(ownerTx: Tx): Promise<number> {
  const [row] = await ownerTx.$queryRaw<{ id: number }[]>`INSERT INTO audit_trees (id, size) SELECT max(id) + 1, 0 FROM audit_trees RETURNING id`;
  if (!row) throw new Error('no audit tree was made');
  return row.id;
}

/** A signed checkpoint. */
export interface CheckpointRecord {
  logId: string;
  size: number;
  root: Buffer;
  /** The signed note, with the signature of the log alone. */
  note: string;
  at: Date;
}

const toCheckpoint = (row: Omit<CheckpointRecord, 'root' | 'size'> & { root: Uint8Array; size: bigint }): CheckpointRecord => ({ ...row, size: Number(row.size), root: buffer(row.root) });

/**
 * Stores a checkpoint of what the tree holds, unless there is one of its size; durable when the promise resolves. Returns the one that is stored.
 * @throws Error when the log runs no longer, or its tree is smaller
 */
export async function insertCheckpoint(db: Db, checkpoint: CheckpointRecord): Promise<CheckpointRecord> {
  const { logId, size, root, note, at } = checkpoint;
  const inserted = await db.$executeRaw`
    INSERT INTO audit_checkpoints (log_id, size, root, note, at)
    SELECT l.id, ${size}, ${bytes(root)}, ${note}, ${at} FROM audit_logs l JOIN audit_trees t ON t.id = l.tree_id
    WHERE l.id = ${logId} AND l.state = 'running' AND t.size >= ${size} ON CONFLICT DO NOTHING`;
  if (inserted === 1) return checkpoint;
  const there = await db.auditCheckpoint.findUnique({ where: { logId_size: { logId, size } } });
  if (there === null) throw new Error('the log runs no longer, or its tree is smaller than what was signed');
  return toCheckpoint(there);
}

/** The largest checkpoint of a log; with `quorum`, the largest that so many witnesses have cosigned. */
export async function latestCheckpoint(db: Db | Tx, logId: string, quorum = 0): Promise<CheckpointRecord | undefined> {
  if (quorum === 0) {
    const row = await db.auditCheckpoint.findFirst({ where: { logId }, orderBy: { size: 'desc' } });
    return row === null ? undefined : toCheckpoint(row);
  }
  const [row] = await db.$queryRaw<{ logId: string; size: bigint; root: Uint8Array; note: string; at: Date }[]>`
    SELECT c.log_id AS "logId", c.size, c.root, c.note, c.at FROM audit_checkpoints c
    WHERE c.log_id = ${logId} AND c.size = (SELECT size FROM audit_cosignatures WHERE log_id = ${logId} GROUP BY size HAVING count(*) >= ${quorum} ORDER BY size DESC LIMIT 1)`;
  return row && toCheckpoint(row);
}

/** The log in force and the newest checkpoint of it that is shown, with its cosignatures. */
export interface ShownLog {
  log: Pick<AuditLogRecord, 'id' | 'origin' | 'vkey' | 'treeId' | 'state' | 'reason'>;
  size: number;
  root: Buffer;
  note: string;
}

const SHOWN: HotStatement = {
  name: 'audit-log-shown',
  text: `
    SELECT l.id, l.origin, l.vkey, l.tree_id, l.state, l.reason, c.size, c.root,
      c.note || coalesce((SELECT string_agg(k.line || E'\\n', '' ORDER BY k.witness) FROM audit_cosignatures k WHERE k.log_id = l.id AND k.size = c.size), '') AS note
    FROM audit_logs l JOIN LATERAL (
      SELECT size, root, note FROM audit_checkpoints WHERE log_id = l.id AND ($1::int = 0 OR size = (
        SELECT size FROM audit_cosignatures WHERE log_id = l.id GROUP BY size HAVING count(*) >= $1::int ORDER BY size DESC LIMIT 1))
      ORDER BY size DESC LIMIT 1) c ON true
    WHERE l.state <> 'ended'`,
};

/** What every proof begins with, past Prisma. `quorum`: so many witnesses must have cosigned. Undefined where nothing is shown. */
export async function findShownLog(db: Db, quorum: number): Promise<ShownLog | undefined> {
  interface Row { id: string; origin: string; vkey: string; tree_id: number; state: string; reason: string | null; size: string; root: Buffer; note: string }
  const [row] = await runHot<Row & Record<string, unknown>>(db, SHOWN, [quorum]);
  if (!row) return undefined;
  const { id, origin, vkey, tree_id: treeId, state, reason, size, root, note } = row;
  return { log: { id, origin, vkey, treeId, state: state as AuditLogRecord['state'], reason }, size: Number(size), root, note };
}

/** The smallest checkpoint of a log that covers `size` leaves or more. */
export async function checkpointCovering(db: Db | Tx, logId: string, size: number): Promise<CheckpointRecord | undefined> {
  const row = await db.auditCheckpoint.findFirst({ where: { logId, size: { gte: size } }, orderBy: { size: 'asc' } });
  return row === null ? undefined : toCheckpoint(row);
}

/** Verified signature lines of witnesses below a checkpoint, in the order of their names. */
export async function readCosignatures(db: Db | Tx, logId: string, size: number): Promise<{ witness: string; line: string; at: Date }[]> {
  return db.auditCosignature.findMany({ where: { logId, size }, select: { witness: true, line: true, at: true }, orderBy: { witness: 'asc' } });
}

export async function insertCosignature(db: Db | Tx, cosignature: { logId: string; size: number; witness: string; line: string; at: Date }): Promise<void> {
  await db.auditCosignature.createMany({ data: [cosignature], skipDuplicates: true });
}

/** What is known of a witness. */
export interface WitnessRecord {
  name: string;
  /** Size of the last checkpoint that it cosigned, or says that it has. */
  size: number;
  state: 'cosigning' | 'failing' | 'ahead';
  problem: string | null;
  askedAt: Date;
  cosignedAt: Date | null;
}

export async function listWitnesses(db: Db | Tx, logId: string): Promise<WitnessRecord[]> {
  const rows = await db.auditWitness.findMany({ where: { logId }, orderBy: { name: 'asc' } });
  return rows.map(({ logId: _, ...row }) => ({ ...row, size: Number(row.size), state: row.state as WitnessRecord['state'] }));
}

/** `cosignedAt` null leaves what was noted before. */
export async function putWitness(db: Db | Tx, logId: string, { name, size, state, problem, askedAt, cosignedAt }: WitnessRecord): Promise<void> {
  const data = { size, state, problem, askedAt, ...(cosignedAt === null ? {} : { cosignedAt }) };
  await db.auditWitness.upsert({ where: { logId_name: { logId, name } }, create: { logId, name, ...data }, update: data });
}

/**
 * Takes or extends the lease of the sequencer; false while another holds it. By the database's clock. Two holders would do no harm: a tree grows only from the size
 * that its writer has read, and no two checkpoints have one size.
 */
export async function takeSequencerLease(db: Db, holder: string, seconds: number): Promise<boolean> {
  const taken = await db.$executeRaw`
    UPDATE audit_sequencer SET holder = ${holder}, lease_until = clock_timestamp() + make_interval(secs => ${seconds})
    WHERE holder = ${holder} OR holder IS NULL OR lease_until < clock_timestamp()`;
  return taken === 1;
}

export async function releaseSequencerLease(db: Db, holder: string): Promise<void> {
  await db.$executeRaw`UPDATE audit_sequencer SET holder = NULL WHERE holder = ${holder}`;
}

/** Time of the first event that a checkpoint of `size` leaves does not cover; undefined when it covers all. */
export async function firstUncovered(db: Db, size: number): Promise<Date | undefined> {
  const [row] = await db.$queryRaw<{ at: Date }[]>`SELECT at FROM audit_events WHERE n > ${size} ORDER BY n LIMIT 1`;
  return row?.at;
}

/** Takes away, as the owner, checkpoints older than `before` but for the last of each day of a log. Returns how many. */
export const thinCheckpoints = (ownerTx: Tx, before: Date, limit: number): Promise<number> =>
  ownerTx.$executeRaw`
    DELETE FROM audit_checkpoints c USING (
      SELECT log_id, size FROM audit_checkpoints o WHERE at < ${before} AND date_trunc('day', at, 'UTC') = (
        SELECT date_trunc('day', l.at, 'UTC') FROM audit_checkpoints l WHERE l.log_id = o.log_id AND l.size > o.size ORDER BY l.size LIMIT 1)
      ORDER BY at LIMIT ${limit}) gone
    WHERE c.log_id = gone.log_id AND c.size = gone.size`;
