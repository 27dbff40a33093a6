import type { CommandHelp } from './command.ts';
import { optionsOf, TOPICS } from './help.ts';

/** How each shell is taught: words that may follow what was typed so far. */
export const SHELLS: Readonly<Record<string, (commands: readonly CommandHelp[]) => string>> = { bash, zsh, fish };

/** What may follow, by the words before: nouns, verbs, options. */
function followers(commands: readonly CommandHelp[]): Map<string, string[]> {
  const words = new Map<string, Set<string>>();
  const add = (before: string, word: string) => void words.set(before, (words.get(before) ?? new Set()).add(word));
  for (const command of commands) {
    const parts = command.name.split(' ');
    parts.forEach((part, i) => add(parts.slice(0, i).join(' '), part));
    for (const option of Object.keys(optionsOf(command))) add(command.name, `--${option}`);
  }
  for (const word of ['help', 'completion']) add('', word);
  for (const topic of Object.keys(TOPICS)) add('help', topic);
  for (const shell of ['bash', 'zsh', 'fish']) add('completion', shell);
  return new Map([...words].map(([before, set]) => [before, [...set]]));
}

function bash(commands: readonly CommandHelp[]): string {
  const cases = [...followers(commands)].map(([before, words]) => `    '${before}') words='${words.join(' ')}' ;;`);
  return `# eval "$(signet completion bash)"
_signet() {
  local words='' path="\${COMP_WORDS[*]:1:COMP_CWORD-1}"
  # The longest beginning that is a command: arguments and options may follow it.
  while :; do
    case "$path" in
${cases.join('\n')}
    esac
    [ -n "$words" ] || [ -z "$path" ] && break
    case "$path" in *' '*) path="\${path% *}" ;; *) path='' ;; esac
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _signet signet
`;
}

/** zsh understands what bash does. */
const ZSH_HEAD = '# eval "$(signet completion zsh)"\nautoload -U +X bashcompinit && bashcompinit\n';
function zsh(commands: readonly CommandHelp[]): string {
  return ZSH_HEAD + bash(commands).split('\n').slice(1).join('\n');
}

function fish(commands: readonly CommandHelp[]): string {
  const lines = [...followers(commands)].map(([before, words]) => {
    const parts = before === '' ? [] : before.split(' ');
    const condition = parts.length === 0 ? '__fish_use_subcommand' : parts.map((part) => `__fish_seen_subcommand_from ${part}`).join('; and ');
    return `complete -c signet -f -n '${condition}' -a '${words.join(' ')}'`;
  });
  return `# signet completion fish | source\n${lines.join('\n')}\n`;
}
