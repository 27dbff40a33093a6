import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { SHELLS } from '../../../src/cli/completion.ts';

/** What bash offers for the words typed so far; the last is not finished. */
function offered(...words: string[]): string[] {
  const script = `${SHELLS['bash']!(COMMANDS)}
COMP_WORDS=(signet ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _signet; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const ran = spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8', env: { PATH: process.env.PATH ?? '' } });
  return ran.stdout.trim().split('\n').filter((word) => word !== '');
}

test('bash completes nouns, verbs, options, topics', () => {
  expect(offered('age')).toEqual(['agent']);
  expect(offered('agent', 're')).toEqual(['register', 'resume', 'retire', 'revoke-certificates']);
  expect(offered('agent', 'list', '--st')).toEqual(['--state']);
  expect(offered('agent', 'show', '01M7YV5B0RBS4E4WP8XD9NKT4E', '--')).toEqual(['--help', '--json']);
  expect(offered('help', 'exit')).toEqual(['exit-codes']);
  expect(offered('nothing', 'like', 'it', '--')).toEqual([]);
});

test('zsh and fish know every command, too', () => {
  for (const { name } of COMMANDS) {
    const verb = name.split(' ').at(-1) ?? '';
    for (const shell of ['zsh', 'fish']) expect(SHELLS[shell]!(COMMANDS)).toContain(verb);
  }
});
