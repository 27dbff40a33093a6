import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { LOCAL_COMMANDS } from '../../../src/admin/run-local.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { EXIT, EXIT_MEANINGS } from '../../../src/cli/exit.ts';
import { optionsOf, TOPICS } from '../../../src/cli/help.ts';
import { documentCli } from '../../../src/cli/manual.ts';
import { runCli } from '../../../src/cli/run.ts';

const NOWHERE = { SIGNET_API_URL: 'https://127.0.0.1:1', SIGNET_PUBLIC_URL: 'http://127.0.0.1:1', SIGNET_OPERATIONS_URL: 'http://127.0.0.1:1', SIGNET_FINGERPRINT: '00'.repeat(32), SIGNET_TOKEN_FILE: '/dev/null' };
const LOCAL = { name: 'local thing', usage: '<file>', summary: 'Do it on this machine', example: 'signet local thing ./file' };

interface Ran {
  code: number;
  out: string;
  err: string;
}

async function run(args: string[], change: Record<string, string | undefined> = {}, ask?: (question: string) => Promise<boolean>): Promise<Ran> {
  const said = { out: '', err: '' };
  const io = { out: { write: (text: string | Uint8Array) => (said.out += Buffer.from(text).toString()) }, err: { write: (text: string) => (said.err += text) }, env: { ...NOWHERE, ...change }, ask };
  return { code: await runCli(args, io, [LOCAL]), ...said };
}

test('help: of everything, of a noun, of a command, of a topic', async () => {
  for (const args of [[], ['help'], ['--help'], ['-h']]) {
    const { code, out } = await run(args);
    expect([args, code]).toEqual([args, 0]);
    for (const { name } of COMMANDS) expect(out).toContain(name);
    expect(out).toContain('Do it on this machine');
  }
  for (const args of [['agent', '--help'], ['help', 'agent']]) {
    const { code, out } = await run(args);
    expect(code).toBe(0);
    expect(out).toContain('agent register');
    expect(out).not.toContain('certificate revoke');
  }
  const ofCommand = await run(['help', 'agent', 'register']);
  expect(ofCommand).toEqual(await run(['agent', 'register', '--help']));
  expect(ofCommand.out).toMatch(/^signet agent register --name/);
  expect((await run(['local', 'thing', '--help'])).out).toContain('signet local thing <file>');
  for (const topic of Object.keys(TOPICS)) expect((await run(['help', topic])).code).toBe(0);
  expect((await run(['help', 'exit-codes'])).out).toContain('130');
});

test('every command: help for every option, an example that is written as its usage says', async () => {
  for (const command of COMMANDS) {
    const { code, out, err } = await run([...command.name.split(' '), '--help']);
    expect([command.name, code, err]).toEqual([command.name, 0, '']);
    for (const option of Object.keys(command.options ?? {})) expect([command.name, option, command.help?.[option] ?? '']).toEqual([command.name, option, expect.stringMatching(/^[A-Z].*[.]$/)]);
    expect(out).toContain('--json');
    expect(out.split('\n').find((line) => line.length > 140 && !line.startsWith('signet ') && !line.startsWith('  signet '))).toBeUndefined();

    // The example is taken as it stands: it fails only because a file or the server is not there.
    const words = command.example.match(/"[^"]*"|\S+/g)!.slice(1).map((word) => word.replaceAll('"', ''));
    const ran = await run(words, { SIGNET_TRUST_BUNDLE: '/nonexistent/bundle' });
    expect([command.name, ran.code === EXIT.usage && !ran.err.includes('ENOENT') ? ran.err : '']).toEqual([command.name, '']);
  }
});

test('no command takes a secret as an argument', () => {
  for (const command of COMMANDS) expect([command.name, Object.keys(optionsOf(command)).filter((option) => /^(token|password|secret|key|api-key|join-token)$/.test(option))]).toEqual([command.name, []]);
});

test('a command that is not there: exit 64, with what may have been meant', async () => {
  const verb = await run(['agent', 'regster']);
  expect(verb).toMatchObject({ code: 64, out: '' });
  expect(verb.err).toContain('there is no command "agent regster"');
  expect(verb.err).toContain('did you mean: signet agent register');
  expect(verb.err).not.toContain('certificate revoke');
  expect((await run(['certificte', 'revoke'])).err).toContain('did you mean: signet certificate revoke');
  expect((await run(['frobnicate'])).err).not.toContain('did you mean');
  expect((await run(['help', 'frobnicate'])).code).toBe(64);
  expect((await run(['agent', 'list', '--sate', 'active'])).err).toContain('did you mean --state');
});

test('a noun alone lists its verbs', async () => {
  const { code, out, err } = await run(['agent']);
  expect([code, out]).toEqual([64, '']);
  expect(err).toContain('agent register');
  expect(err).not.toContain('certificate revoke');
});

test('a file that cannot be read is wrong use, a server that is not there is not, and both say why', async () => {
  for (const key of ['SIGNET_TOKEN_FILE', 'SIGNET_TRUST_BUNDLE']) {
    const { code, err } = await run(['agent', 'list'], { [key]: '/nonexistent/file' });
    expect([key, code]).toEqual([key, 64]);
    expect(err).toContain('/nonexistent/file');
    expect(err).toContain('check that the file is there');
  }
  const { code, err } = await run(['agent', 'list']);
  expect(code).toBe(69);
  expect(err).toContain('fetch failed: ');
  expect(err).toContain('check that Signet runs');
});

test('what cannot be taken back asks where somebody sits; no is nothing done, --yes and scripts are not asked', async () => {
  const asked: string[] = [];
  const answer = (said: boolean) => (question: string) => {
    asked.push(question);
    return Promise.resolve(said);
  };
  const retire = ['agent', 'retire', '01M7YV5B0RBS4E4WP8XD9NKT4E'];
  expect(await run(retire, {}, answer(false))).toMatchObject({ code: 1, err: 'nothing was done\n' });
  expect(asked).toEqual([expect.stringContaining('01M7YV5B0RBS4E4WP8XD9NKT4E')]);
  // Asked for and meant, it goes as far as there is no server.
  for (const ran of [await run(retire, {}, answer(true)), await run([...retire, '--yes'], {}, answer(false)), await run(retire)]) expect(ran.code).toBe(69);
  expect(asked).toHaveLength(2);
  expect(COMMANDS.filter(({ danger }) => danger).map(({ name }) => name)).toEqual([
    'agent retire', 'agent revoke-certificates', 'instance revoke', 'certificate revoke', 'authority rollover-root', 'admin-token revoke',
    'relying-party remove-certificate', 'relying-party revoke-token',
  ]);
});

test('docs/cli.md is what `signet help manual` prints, and tells every exit code', () => {
  const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
  expect(page).toBe(documentCli(LOCAL_COMMANDS));
  expect(EXIT_MEANINGS.map(([code]) => code)).toEqual(Object.values(EXIT));
  for (const [code, meaning] of EXIT_MEANINGS) expect(page).toContain(`| ${code} | ${meaning} |`);
});
