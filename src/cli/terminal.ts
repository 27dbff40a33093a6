import { createInterface } from 'node:readline/promises';
import type { CliIo } from './command.ts';

/** Asks a person at a terminal; undefined where there is none. Only `y` or `yes` is yes. */
export function askOnTerminal(stdin: NodeJS.ReadStream, stderr: NodeJS.WriteStream): CliIo['ask'] {
  if (!stdin.isTTY || !stderr.isTTY) return undefined;
  return async (question) => {
    // Not a terminal to readline: it then leaves Ctrl-C to the process.
    const line = createInterface({ input: stdin, output: stderr, terminal: false });
    try {
      return /^y(es)?$/i.test((await Promise.race([line.question(`${question} [y/N] `), ended(line)])).trim());
    } finally {
      line.close();
    }
  };
}

/** Ctrl-D: no answer. */
const ended = (line: ReturnType<typeof createInterface>): Promise<string> => new Promise((resolve) => line.once('close', () => resolve('')));
