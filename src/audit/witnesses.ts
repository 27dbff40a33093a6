import type { Clock } from '../core/clock.ts';
import type { GuardedFetch } from '../core/guarded-fetch.ts';
import type { Logger } from '../core/log.ts';
import { insertCosignature, listWitnesses, putWitness, type AuditLogRecord, type CheckpointRecord, type WitnessRecord } from '../db/audit-logs.ts';
import type { Db } from '../db/client.ts';
import { parseDecimal } from '../verify/log/checkpoint.ts';
import { makeConsistencyProof } from '../verify/log/merkle.ts';
import { parseNote, parseSignatureLine, parseVerifierKey, signatureLine, verifyNote, type NoteKey } from '../verify/log/note.ts';
import { nodeReader } from './tree.ts';

export interface WitnessContext {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetch: GuardedFetch;
  readonly config: { readonly auditWitnesses: readonly { url: string; vkey: string }[] };
}

export interface Witnesses {
  /** The newest checkpoint that was signed, told again and again: each witness is asked about it once it has answered before and its wait is over, until it has cosigned. */
  offer(log: AuditLogRecord, checkpoint: CheckpointRecord): void;
  /** Resolves when nobody is being asked any more. */
  stop(): Promise<void>;
}

const TIMEOUT_MS = 10_000;
/** Some cosignature lines, and no more. */
const ANSWER_MAX_OCTETS = 16_384;
/** After a failure, doubled up to the longest. Milliseconds. */
const BACK_OFF_MS = 1_000;
const BACK_OFF_MAX_MS = 300_000;
const PROBLEM_MAX = 300;

interface Offer {
  log: AuditLogRecord;
  checkpoint: CheckpointRecord;
}

/** Asks witnesses for cosignatures (C2SP tlog-witness). Nobody waits for them: one that is slow, away or lying costs the others nothing. */
export function createWitnesses(ctx: WitnessContext): Witnesses {
  const stopping = new AbortController();
  const askers = ctx.config.auditWitnesses.map(({ url, vkey }) => createAsker(ctx, { url, key: parseVerifierKey(vkey) }, stopping.signal));
  return {
    offer: (log, checkpoint) => {
      for (const asker of askers) asker.offer({ log, checkpoint });
    },
    async stop() {
      stopping.abort();
      await Promise.all(askers.map((asker) => asker.ended()));
    },
  };
}

function createAsker(ctx: WitnessContext, witness: { url: string; key: NoteKey }, signal: AbortSignal) {
  let waiting: Offer | undefined;
  let cosigned: CheckpointRecord | undefined;
  let running: Promise<void> | undefined;
  let notBeforeMs = -Infinity;
  let waitMs = BACK_OFF_MS;
  let failed = false;

  async function work(): Promise<void> {
    while (waiting && !signal.aborted && ctx.clock.monotonicMs() >= notBeforeMs) {
      const offer = waiting;
      waiting = undefined;
      const outcome = await ask(ctx, witness, offer, signal).catch((error: unknown) => problemOf(error));
      const { state, problem } = await note(offer, outcome).catch((error: unknown) => ({ state: 'failing', problem: problemOf(error) }));
      if (state === 'cosigning') {
        waitMs = BACK_OFF_MS;
        cosigned = offer.checkpoint;
      } else {
        notBeforeMs = ctx.clock.monotonicMs() + waitMs;
        waitMs = Math.min(waitMs * 2, BACK_OFF_MAX_MS);
      }
      if (failed !== (state !== 'cosigning') && !signal.aborted) ctx.log[failed ? 'info' : 'warn']({ witness: witness.key.name, state, problem }, failed ? 'a witness cosigns again' : 'a witness does not cosign');
      failed = state !== 'cosigning';
    }
  }

  async function note({ log, checkpoint }: Offer, outcome: Asked | string): Promise<WitnessRecord> {
    const at = ctx.clock.now();
    const record: WitnessRecord =
      typeof outcome === 'string'
        ? { name: witness.key.name, size: (await known(ctx.db, log, witness.key.name))?.size ?? 0, state: 'failing', problem: outcome.slice(0, PROBLEM_MAX), askedAt: at, cosignedAt: null }
        : { name: witness.key.name, problem: null, askedAt: at, ...outcome, cosignedAt: outcome.state === 'cosigning' ? at : null };
    await putWitness(ctx.db, log.id, record);
    if (typeof outcome !== 'string' && outcome.state === 'cosigning') await insertCosignature(ctx.db, { logId: log.id, size: checkpoint.size, witness: witness.key.name, line: outcome.line, at });
    return record;
  }

  return {
    offer(offer: Offer) {
      if (offer.checkpoint.note === cosigned?.note) return;
      waiting = offer;
      running ??= work().finally(() => (running = undefined));
    },
    ended: async () => void (await running),
  };
}

type Asked = { state: 'cosigning'; size: number; line: string } | { state: 'ahead'; size: number; problem: string };

const known = async (db: Db, log: AuditLogRecord, name: string): Promise<WitnessRecord | undefined> => (await listWitnesses(db, log.id)).find((one) => one.name === name);

/** @throws Error for an answer that is none */
async function ask(ctx: WitnessContext, witness: { url: string; key: NoteKey }, { log, checkpoint }: Offer, signal: AbortSignal): Promise<Asked> {
  const before = await known(ctx.db, log, witness.key.name);
  // What it said that it has is only believed while it says so: it is asked again.
  let oldSize = before?.state === 'ahead' || (before?.size ?? 0) > checkpoint.size ? checkpoint.size : (before?.size ?? 0);
  // Once more from where the witness says that it is (409); what it says then is final.
  for (let tries = 0; ; tries++) {
    if (oldSize > checkpoint.size) return { state: 'ahead', size: oldSize, problem: `it has seen a checkpoint of ${oldSize} events, the log has signed ${checkpoint.size}: was the database set back?` };
    const proof = oldSize > 0 && oldSize < checkpoint.size ? await makeConsistencyProof(oldSize, checkpoint.size, nodeReader(ctx.db, log.treeId, checkpoint.size)) : [];
    const body = Buffer.from(`old ${oldSize}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${checkpoint.note}`, 'utf8');
    const answer = await ctx.fetch({ url: `${witness.url}/add-checkpoint`, method: 'POST', body, contentType: 'text/plain; charset=utf-8', timeoutMs: TIMEOUT_MS, maxOctets: ANSWER_MAX_OCTETS, signal });
    if (answer.status === 200) return { state: 'cosigning', size: checkpoint.size, line: cosignatureOf(answer.body, checkpoint.note, witness.key) };
    if (answer.status !== 409 || tries > 0) throw new Error(`it answered ${answer.status}`);
    if (!answer.contentType?.startsWith('text/x.tlog.size')) throw new Error('it answered 409 without the size that it has');
    oldSize = parseDecimal(answer.body.toString('latin1').replace(/\n$/, ''));
  }
}

/** The line of the witness asked, verified over what was sent; other lines are nobody's business. @throws LogError */
function cosignatureOf(body: Buffer, note: string, key: NoteKey): string {
  const lines = body.toString('utf8').split('\n').filter((line) => line !== '');
  const { text } = parseNote(note);
  for (const signature of lines.map(parseSignatureLine)) {
    if (signature.name === key.name && verifyNote({ text, signatures: [signature] }, key)) return signatureLine(signature).trimEnd();
  }
  throw new Error('its answer bears no signature of its key');
}

const problemOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown failure');
