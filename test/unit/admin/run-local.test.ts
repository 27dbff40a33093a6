import { expect, test } from '@jest/globals';
import { LOCAL_COMMANDS } from '../../../src/admin/local-commands.ts';
import { localHelp, runLocal } from '../../../src/admin/run-local.ts';

async function run(args: string[], env: Record<string, string> = {}) {
  const said = { out: '', err: '' };
  const io = { out: { write: (text: string) => (said.out += text) }, err: { write: (text: string) => (said.err += text) }, env: { SIGNET_DATA_DIR: '/nonexistent', ...env } };
  return { code: await runLocal(args, io), ...said };
}

test('every local command has help with an example, its options and its exit codes, and stands in the overview', async () => {
  for (const { name, example, summary, options } of LOCAL_COMMANDS) {
    const { code, out, err } = await run([...name.split(' '), '--help']);
    expect([name, code, err]).toEqual([name, 0, '']);
    for (const part of [example, summary, '--json', 'Exit codes:', ...Object.keys(options ?? {}).map((option) => `--${option}`)]) expect(out).toContain(part);
    expect(await run(['help', ...name.split(' ')])).toEqual({ code, out, err });
    expect(localHelp()).toContain(name);
    expect(await run([...name.split(' '), '--no-such-option'])).toMatchObject({ code: 64, out: '' });
  }
  expect(await run(['agent', 'list'])).toMatchObject({ code: undefined });
});

test('the longer name is meant: backup verify is not backup', async () => {
  expect(await run(['backup', 'verify', '/nonexistent/file'])).toMatchObject({ code: 1, err: expect.stringMatching(/^signet backup verify: [^]*cannot be read[^]*\n {2}next: /) as unknown as string });
  expect(await run(['backup'])).toMatchObject({ code: 64, err: expect.stringContaining('--out is needed') as unknown as string });
});

test.each([
  [['admin', 'recover'], '--out is needed'],
  [['admin', 'recover', '--restored', '--moved'], 'exclude each other'],
  [['admin', 'recover', '--restored', '--revoke-others'], '--revoke-others needs --out'],
  [['admin', 'recover', '--out', 'x', '--crl', 'y'], 'belong to --restored'],
  [['restore'], '--from is needed'],
  [['migrate', 'now'], 'takes no arguments'],
])('%j is wrong use: exit code 64 and the help', async (args, why) => {
  const { code, err } = await run(args);
  expect([code, err]).toEqual([64, expect.stringContaining(why)]);
  expect(err).toContain('Example:');
});

test('without a database: exit code 78, and where it was looked for; with a wrong configuration as the service says it', async () => {
  expect(await run(['migrate', '--check'])).toMatchObject({ code: 78, out: '', err: expect.stringContaining('there is no database in /nonexistent') as unknown as string });
  expect(await run(['migrate'], { SIGNET_WORKERS: 'many' })).toMatchObject({ code: 78, err: expect.stringContaining('SIGNET_WORKERS') as unknown as string });
});
