import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { openCheckpoint, type VerifiedCheckpoint } from '../verify/log/checkpoint.ts';
import { LogError } from '../verify/log/log-error.ts';
import { MAX_NOTE_OCTETS, parseVerifierKey, type NoteKey } from '../verify/log/note.ts';

/** Folders of copies hold one folder a log, and nothing deeper. */
const MAX_DEPTH = 3;

/** Checkpoints in files, and in folders as SIGNET_AUDIT_COPY_DIR is one: every file in it whose name ends in `checkpoint`. */
export function checkpointFiles(given: readonly string[]): string[] {
  return given.flatMap((name) => (statSync(name).isDirectory() ? filesBelow(name, MAX_DEPTH) : [name]));
}

function filesBelow(folder: string, depth: number): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) return depth > 1 ? filesBelow(name, depth - 1) : [];
    return entry.isFile() && entry.name.endsWith('checkpoint') ? [name] : [];
  });
}

/** A checkpoint, by whichever of the keys signed it. @throws LogError when none did */
export function believe(note: string | Uint8Array, keys: readonly NoteKey[]): VerifiedCheckpoint & { key: NoteKey } {
  for (const key of keys) {
    try {
      return { ...openCheckpoint(note, { logKey: key }), key };
    } catch (error) {
      if (!(error instanceof LogError) || error.fault !== 'unknown-log-key') throw error;
    }
  }
  throw new LogError('unknown-log-key', 'it bears no signature of a log key that is trusted');
}

/** @throws LogError with the name of the file, for one that is not believed */
export function readCheckpointFile(file: string, keys: readonly NoteKey[]): VerifiedCheckpoint & { key: NoteKey } {
  if (statSync(file).size > MAX_NOTE_OCTETS) throw new LogError('malformed-note', `${file}: a note has at most ${MAX_NOTE_OCTETS} octets`);
  try {
    return believe(readFileSync(file), keys);
  } catch (error) {
    if (error instanceof LogError) throw new LogError(error.fault, `${file}: ${error.message}`);
    throw error;
  }
}

/** Keys as they are given on a command line: verifier keys, or files with one. @throws LogError, and what the file system says */
export const givenKeys = (given: readonly string[]): NoteKey[] => given.map((key) => parseVerifierKey(/^[^+\s]+\+[0-9a-f]{8}\+/.test(key) ? key : readFileSync(key, 'utf8').trim()));
