import { setTimeout as sleep } from 'node:timers/promises';
import type { Barrier } from '../core/barrier.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { ulid } from '../core/random.ts';
import { findLiveLog, insertCheckpoint, latestCheckpoint, type AuditLogRecord, type CheckpointRecord } from '../db/audit-logs.ts';
import { growTree, MissingEvent, readLeafHashes, readTreeEdge, type LeafHashes, type TreeEdge } from '../db/audit-tree.ts';
import type { Origin } from './events.ts';
import { findFault } from './find-fault.ts';
import { pruneCopies, readNewestCopy, writeCopy } from './log-copies.ts';
import { signCheckpoint, stopLog, type LogContext } from './log.ts';
import { appendLeaves, edgeRoot } from './tree.ts';

export interface SequenceContext extends LogContext {
  readonly barrier: Barrier;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'logLeaves' | 'logCheckpoints'>;
}

/** What one step did. `stopped`: there is no log that runs. */
export interface Step {
  did: 'stopped' | 'nothing' | 'hashed' | 'checkpoint';
  log?: AuditLogRecord;
  checkpoint?: CheckpointRecord;
  /** There are more events to be hashed. */
  isBehind?: boolean;
}

/** Hashed in one transaction: 130 KB of hashes, some milliseconds. */
const LEAVES_A_BATCH = 4_096;
/** So long a step hashes a backlog before it signs what it has. Milliseconds. */
const STEP_MS = 700;
/** Least time between two checkpoints; a step that comes a little early counts. Milliseconds. */
const CHECKPOINT_MS = 950;
/** What was signed is held against the tree at least so often, also when nothing is new. Milliseconds. */
const COMPARE_MS = 10_000;
const PRUNE_EVERY = 64;
const ORIGIN: Origin = { actor: { kind: 'system', id: 'audit-log' }, requestId: null, source: null };

/**
 * Hashes settled audit events into the tree and signs checkpoints of it (ADR 0015). Killed between any two lines it leaves: a tree that grew by whole batches; a
 * signature that nobody saw; a copy of a checkpoint of a durable tree. Never a checkpoint that was shown and is in no copy, and never two of one size.
 */
