import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { StartupError } from '../core/errors.ts';

/** Writes an admin token to a file that only its owner can read: whole and durable, or not there. @throws StartupError (73) */
export function writeSecretFile(file: string, content: string): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    // A leftover of a killed run might be readable by others.
    rmSync(`${file}.new`, { force: true });
    const handle = openSync(`${file}.new`, 'wx', 0o600);
    try {
      writeSync(handle, content);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw new StartupError(`the admin token cannot be written to ${file}: ${(error as Error).message}`, 73, error);
  }
}
