/** Proofs of the log, as auditors and relying parties ask for them. */
import type { ConsistencyProofAnswer, InclusionProofAnswer } from '../api/audit-proofs.ts';
import type { IssuanceProof, LoggedEvent } from '../api/log-proofs.ts';
import { SignetError } from '../core/errors.ts';
import { findIssuanceEvent, findLeafByFingerprint, findLoggedEvent, isPurged, type LoggedEventRow } from '../db/logged-events.ts';
import { assertLogged, assertSize, checkpointOf, leafAt, proveConsistency, proveInclusion, rootAt, viewLog, type ProofContext, type LogView } from './log-view.ts';

export const hexes = (hashes: readonly Uint8Array[]): string[] => hashes.map((hash) => Buffer.from(hash).toString('hex'));

/** Leaf i is event i + 1. */
export const indexOf = (n: bigint): number => Number(n) - 1;

/** What was asked for, an id or a number, as it is looked up. */
const lookup = (event: string): { id: string } | { n: bigint } => (/^\d{1,15}$/.test(event) ? { n: BigInt(event) } : { id: event });

/** The event that was asked for. @throws SignetError `event-not-found`, `event-purged` */
export async function eventAsked(ctx: ProofContext, event: string): Promise<LoggedEventRow> {
  const which = lookup(event);
  const row = await findLoggedEvent(ctx.db, which);
  if (row) return row;
  if ('n' in which && (await isPurged(ctx.db, which.n))) throw new SignetError('event-purged', 'the event was purged; only its hash is left');
  throw new SignetError('event-not-found', 'there is no such event in the log');
}

/** @throws SignetError `event-not-found`, `event-not-logged`, `log-unavailable`, `log-size-invalid` */
export async function inclusionOf(ctx: ProofContext, event: string, asked: number | undefined): Promise<InclusionProofAnswer> {
  const which = lookup(event);
  const row = await findLoggedEvent(ctx.db, which);
  if (!row && !('n' in which && (await isPurged(ctx.db, which.n)))) throw new SignetError('event-not-found', 'there is no such event in the log');
  const n = row?.n ?? ('n' in which ? which.n : 0n);
  const view = await viewLog(ctx);
  const index = indexOf(n);
  assertLogged(view, index);
  const size = asked ?? view.size;
  assertSize(view, size);
  if (index >= size) throw new SignetError('log-size-invalid', `a tree of ${size} leaves does not hold event ${n}`);
  return {
    n: String(n),
    ...(row ? { id: row.id } : {}),
    index,
    leafHash: (await leafAt(ctx, view, index, size)).toString('hex'),
    size,
    root: (await rootAt(ctx, view, size)).toString('hex'),
    proof: hexes(await proveInclusion(ctx, view, index, size)),
    checkpoint: size === view.size ? view.note : await checkpointOf(ctx, view, size),
  };
}

/** @throws SignetError `log-unavailable`, `log-size-invalid` */
export async function consistencyOf(ctx: ProofContext, first: number, asked: number | undefined): Promise<ConsistencyProofAnswer> {
  const view = await viewLog(ctx);
  const second = asked ?? view.size;
  assertSize(view, second);
  if (first > second) throw new SignetError('log-size-invalid', `a tree of ${first} leaves is no part of one of ${second}`);
  return {
    first,
    firstRoot: (await rootAt(ctx, view, first)).toString('hex'),
    second,
    secondRoot: (await rootAt(ctx, view, second)).toString('hex'),
    proof: hexes(await proveConsistency(ctx, view, first, second)),
    checkpoint: second === view.size ? view.note : await checkpointOf(ctx, view, second),
  };
}

/** An event with its proof in the newest checkpoint. @throws SignetError `event-not-logged` */
export async function proven(ctx: ProofContext, view: LogView, row: LoggedEventRow): Promise<Omit<LoggedEvent, 'checkpoint'>> {
  const index = indexOf(row.n);
  assertLogged(view, index);
  return { event: row.event.toString('base64'), index, inclusionProof: hexes(await proveInclusion(ctx, view, index)) };
}

/** That a certificate was logged when it was issued. @throws SignetError `certificate-not-found`, `event-purged`, `event-not-logged`, `log-unavailable` */
export async function issuanceProofOf(ctx: ProofContext, fingerprint: string): Promise<IssuanceProof> {
  const serial = await findLeafByFingerprint(ctx.db, Buffer.from(fingerprint, 'hex'));
  if (!serial) throw new SignetError('certificate-not-found', 'no certificate of an agent with this fingerprint was issued here, or it was cleared away after it had expired');
  const row = await findIssuanceEvent(ctx.db, serial);
  if (!row) throw new SignetError('event-purged', 'the event of its issuance was purged');
  const view = await viewLog(ctx);
  return { format: 'signet-issuance-proof/v1', fingerprint, ...(await proven(ctx, view, row)), checkpoint: view.note };
}
