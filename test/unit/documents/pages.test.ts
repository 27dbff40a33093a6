/** What the pages name is there: files and headings that links lead to, settings, commands with their options; and every block of commands has a test that runs it. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { LOCAL_COMMANDS } from '../../../src/admin/local-commands.ts';
import type { CommandHelp } from '../../../src/cli/command.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { ENVIRONMENT, optionsOf } from '../../../src/cli/help.ts';
import { CONFIG_KEYS, environmentName } from '../../../src/config/schema.ts';
import { blocksOf, pageText } from '../../support/documents.ts';

const inFolder = (folder: string): string[] => fs.readdirSync(folder).filter((name) => name.endsWith('.md')).map((name) => `${folder}/${name}`);
const PAGES = ['README.md', ...inFolder('docs'), ...inFolder('docs/adr')];

/** Which test runs the `sh` and `sql` blocks of a page. */
const RUN_BY: Record<string, string[]> = {
  'README.md': ['test/integration/readme.test.ts', 'test/slow/documents.test.ts'],
  'docs/access.md': ['test/slow/access-document.test.ts'],
  'docs/agent-developer.md': ['test/slow/documents.test.ts'],
  'docs/api.md': ['test/integration/docs.test.ts'],
  'docs/auditor.md': ['test/slow/documents.test.ts'],
  'docs/backup.md': ['test/slow/backup-docs.test.ts'],
  'docs/platform-engineer.md': ['test/slow/documents.test.ts'],
  'docs/relying-parties.md': ['test/slow/relying-servers.test.ts', 'test/slow/relying-commands.test.ts'],
  'docs/retention.md': ['test/slow/documents.test.ts'],
  'docs/upgrade.md': ['test/slow/backup-docs.test.ts'],
};
/** Blocks that no test runs, because they need a container engine, systemd, a proxy of another name, or are what runs the tests; by page, how many. */
const SHOWN_ONLY: Record<string, number> = { 'README.md': 1, 'docs/platform-engineer.md': 2, 'docs/proxies.md': 1, 'docs/relying-parties.md': 1 };
/** Programs, and configurations of other programs, which a test of these programs runs. */
const OTHER_PROGRAMS: Record<string, string[]> = { 'docs/proxies.md': ['haproxy', 'nginx', 'yaml'], 'docs/relying-parties.md': ['apache', 'haproxy', 'ini', 'java', 'nginx'], 'docs/sdk-relying-party.md': ['js'] };
const COMMAND_LINE = /^(?:[$#] )?(?:npm|npx|node|signet|curl|openssl|docker|psql|pg_\w+|systemctl|export) /m;

const byPage = (infos: readonly string[]): [string, number][] =>
  PAGES.map((page): [string, number] => [page, blocksOf(page).filter(({ info }) => infos.includes(info)).length]).filter(([, count]) => count > 0);

describe('blocks', () => {
  test('every page with commands has the test that runs them', () => {
    expect(byPage(['sh', 'sql']).map(([page]) => page).toSorted()).toEqual(Object.keys(RUN_BY).toSorted());
    for (const [page, tests] of Object.entries(RUN_BY)) for (const file of tests) expect([file, fs.readFileSync(file, 'utf8').includes(page)]).toEqual([file, true]);
  });

  test('what is only shown is listed, and no command hides in a block of another kind', () => {
    expect(Object.fromEntries(byPage(['console']))).toEqual(SHOWN_ONLY);
    // docs/cli.md is written by the program, and compared with it.
    for (const page of PAGES.filter((one) => one !== 'docs/cli.md')) {
      const others = blocksOf(page).filter(({ info }) => !['sh', 'sql', 'console'].includes(info));
      for (const { place, info, text } of others) {
        expect([place, ['', ...(OTHER_PROGRAMS[page] ?? [])].includes(info)]).toEqual([place, true]);
        expect([place, COMMAND_LINE.exec(text)?.[0]]).toEqual([place, undefined]);
      }
    }
  });
});

/** The names by which a page's headings are linked to, as GitHub makes them. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of withoutBlocks(page).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** The prose: fenced blocks left out, lines kept. */
const withoutBlocks = (page: string): string => pageText(page).replaceAll(/^```[^]*?^```$/gm, '');

describe('links', () => {
  test.each(PAGES)('%s', (page) => {
    for (const [, target = ''] of withoutBlocks(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const found = file === '' ? page : path.join(path.dirname(page), file);
      expect([target, fs.existsSync(found)]).toEqual([target, true]);
      if (anchor !== undefined) expect([target, anchorsOf(found).has(anchor)]).toEqual([target, true]);
    }
  });

  test('README leads to every page for people', () => {
    const linked = new Set([...pageText('README.md').matchAll(/\]\(([^)#\s]+)/g)].map(([, target]) => target));
    expect(inFolder('docs').filter((page) => !linked.has(page))).toEqual([]);
  });
});

describe('settings', () => {
  const known = [...CONFIG_KEYS.map(environmentName), ...ENVIRONMENT.map(([name]) => name)];
  test.each(PAGES)('%s', (page) => {
    for (const [name] of pageText(page).matchAll(/\bSIGNET_[A-Z_]+/g)) {
      const isKnown = name.endsWith('_') ? known.some((one) => one.startsWith(name)) : known.includes(name);
      expect([name, isKnown]).toEqual([name, true]);
    }
  });
});

const commands = new Map<string, CommandHelp>([...COMMANDS, ...LOCAL_COMMANDS].map((command) => [command.name, command]));
const NOT_IN_THE_TABLE = ['help', 'completion'];

/** The command that words begin with: its name may be one word or two. */
const commandOf = (words: readonly string[]): CommandHelp | undefined => commands.get(words.slice(0, 2).join(' ')) ?? commands.get(words[0] ?? '');

/** What is wrong with a command as a page writes it. */
function faultOf(written: string): string | undefined {
  const words = written.trim().split(/\s+/).slice(1);
  if (NOT_IN_THE_TABLE.includes(words[0] ?? '')) return undefined;
  const command = commandOf(words);
  if (command === undefined) return `there is no command ${words.slice(0, 2).join(' ')}`;
  const options = Object.keys(optionsOf(command));
  const unknown = words.filter((word) => /^--[a-z]/.test(word)).map((word) => word.slice(2).replace(/=.*/, '')).find((option) => !options.includes(option));
  return unknown === undefined ? undefined : `signet ${command.name} has no option --${unknown}`;
}

/** Commands in blocks, and in prose between backticks. */
function commandsOf(page: string): string[] {
  const code = [...withoutBlocks(page).matchAll(/`(signet [^`]+)`/g)].map(([, text = '']) => text);
  const shell = blocksOf(page).filter(({ info }) => info === 'sh' || info === 'console');
  const lines = shell.flatMap(({ text }) => text.replaceAll('\\\n', ' ').replaceAll('exec signet ', 'exec ').split('\n')).map((line) => line.replace(/(^| )#.*/, ''));
  const typed = lines.flatMap((line) => [...line.matchAll(/(?:^|[\s(;])(signet [a-z][^|;)]*)/g)].map(([, text = '']) => text));
  return [...code, ...typed].filter((text) => /^signet [a-z]/.test(text));
}

describe('commands', () => {
  test('what is not there is found', () => {
    expect(['signet agent show X', 'signet agent fly', 'signet backup --out f', 'signet backup verify f', 'signet renew --never 1', 'signet help danger'].map(faultOf)).toEqual([
      undefined, 'there is no command agent fly', undefined, undefined, 'signet renew has no option --never', undefined,
    ]);
    expect(commandsOf('README.md').length).toBeGreaterThan(8);
  });

  test.each(PAGES)('%s', (page) => {
    for (const written of commandsOf(page)) expect([written, faultOf(written)]).toEqual([written, undefined]);
  });
});
