import { isTime, type Command, type CommandHelp, type Options } from './command.ts';
import { GROUPS } from './commands.ts';
import { EXIT_MEANINGS } from './exit.ts';

/** Options of every command. */
export const COMMON: Options = { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } };
const COMMON_HELP: Record<string, string> = { json: 'The answer as JSON, in one line.' };
export const YES: Options = { yes: { type: 'boolean', short: 'y' } };

/** Every option of a command, those of all commands included. */
export const optionsOf = (command: CommandHelp): Options => ({ ...command.options, ...('danger' in command ? YES : {}), ...COMMON });

const helpOn = (command: CommandHelp): Record<string, string> => ({ ...command.help, ...('danger' in command ? { yes: 'Do not ask first.' } : {}), ...COMMON_HELP });

/** Variables of the environment, as help and docs/cli.md tell them. */
export const ENVIRONMENT: readonly (readonly [name: string, meaning: string])[] = [
  ['SIGNET_API_URL', 'API door (default https://127.0.0.1:8443)'],
  ['SIGNET_MTLS_URL', 'mutual TLS door (default https://127.0.0.1:8444)'],
  ['SIGNET_PUBLIC_URL', 'status door (default http://127.0.0.1:8080)'],
  ['SIGNET_OPERATIONS_URL', 'operations door (default http://127.0.0.1:9464)'],
  ['SIGNET_TOKEN_FILE', 'file with the API token'],
  ['SIGNET_TRUST_BUNDLE', 'file with the roots to trust, PEM; or'],
  ['SIGNET_FINGERPRINT', 'SHA-256 of the root: the bundle is then fetched from the status door and compared'],
];

/** What `signet help <topic>` explains; paragraphs apart by an empty line. */
export const TOPICS: Readonly<Record<string, { summary: string; text: string }>> = {
  environment: { summary: 'where the server is and who you are', text: columns(ENVIRONMENT) },
  'exit-codes': { summary: 'what the exit code says', text: columns(EXIT_MEANINGS.map(([code, meaning]) => [String(code), meaning])) },
  output: {
    summary: 'tables, JSON, times',
    text: `Lists are tables, single things lines of "name  value". With --json the answer is the server's, as one line of JSON. Answers go to standard output, errors to standard error, with what to do next.

Times are UTC (the Z says so), with milliseconds only in JSON. An option that takes a time (2026-12-01T12:00:00Z, or with another offset) takes a date alone as well: its midnight, UTC.

On a terminal a table has the columns that fit its width, from the left, and says which are left out; long values are cut, ids, serials and times never. Led into a file or a pipe nothing is cut or left out. PEM is only in JSON and in files.`,
  },
  paging: {
    summary: 'lists that are longer than a page',
    text: `A list shows one page and says how to go on: --cursor, with the same filters. --limit sets the items of a page. --all shows all pages one after the other: with --json as one document, written as the pages come.

\`signet audit list --all\` ends at the newest event.`,
  },
  secrets: {
    summary: 'where tokens and keys come from and go to',
    text: `No secret is an argument: others on the machine can read those. The API token is in the file that SIGNET_TOKEN_FILE names, a join token in that of --token-file. A new token is shown on a terminal, or written with --out to a file that only you can read; into a pipe it is never written.

\`signet enroll\` makes the key itself and keeps it in the identity folder (key.pem, mode 0600): it never leaves the machine.`,
  },
  danger: {
    summary: 'commands that ask first',
    text: `What cannot be taken back (retire, revoke, a new root) asks on a terminal; --yes does not. Without a terminal nothing is asked: a script says what it means.`,
  },
};

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, meaning]) => `  ${name.padEnd(width)}  ${meaning}`).join('\n');
}

export const listOf = (commands: readonly CommandHelp[]): string => columns(commands.map(({ name, summary }) => [name, summary]));

/** All commands, by what they are for. `local`: those of the machine itself. */
export function overview(local: readonly CommandHelp[]): string {
  const width = Math.max(...[...GROUPS.flatMap<CommandHelp>(({ commands }) => commands), ...local].map(({ name }) => name.length));
  const lines = (commands: readonly CommandHelp[]) => commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n');
  const groups = [...GROUPS, { title: 'On the machine itself, with the configuration of the service', commands: local }];
  const topics = Object.entries(TOPICS).map(([name, { summary }]): [string, string] => [name, summary]);
  return `signet <command> [arguments] [--json]

${groups.map(({ title, commands }) => `${title}:\n${lines(commands)}`).join('\n\n')}

More:
  signet <command> --help        what one command does, with an example
  signet help <topic>            ${topics.map(([name]) => name).join(', ')}
  signet completion <shell>      bash, zsh or fish
  signet --version               the version of this program

Environment:
${columns(ENVIRONMENT)}

Exit codes:
${columns(EXIT_MEANINGS.map(([code, meaning]) => [String(code), meaning]))}
`;
}

const WIDTH = 100;

/** Help of one command: how it is written, what it does, every option, an example. */
export function helpOf(command: Command | CommandHelp): string {
  const { name, usage, summary, example } = command;
  const meanings = helpOn(command);
  const options = Object.entries(optionsOf(command)).filter(([option]) => option !== 'help');
  const written = options.map(([option, { type }]): [string, string] => [`--${option}${type === 'string' ? ` <${valueOf(option, usage)}>` : ''}`, meanings[option] ?? '']);
  const width = Math.max(...written.map(([option]) => option.length));
  const lines = written.map(([option, meaning]) => `  ${option.padEnd(width)}  ${wrap(meaning, width + 4)}`.trimEnd());
  return `${`signet ${name} ${usage}`.trimEnd()}\n\n${summary}.\n\nOptions:\n${lines.join('\n')}\n\nExample:\n  ${example}\n\nExit codes: signet help exit-codes\n`;
}

const FILES: readonly string[] = ['out', 'token-file', 'issuer', 'certificate', 'from', 'crl', 'intermediates'];

/** What stands for the value of an option: as the usage has it, or as options of that name are. */
function valueOf(option: string, usage: string): string {
  const [, shown] = new RegExp(`--${option} <([^>]+)>`).exec(usage) ?? [];
  if (shown !== undefined) return shown;
  if (FILES.includes(option)) return 'file';
  if (option === 'dir') return 'folder';
  if (/(^|-)(ttl|cap|within)$/.test(option)) return 'seconds';
  if (isTime(option)) return 'time';
  if (/(^|-)id$/.test(option)) return 'id';
  return option === 'label' ? 'key=value' : 'value';
}

/** Words in lines of at most WIDTH characters, the next ones indented. */
function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`);
}
