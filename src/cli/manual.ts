import type { CommandHelp } from './command.ts';
import { GROUPS } from './commands.ts';
import { EXIT_MEANINGS } from './exit.ts';
import { ENVIRONMENT, helpOf, TOPICS } from './help.ts';

/** docs/cli.md: every command with its help. `local`: the commands of the machine itself. */
export function documentCli(local: readonly CommandHelp[]): string {
  const groups = [...GROUPS, { title: 'On the machine itself', commands: local }];
  const topics = Object.entries(TOPICS).filter(([name]) => name !== 'environment' && name !== 'exit-codes');
  return `# The command line

\`signet\` does everything the API does, and what must be done on the machine itself. From the checkout: \`npm run -s signet -- <command>\`. This page is what
\`signet help manual\` prints; \`signet --version\` says which version it is.

## Environment

${table(['variable', 'meaning'], ENVIRONMENT.map(([name, meaning]) => [`\`${name}\``, meaning]))}

## Exit codes

${table(['code', 'meaning'], EXIT_MEANINGS.map(([code, meaning]) => [String(code), meaning]))}

Commands on the machine itself have the codes of sysexits besides: 78 for wrong configuration; each says its own in its help.

${topics.map(([name, { summary, text }]) => `## ${name.charAt(0).toUpperCase()}${name.slice(1)}: ${summary}\n\n${text}`).join('\n\n')}

${groups.map(({ title, commands }) => `## ${title}\n\n${commands.map(section).join('\n\n')}`).join('\n\n')}
`;
}

const section = (command: CommandHelp): string => `### signet ${command.name}\n\n\`\`\`\n${helpOf(command).replace(/\n\nExit codes: [^\n]*\n$/, '\n')}\`\`\``;

const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [`| ${heads.join(' | ')} |`, `|${heads.map(() => '---|').join('')}`, ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n');
