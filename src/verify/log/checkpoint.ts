/** Checkpoints (C2SP tlog-checkpoint): the size and root of a log, signed by its key and cosigned by witnesses. */
import { LogError } from './log-error.ts';
import { EMPTY_ROOT, HASH_OCTETS } from './merkle.ts';
import { decodeBase64, parseNote, verifyNote, type NoteKey, type VerifiedSignature } from './note.ts';

export interface Checkpoint {
  /** Which log it is of: for Signet, its trust domain. */
  origin: string;
  /** Leaves in the tree. */
  size: number;
  root: Buffer;
  /** Lines beyond the three; nobody vouches for them. */
  extensions: string[];
}

/** The text that is signed. */
export const formatCheckpoint = ({ origin, size, root }: { origin: string; size: number; root: Uint8Array }): string => `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;

/** A tree size or leaf index in decimal, without leading zeroes. @throws LogError */
export function parseDecimal(text: string, fault: 'malformed-checkpoint' | 'malformed-proof' = 'malformed-checkpoint'): number {
  if (!/^(0|[1-9]\d{0,19})$/.test(text)) throw new LogError(fault, 'a size or index is decimal, without leading zeroes');
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new LogError('number-too-large', 'indexes and sizes end at 2^53 - 1 here');
  return value;
}

/** Reads the text of a checkpoint. @throws LogError */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.endsWith('\n') ? text.slice(0, -1).split('\n') : [];
  const [origin = '', size = '', encoded = '', ...extensions] = lines;
  if (lines.length < 3 || lines.includes('')) throw new LogError('malformed-checkpoint', 'a checkpoint is three lines or more: origin, size, root');
  const root = decodeBase64(encoded);
  if (root?.length !== HASH_OCTETS) throw new LogError('malformed-checkpoint', 'the root is not the base64 of 32 octets');
  return { origin, size: parseDecimal(size), root, extensions };
}

/** Whom to believe. */
export interface CheckpointTrust {
  logKey: NoteKey;
  witnesses?: readonly NoteKey[];
  /** How many of the witnesses must have cosigned; default 0. */
  quorum?: number;
  /** Origin to ask for; default the name of the log key. */
  origin?: string;
}

export interface VerifiedCheckpoint extends Checkpoint {
  /** Of the witnesses given, those that cosigned, each once. */
  cosignatures: VerifiedSignature[];
  /** The note as it came. */
  note: string;
}

/** Reads a checkpoint and believes it: signed by the log key, about the log asked for, cosigned by enough of the witnesses. @throws LogError */
export function openCheckpoint(input: string | Uint8Array, trust: CheckpointTrust): VerifiedCheckpoint {
  const note = parseNote(input);
  // The signature first: what was not signed by the log is not worth reading.
  if (!verifyNote(note, trust.logKey)) throw new LogError('unknown-log-key', `the checkpoint bears no signature of the log key ${trust.logKey.name}+${trust.logKey.keyId.toString('hex')}`);
  const checkpoint = parseCheckpoint(note.text);
  const origin = trust.origin ?? trust.logKey.name;
  if (checkpoint.origin !== origin) throw new LogError('wrong-origin', `the checkpoint is of another log than ${origin}`);
  if (checkpoint.size === 0 && !checkpoint.root.equals(EMPTY_ROOT)) throw new LogError('malformed-checkpoint', 'the root of an empty tree is the hash of nothing');
  const cosignatures: VerifiedSignature[] = [];
  const counted = new Set<string>();
  for (const witness of trust.witnesses ?? []) {
    const id = witness.publicKey.toString('hex');
    if (counted.has(id)) continue;
    const verified = verifyNote(note, witness);
    if (!verified) continue;
    counted.add(id);
    cosignatures.push(verified);
  }
  const quorum = trust.quorum ?? 0;
  if (cosignatures.length < quorum) throw new LogError('too-few-witnesses', `${cosignatures.length} of the ${quorum} witnesses asked for cosigned the checkpoint`);
  return { ...checkpoint, cosignatures, note: typeof input === 'string' ? input : Buffer.from(input).toString('utf8') };
}
