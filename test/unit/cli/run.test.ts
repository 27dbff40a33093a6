import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LOCAL_COMMANDS } from '../../../src/admin/local-commands.ts';
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
    expect(err).toContain(`${key}: ENOENT`);
    expect(err).toContain('/nonexistent/file');
    expect(err).toContain('check that the file is there');
  }
  const { code, err } = await run(['agent', 'list']);
  expect(code).toBe(69);
  expect(err).toContain('fetch failed: ');
  expect(err).toContain('check that Signet runs');
});

test('a file is named with the option or argument it came from', async () => {
  for (const [args, from] of [
    [['enroll', '--token-file', '/nonexistent/token', '--dir', '/nonexistent/folder'], '--token-file'],
    [['renew', '--dir', '/nonexistent/folder'], '--dir'],
    [['ocsp', '/nonexistent/chain.pem'], '<certificate file>'],
    [['relying-party', 'add-certificate', '01M7YV5B0RBS4E4WP8XD9NKT4E', '--certificate', '/nonexistent/certificate'], '--certificate'],
  ] as const) {
    expect(await run([...args])).toMatchObject({ code: 64, err: expect.stringContaining(`${from}: ENOENT`) as unknown as string });
  }
});

test('an empty variable is one that is not set; an address that is none is named', async () => {
  expect(await run(['agent', 'list'], { SIGNET_TRUST_BUNDLE: '', SIGNET_FINGERPRINT: '' })).toMatchObject({ code: 64, err: expect.stringContaining('nothing to trust') as unknown as string });
  expect(await run(['agent', 'list'], { SIGNET_TOKEN_FILE: '' })).toMatchObject({ code: 64, err: expect.stringContaining('SIGNET_TOKEN_FILE is not set') as unknown as string });
  // Not the empty file name, nor the address of nowhere: what holds without the variable.
  expect(await run(['health'], { SIGNET_OPERATIONS_URL: '' })).not.toMatchObject({ code: 64 });
  expect(await run(['agent', 'list'], { SIGNET_TRUST_BUNDLE: '', SIGNET_API_URL: 'signet.example:8443' })).toMatchObject({ code: 64, err: expect.stringContaining('SIGNET_API_URL must be an address') as unknown as string });
});

