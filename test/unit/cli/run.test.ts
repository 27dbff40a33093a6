import { expect, test } from '@jest/globals';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { runCli } from '../../../src/cli/run.ts';

const NOWHERE = { SIGNET_API_URL: 'https://127.0.0.1:1', SIGNET_PUBLIC_URL: 'http://127.0.0.1:1', SIGNET_FINGERPRINT: '00'.repeat(32), SIGNET_TOKEN_FILE: '/dev/null' };

const LOCAL = { name: 'local thing', usage: '<file>', summary: 'Do it on this machine', example: 'signet local thing ./file' };

async function run(args: string[], change: Record<string, string | undefined> = {}): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const io = { out: { write: (text: string) => (said.out += text) }, err: { write: (text: string) => (said.err += text) }, env: { ...NOWHERE, ...change } };
  return { code: await runCli(args, io, [LOCAL]), ...said };
}

test('help: of everything, of a noun, of a command', async () => {
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
});

test('a command that is not there: exit 64, with what there is instead', async () => {
  const verb = await run(['agent', 'regster', '--help']);
  expect(verb).toMatchObject({ code: 64, out: '' });
  expect(verb.err).toContain('there is no command "agent regster"');
  expect(verb.err).toContain('agent register');
  expect(verb.err).not.toContain('certificate revoke');
  expect(await run(['agent'])).toMatchObject({ code: 64, out: '' });
  expect((await run(['frobnicate'])).err).toContain('certificate revoke');
  expect((await run(['help', 'frobnicate'])).code).toBe(64);
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
