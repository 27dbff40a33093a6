import { writeFileAtomic } from '../cli/output.ts';
import { StartupError } from '../core/errors.ts';

/** Writes an admin token to a file that only its owner can read: whole and durable, or not there. @throws StartupError (73) */
export function writeSecretFile(file: string, content: string): void {
  try {
    writeFileAtomic(file, content, 0o600);
  } catch (error) {
    throw new StartupError(`the admin token cannot be written to ${file}: ${(error as Error).message}`, 73, error);
  }
}