test('a folder that holds an identity, or any private key, is left as it is unless --replace is given', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'signet-identity-'));
  try {
    writeFileSync(path.join(folder, 'key.pem'), 'a key');
    const enroll = ['enroll', '--token-file', '/nonexistent/token', '--dir', folder];
    const refused = await run(enroll);
    expect(refused).toMatchObject({ code: 64, out: '' });
    expect(refused.err).toContain(`${folder} holds a private key: renew it (signet renew), choose another folder, or give --replace`);
    expect(readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'utf8')])).toEqual([['key.pem', 'a key']]);
    // It gets as far as the token.
    expect((await run([...enroll, '--replace'])).err).toContain('--token-file: ENOENT');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('what a server says', () => {
  let server: http.Server;
  let url: string;
  let asked: string[] = [];
  let answer: object;
  /** To what asks for a change, instead of `answer`. */
  let refusal: { status: number; code: string } & Record<string, unknown> | undefined;
  beforeAll(async () => {
    server = http.createServer((request, response) => {
      asked.push(request.url ?? '');
      const said: object = (request.method === 'POST' ? refusal : undefined) ?? answer;
      response.writeHead('status' in said ? Number(said.status) : 200, { 'content-type': 'status' in said ? 'application/problem+json' : 'application/json' }).end(JSON.stringify(said));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());
  const ask = (args: string[]) => run(args, { SIGNET_API_URL: url, SIGNET_TRUST_BUNDLE: '/dev/null' });
  const invalid = (fields: { path: string; message: string }[]) => ({ status: 400, code: 'invalid-request', title: 'The request is not valid', detail: `${fields[0]?.path}: ${fields[0]?.message}`, next: 'Correct the members named in `fields`', requestId: 'R1', fields });

  test.each([
    [['agent', 'register', '--name', 'X', '--purpose', 'p'], [['/name', '--name'], ['/ownerEmail', '--owner'], ['/deputyEmail', '--deputy'], ['/dnsNames/1', '--dns-name (number 2)'], ['/labels/a~1b', '--label a/b']]],
    [['agent', 'list', '--owner', 'X'], [['/query/ownerEmail', '--owner'], ['/query/limit', '--limit']]],
    [['agent', 'show', 'X'], [['/path/agentId', '<agentId>']]],
    [['admin-token', 'rotate', '--id', 'X', '--ttl', '5', '--out', path.join(tmpdir(), 'signet-no-token')], [['/path/tokenId', '--id'], ['/overlapSeconds', '--overlap']]],
    [['status', 'x', 'y'], [['/serials/0', '<serial> (number 1)']]],
  ] as const)('%j: what is not valid is told once, in the words of the command line', async (args, cases) => {
    answer = invalid(cases.map(([wire]) => ({ path: wire, message: 'must be better' })));
    const name = args[0] === 'status' ? 'status' : args.slice(0, 2).join(' ');
    expect(await ask([...args])).toEqual({
      code: 1, out: '', err: `signet ${name}: ${cases.map(([, typed]) => `${typed}: must be better`).join('\n  ')}\n  next: correct it and repeat the command; signet ${name} --help explains it\n  request id: R1\n`,
    });
  });

  test('"not now" does not take the key of an earlier request whose answer was lost; a refusal does', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'signet-identity-'));
    try {
      writeFileSync(path.join(folder, 'token'), 'a token');
      const enroll = () => ask(['enroll', '--token-file', path.join(folder, 'token'), '--dir', path.join(folder, 'identity')]);
      const sent = () => readFileSync(path.join(folder, 'identity/next-key.pem'), 'utf8');
      answer = { pem: '' };
      refusal = { status: 429, code: 'rate-limited', title: 'x', next: 'Wait.', requestId: 'R1' };
      expect((await enroll()).code).toBe(75);
      const key = sent();
      expect((await enroll()).code).toBe(75);
      expect(sent()).toBe(key);
      refusal = { status: 401, code: 'join-token-unknown', title: 'x', next: 'Ask.', requestId: 'R1' };
      expect((await enroll()).code).toBe(1);
      expect(readdirSync(path.join(folder, 'identity'))).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('members that a text names are told as options', async () => {
    refusal = undefined;
    answer = { status: 403, code: 'ttl-not-granted', title: 'x', detail: 'too long', next: 'Leave ttlSeconds out.', requestId: 'R1' };
    expect((await ask(['admin-token', 'rotate', '--self', '--ttl', '5', '--out', path.join(tmpdir(), 'signet-no-token')])).err).toContain('next: Leave --ttl out.');
  });

  test('a date alone is its midnight, UTC; a number stays one', async () => {
    answer = { items: [], nextCursor: null };
    asked = [];
    await ask(['certificate', 'list', '--expires-before', '2026-12-01', '--issued-after', '2026-11-01T12:00:00+01:00']);
    await ask(['admin-token', 'list', '--unused-since', '2026-08-01']);
    await ask(['audit', 'list', '--after', '5', '--until', '2026-08-01']);
    expect(asked.map((one) => decodeURIComponent(one.slice(one.indexOf('?') + 1)).replaceAll('+', ' '))).toEqual([
      'expiresBefore=2026-12-01T00:00:00Z&issuedAfter=2026-11-01T12:00:00 01:00', 'unusedSince=2026-08-01T00:00:00Z', 'after=5&until=2026-08-01T00:00:00Z',
    ]);
    expect((await run(['certificate', 'list', '--help'])).out.replaceAll(/\s+/g, ' ')).toContain('end before this time. A date alone is its midnight, UTC.');
  });
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
