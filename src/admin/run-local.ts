import { parseArgs } from 'node:util';
import { StartupError } from '../core/errors.ts';
import { UsageError, type CliIo, type Options } from '../cli/command.ts';
import { EXIT, Refused, type LocalCommand } from './local-command.ts';
import { LOCAL_COMMANDS } from './local-commands.ts';

const COMMON: Options = { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } };

/** One line a command, for the overview. */
export function localHelp(): string {
  const width = Math.max(...LOCAL_COMMANDS.map(({ name }) => name.length));
  return LOCAL_COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n');
}

/** Runs a local command and returns its exit code; undefined when it is none. Answers go to `io.out`, errors with what to do next to `io.err`. */
export async function runLocal(given: readonly string[], io: CliIo): Promise<number | undefined> {
  const argv = given[0] === 'help' ? [...given.slice(1), '--help'] : given;
  const fits = LOCAL_COMMANDS.filter(({ name }) => name.split(' ').every((word, i) => argv[i] === word));
  // Of `backup` and `backup verify` the longer name.
  const command = fits.toSorted((a, b) => b.name.length - a.name.length)[0];
  if (!command) return undefined;
  try {
    const { values, positionals } = parse(command, argv.slice(command.name.split(' ').length));
    if (values['help'] === true) {
      io.out.write(helpOf(command));
      return EXIT.ok;
    }
    const wanted = command.positionals ?? [];
    if (positionals.length !== wanted.length) throw new UsageError(wanted.length === 0 ? 'takes no arguments' : `needs ${wanted.map((name) => `<${name}>`).join(' ')}`);
    const [run, { localContext }] = await Promise.all([command.load(), import('./local-context.ts')]);
    return await run(localContext(io, values['json'] === true), { positionals, values });
  } catch (error) {
    return explain(io, command, error);
  }
}

function parse(command: LocalCommand, args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: { ...COMMON, ...command.options }, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'wrong arguments');
  }
}

async function explain(io: CliIo, command: LocalCommand, error: unknown): Promise<number> {
  if (error instanceof UsageError) {
    io.err.write(`signet ${command.name}: ${error.message}\n\n${helpOf(command)}`);
    return EXIT.usage;
  }
  const { redactSecrets } = await import('../core/log.ts');
  if (error instanceof Refused) {
    io.err.write(`signet ${command.name}: ${redactSecrets(error.message)}\n  next: ${error.next}\n`);
    return EXIT.refused;
  }
  if (error instanceof StartupError) {
    io.err.write(`signet ${command.name}: ${redactSecrets(error.message)}\n`);
    return error.exitCode;
  }
  io.err.write(`signet ${command.name}: failed, for a reason nobody foresaw:\n${redactSecrets(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
  return EXIT.software;
}

function helpOf(command: LocalCommand): string {
  const { name, usage, summary, example, options = {}, help = {}, refusal } = command;
  const lines = [...Object.keys(options).map((option) => [option, help[option] ?? '']), ['json', 'the answer as JSON']].map(([option, says]) => `  --${(option ?? '').padEnd(28)} ${says}`.trimEnd());
  const exits = [`  ${EXIT.ok}  done`, ...(refusal === undefined ? [] : [`  ${EXIT.refused}  ${refusal}`]), `  ${EXIT.usage} wrong use`, `  ${EXIT.unavailable} the database cannot be reached`, `  ${EXIT.cannotCreate} a file cannot be written`, `  ${EXIT.config} wrong configuration, or a database that this Signet must not touch`];
  return `signet ${name} ${usage}`.trimEnd() + `\n\n${summary}.\nReads the configuration of the service (docs/config.md).\n\nOptions:\n${lines.join('\n')}\n\nExit codes:\n${exits.join('\n')}\n\nExample:\n  ${example}\n`;
}
