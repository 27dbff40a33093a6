import { parseArgs } from 'node:util';
import { UsageError, type CliIo, type Command, type CommandHelp, type CommandInput } from './command.ts';
import { COMMANDS } from './commands.ts';
import { SHELLS } from './completion.ts';
import { cliContext } from './context.ts';
import { didYouMean } from './did-you-mean.ts';
import { EXIT } from './exit.ts';
import { explain } from './explain.ts';
import { helpOf, listOf, optionsOf, overview, TOPICS } from './help.ts';
import { documentCli } from './manual.ts';

/**
 * Runs one command of the API side. Returns the exit code; answers go to `io.out`, errors with what to do next to `io.err`. `local`: the commands of the
 * machine itself, which help tells of.
 */
export async function runCli(given: readonly string[], io: CliIo, local: readonly CommandHelp[]): Promise<number> {
  const argv = given[0] === 'help' ? [...given.slice(1), '--help'] : given;
  const command = longest(COMMANDS, argv);
  if (!command) return withoutCommand(argv, io, local);
  try {
    const { values, positionals } = parse(command, argv.slice(command.name.split(' ').length));
    if (values['help'] === true) {
      io.out.write(helpOf(command));
      return EXIT.ok;
    }
    checkArguments(command, positionals);
    if (!(await isMeant(command, { positionals, values }, io))) {
      io.err.write('nothing was done\n');
      return EXIT.refused;
    }
    return (await command.run(cliContext(io, values['json'] === true), { positionals, values })) ?? EXIT.ok;
  } catch (error) {
    return explain(io, command, error);
  }
}

/** Of `status` and `status list` the longer name that fits. */
const longest = <C extends CommandHelp>(commands: readonly C[], argv: readonly string[]): C | undefined =>
  commands.filter(({ name }) => name.split(' ').every((word, i) => argv[i] === word)).toSorted((a, b) => b.name.length - a.name.length)[0];

/** Help, a topic, completion; or what was typed is no command. */
function withoutCommand(argv: readonly string[], io: CliIo, local: readonly CommandHelp[]): number {
  const words = argv.filter((word) => word !== '--help' && word !== '-h');
  const asksHelp = words.length < argv.length || words.length === 0;
  const [first = '', second] = words;
  const all: readonly CommandHelp[] = [...COMMANDS, ...local];
  const related = all.filter(({ name }) => name.startsWith(`${first} `));
  const said = words.length === 0 ? overview(local) : words.length === 1 && asksHelp ? topic(first, local) : first === 'completion' ? SHELLS[second ?? '']?.(all) : undefined;
  const asked = said ?? (asksHelp && words.length === 1 && related.length > 0 ? `${listOf(related)}\n` : undefined) ?? (asksHelp ? localHelp(words, local) : undefined);
  if (asked !== undefined) {
    io.out.write(asked);
    return EXIT.ok;
  }
  if (words.length === 1 && related.length > 0) {
    io.err.write(`signet ${first}: which of these?\n\n${listOf(related)}\n`);
    return EXIT.usage;
  }
  const typed = words.slice(0, 2).join(' ');
  const near = didYouMean(typed, all.map(({ name }) => name));
  const nearNouns = near.length > 0 ? near : didYouMean(first, [...new Set(all.map(({ name }) => name.split(' ')[0] ?? ''))]);
  const hint = nearNouns.length > 0 ? `  did you mean: ${nearNouns.map((name) => `signet ${name}`).join(', ')}\n` : '';
  io.err.write(`signet: there is no command "${typed}"\n${hint}\n${related.length > 0 ? `${listOf(related)}\n` : 'signet help lists all commands\n'}`);
  return EXIT.usage;
}

function topic(name: string, local: readonly CommandHelp[]): string | undefined {
  if (name === 'manual') return documentCli(local);
  if (name === 'completion') return `signet completion ${Object.keys(SHELLS).join('|')}\n\nPrints what teaches a shell the commands and their options.\n\nExample:\n  eval "$(signet completion bash)"\n`;
  return Object.hasOwn(TOPICS, name) ? `${TOPICS[name]?.text}\n` : undefined;
}

function localHelp(words: readonly string[], local: readonly CommandHelp[]): string | undefined {
  const command = longest(local, words);
  return command && helpOf(command);
}

function parse(command: Command, args: readonly string[]) {
  const options = optionsOf(command);
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const { message = 'wrong arguments' } = Object(error) as { message?: string };
    const [, unknown] = /^Unknown option '--?([^']+)'/.exec(message) ?? [];
    if (unknown === undefined) throw new UsageError(message);
    const near = didYouMean(unknown, Object.keys(options));
    throw new UsageError(`there is no option --${unknown}${near.length > 0 ? `; did you mean ${near.map((option) => `--${option}`).join(' or ')}?` : ''}`);
  }
}

function checkArguments({ positionals: wanted = [], mayOmitLast = false }: Command, given: readonly string[]): void {
  const repeats = wanted.at(-1)?.endsWith('...') === true;
  if (given.length === wanted.length || (mayOmitLast && given.length === wanted.length - 1) || (repeats && given.length > wanted.length)) return;
  throw new UsageError(wanted.length === 0 ? 'takes no arguments' : `needs ${wanted.map((name) => (name.endsWith('...') ? `<${name.slice(0, -3)}>...` : `<${name}>`)).join(' ')}`);
}

async function isMeant(command: Command, input: CommandInput, io: CliIo): Promise<boolean> {
  if (!command.danger || !io.ask || input.values['yes'] === true) return true;
  return io.ask(command.danger(input));
}