export function createSequencer(ctx: SequenceContext) {
  const { db, clock, barrier, copyDir } = ctx;
  const writer = ulid(clock.now(), ctx.random);
  /** The last checkpoint that was signed or seen here: should the database forget it, this process does not. */
  let seen: CheckpointRecord | undefined;
  let signedMs = -Infinity;
  let comparedMs = -Infinity;
  let signed = 0;
  let copiedSize = -1;

  /** One round as the one who sequences. */
  async function step(signal: AbortSignal = new AbortController().signal): Promise<Step> {
    const log = await liveLog();
    if (!log) return { did: 'stopped' };
    try {
      const edge = await readTreeEdge(db, log.treeId);
      const leaves = await readLeafHashes(db, edge.size, LEAVES_A_BATCH);
      const isNew = leaves !== undefined || edge.size > (seen?.size ?? 0);
      if (!(await holds(log, isNew))) return { did: 'stopped', log };
      const grown = leaves ? await grow(ctx, edge, leaves, signal) : { edge, isBehind: false };
      if (grown.edge.size === (seen?.size ?? 0) || clock.monotonicMs() < signedMs + CHECKPOINT_MS) return { did: leaves ? 'hashed' : 'nothing', log, isBehind: grown.isBehind };
      const checkpoint = await sign(log, grown.edge);
      return checkpoint ? { did: 'checkpoint', log, checkpoint, isBehind: grown.isBehind } : { did: 'stopped', log };
    } catch (error) {
      if (!(error instanceof MissingEvent)) throw error;
      await stop(log, error.message);
      return { did: 'stopped', log };
    }
  }

  /** One round while another sequences: what that one has signed is compared and copied here as well. */
  async function follow(): Promise<Step> {
    const log = await liveLog();
    if (!log || copyDir === undefined) return { did: log ? 'nothing' : 'stopped' };
    const latest = await latestCheckpoint(db, log.id);
    if (!latest) return { did: 'nothing', log };
    if (!(await holds(log, latest.size !== seen?.size))) return { did: 'stopped', log };
    if (latest.size !== copiedSize && (await readNewestCopy(copyDir, log))?.size !== latest.size) await copy(latest);
    copiedSize = latest.size;
    seen = latest;
    return { did: 'nothing', log };
  }

  async function liveLog(): Promise<AuditLogRecord | undefined> {
    const log = await findLiveLog(db);
    if (log?.state !== 'running') return undefined;
    if (seen?.logId !== log.id) {
      seen = await latestCheckpoint(db, log.id);
      comparedMs = -Infinity;
    }
    return log;
  }

  /** The tree is durable, and what was signed before was held against it in this step. */
  async function sign(log: AuditLogRecord, edge: TreeEdge): Promise<CheckpointRecord | undefined> {
    const at = clock.now();
    const root = edgeRoot(edge);
    const note = await signCheckpoint(ctx.keyStore, log, { size: edge.size, root });
    await barrier('log:signed');
    const checkpoint: CheckpointRecord = { logId: log.id, size: edge.size, root, note, at };
    await copy(checkpoint);
    await barrier('log:copied');
    const stored = await insertCheckpoint(db, checkpoint);
    await barrier('log:checkpointed');
    if (!stored.root.equals(root)) {
      await stop(log, `two trees of ${edge.size} leaves: a checkpoint with another root was signed before`);
      return undefined;
    }
    seen = stored;
    signedMs = clock.monotonicMs();
    ctx.metrics.logCheckpoints.inc();
    return stored;
  }

  async function copy(checkpoint: CheckpointRecord): Promise<void> {
    if (copyDir === undefined) return;
    await writeCopy(copyDir, writer, checkpoint);
    if (signed++ % PRUNE_EVERY === 0) await pruneCopies(copyDir, checkpoint.logId, clock.now().getTime());
  }

  /** Whether the tree begins with everything that is known to have been signed; stops the log when not. */
  async function holds(log: AuditLogRecord, isNew: boolean): Promise<boolean> {
    if (!isNew && clock.monotonicMs() < comparedMs + COMPARE_MS) return true;
    const fault = await findFault(ctx, log, seen);
    if (fault === undefined) comparedMs = clock.monotonicMs();
    else await stop(log, fault);
    return fault === undefined;
  }

  async function stop(log: AuditLogRecord, reason: string): Promise<void> {
    if (await stopLog(ctx, ORIGIN, log, reason)) ctx.log.error({ log: log.origin, reason }, 'the audit log has stopped: no checkpoint is signed until an operator acts (docs/audit-log.md)');
  }

  return { step, follow };
}

/** Hashes leaves in batches, each durable by itself, until there are no more, its time is up or another was faster. */
async function grow(ctx: SequenceContext, from: TreeEdge, first: LeafHashes, signal: AbortSignal): Promise<{ edge: TreeEdge; isBehind: boolean }> {
  const { db, clock, barrier } = ctx;
  const endMs = clock.monotonicMs() + STEP_MS;
  let edge = from;
  for (let leaves: LeafHashes | undefined = first; leaves; leaves = await readLeafHashes(db, edge.size, LEAVES_A_BATCH)) {
    const beganMs = clock.monotonicMs();
    const { growth, edge: next } = appendLeaves(edge, leaves.hashes);
    if (!(await growTree(db, growth, () => barrier('log:hashed')))) return { edge: await readTreeEdge(db, edge.treeId), isBehind: true };
    await barrier('log:grown');
    ctx.metrics.logLeaves.inc(growth.to - growth.from);
    edge = next;
    if (leaves.isLast) break;
    if (clock.monotonicMs() > endMs || signal.aborted) return { edge, isBehind: true };
    // A backlog of millions waits for the service, not the service for it.
    await sleep(clock.monotonicMs() - beganMs);
  }
  return { edge, isBehind: false };
}
