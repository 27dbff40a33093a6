/** `signet verify` without the other commands: loading those takes longer than a thousand paths. */
import { parseArgs } from 'node:util';
import { UsageError, type CliIo } from '../command.ts';
import { runVerify, VERIFY_OPTIONS } from './run.ts';

/** The exit code; undefined where there is help to give, which takes the other commands: nothing was read from standard input then. */
export async function runVerifyAlone(args: readonly string[], io: CliIo): Promise<number | undefined> {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: { ...VERIFY_OPTIONS, json: { type: 'boolean' } }, allowPositionals: true, strict: true });
    if (positionals.length > 1) return undefined;
    return await runVerify(io, values['json'] === true, { positionals, values });
  } catch (error) {
    if (error instanceof UsageError || (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) || 'path' in Object(error)) return undefined;
    throw error;
  }
}
