/** The log as it is shown now: its newest checkpoint, and proofs read from the tiles of its tree. */
import { SignetError } from '../core/errors.ts';
import { checkpointCovering, findShownLog, readCosignatures, type CheckpointRecord, type ShownLog } from '../db/audit-logs.ts';
import { readTiles } from '../db/audit-tree.ts';
import type { Db } from '../db/client.ts';
import { HASH_OCTETS, makeConsistencyProof, makeInclusionProof, readRoot, type NodeReader } from '../verify/log/merkle.ts';
import { nodesFromTiles, type TileReader } from '../verify/log/tiles.ts';

export interface ProofContext {
  readonly db: Db;
  /** Of a checkpoint, as many witnesses must have cosigned it before it is shown. */
  readonly config: { readonly auditWitnessQuorum: number };
}

/** What proofs are made in. */
export interface LogView extends ShownLog {
  /** Tiles that were read for this answer, by level and index, as wide as they were then. */
  tiles: Map<string, Buffer>;
}

/** Seconds until an event that is committed now is in a checkpoint. */
const CHECKPOINT_SECONDS = 1;

/** @throws SignetError `log-unavailable` where there is no checkpoint yet */
export async function viewLog({ db, config }: ProofContext): Promise<LogView> {
  const shown = await findShownLog(db, config.auditWitnessQuorum);
  if (!shown || shown.size === 0) throw new SignetError('log-unavailable', 'nothing of the log is signed yet', { retryAfterSeconds: CHECKPOINT_SECONDS });
  return { ...shown, tiles: new Map() };
}

/** The checkpoint of exactly this size, with its cosignatures; null where none is kept, or not enough witnesses have cosigned it. */
export async function checkpointOf({ db, config }: ProofContext, { log }: LogView, size: number): Promise<string | null> {
  const checkpoint = await checkpointCovering(db, log.id, size);
  if (checkpoint?.size !== size) return null;
  return (await readCosignatures(db, log.id, size)).length < config.auditWitnessQuorum ? null : cosigned(db, checkpoint);
}

async function cosigned(db: Db, { logId, size, note }: CheckpointRecord): Promise<string> {
  const lines = await readCosignatures(db, logId, size);
  return note + lines.map(({ line }) => (line.endsWith('\n') ? line : `${line}\n`)).join('');
}

/** Hashes of the tree of `size`, at most that of the view: tiles as they are now, cut to what they were then. */
export function readerOf({ db }: ProofContext, { log, tiles }: LogView, size: number): NodeReader {
  const read: TileReader = async (wanted) => {
    const missing = wanted.filter(({ level, index }) => !tiles.has(`${level}/${index}`));
    for (const { level, tile, hashes } of await readTiles(db, log.treeId, missing.map(({ level, index }) => ({ level: Number(level), tile: index })))) tiles.set(`${level}/${tile}`, hashes);
    return wanted.map(({ level, index, width }) => tiles.get(`${level}/${index}`)?.subarray(0, width * HASH_OCTETS) ?? new Uint8Array());
  };
  return nodesFromTiles(size, read);
}

/** @throws SignetError `event-not-logged` for an event that no checkpoint covers yet */
export function assertLogged({ size, log }: LogView, index: number): void {
  if (index < size) return;
  const stopped = log.state === 'running' ? '' : `; the log has stopped: ${log.reason ?? 'an operator must act'}`;
  throw new SignetError('event-not-logged', `the event is not in a signed tree yet${stopped}`, log.state === 'running' ? { retryAfterSeconds: CHECKPOINT_SECONDS } : {});
}

/** @throws SignetError `log-size-invalid` */
export function assertSize(view: LogView, size: number): void {
  if (size < 1 || size > view.size) throw new SignetError('log-size-invalid', `sizes go from 1 to that of the newest checkpoint, ${view.size}`);
}

/** Proof that leaf `index` is in the tree of `size`. */
export const proveInclusion = (ctx: ProofContext, view: LogView, index: number, size = view.size): Promise<Buffer[]> => makeInclusionProof(index, size, readerOf(ctx, view, size));

/** Proof that the tree of `second` leaves begins with the one of `first`. Both read from the tree as of `second`. */
export const proveConsistency = (ctx: ProofContext, view: LogView, first: number, second: number): Promise<Buffer[]> => makeConsistencyProof(first, second, readerOf(ctx, view, second));

/** What was signed for the size of the view; of another what the tiles make. */
export const rootAt = (ctx: ProofContext, view: LogView, size: number): Promise<Buffer> => (size === view.size ? Promise.resolve(view.root) : readRoot(size, readerOf(ctx, view, size)));

/** Hash of one leaf, as it is in the tree. */
export async function leafAt(ctx: ProofContext, view: LogView, index: number, size: number): Promise<Buffer> {
  const [hash] = await readerOf(ctx, view, size)([{ level: 0, index }]);
  if (!hash) throw new Error(`leaf ${index} is missing`);
  return Buffer.from(hash);
}
