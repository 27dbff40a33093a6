import { readFileSync } from 'node:fs';

/** The text of a file. `from`: the option, argument or variable that named it. @throws what the file system says, with `from` before it */
export function readGiven(file: string, from: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw Object.assign(error as Error, { message: `${from}: ${(error as Error).message}` });
  }
}
