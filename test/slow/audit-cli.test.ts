/** The commands of the audit log as an auditor, a cron job and an operator run them: what they say, what they remember, and their exit codes. */
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from '../../src/cli/run.ts';
import { openCheckpoint } from '../../src/verify/log/checkpoint.ts';
import { parseVerifierKey } from '../../src/verify/log/note.ts';
import { decodeEntries, encodeEntries } from '../../src/verify/log/tiles.ts';
import { jsonOf } from '../support/https-client.ts';
import { runLocal, type LocalRun } from '../support/local-cli.ts';
import { noteSigner } from '../support/log.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { startService, type Identity, type Service } from '../support/service.ts';

let service: Service;
let folder: string;
let env: Record<string, string>;
let identity: Identity;
let size: number;
const file = (name: string) => path.join(folder, name);
const read = <T = Record<string, unknown>>(name: string) => JSON.parse(fs.readFileSync(file(name), 'utf8')) as T;

beforeAll(async () => {
  service = await startService();
  folder = temporaryFolder('signet-audit-cli-');
  const { urls, rootPem, dataDir } = service.signet;
  env = {
    PATH: process.env.PATH ?? '', SIGNET_API_URL: urls.api, SIGNET_PUBLIC_URL: urls.status, SIGNET_TOKEN_FILE: path.join(dataDir, 'bootstrap-admin-token'),
    SIGNET_FINGERPRINT: createHash('sha256').update(new X509Certificate(rootPem).raw).digest('hex'),
  };
  identity = await service.enrolled();
  fs.writeFileSync(file('root.pem'), rootPem);
  fs.writeFileSync(file('log.vkey'), (await service.status.send('GET', '/tlog/key')).body);
  await covered();
}, 120_000);
afterAll(async () => {
  await service.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Waits for a checkpoint of all there is, and keeps it. */
async function covered(): Promise<void> {
  for (;;) {
    const { body } = await service.status.send('GET', '/tlog/checkpoint');
    const [row] = await service.database.db.$queryRaw<{ last: bigint }[]>`SELECT max(n) AS last FROM audit_events`;
    size = Number(body.toString().split('\n')[1] ?? 0);
    if (size >= Number(row?.last)) return fs.writeFileSync(file('kept.checkpoint'), body);
    await sleep(100);
  }
}

/** A command that asks the service, in this process. */
async function signet(...args: string[]): Promise<LocalRun> {
  const said = { out: '', err: '' };
  const io = { out: { write: (text: string | Uint8Array) => (said.out += Buffer.from(text).toString()) }, err: { write: (text: string) => (said.err += text) }, env };
  return { code: await runCli(args, io, []), ...said };
}
/** One on the machine itself, as the built program. */
const onMachine = (...args: string[]) => runLocal({ dataDir: service.signet.dataDir, database: service.database, env }, args);

describe('evidence', () => {
  const check = (name: string, ...more: string[]) => signet('audit', 'verify-evidence', file(name), '--root', file('root.pem'), '--log-key', file('log.vkey'), ...more);
  beforeAll(async () => {
    const { items } = jsonOf<{ items: { id: string }[] }>(await service.admin.send('GET', `/v1/audit?serial=${identity.serial}`));
    expect(await signet('audit', 'evidence', items[0]?.id ?? '', '--out', file('event.json'))).toEqual({ code: 0, out: `${file('event.json')}\n`, err: '' });
  });

  test('that holds says what is proven and what is not', async () => {
    expect(fs.statSync(file('event.json')).mode & 0o777).toBe(0o600);
    const { code, out } = await check('event.json');
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^the evidence holds\\n\\nproven:\\n[\\s\\S]*certificate\\.issued[\\s\\S]*${identity.serial}[\\s\\S]*\\nnot proven:\\n  - `));
    const record = JSON.parse((await check('event.json', '--json')).out) as object;
    expect(record).toMatchObject({ holds: true, event: { kind: 'certificate.issued', serial: identity.serial }, checkpoint: { cosignatures: [] }, proven: expect.any(Array), unproven: expect.any(Array) });
  });

  test.each<[string, (bundle: Record<string, unknown>) => unknown, string]>([
    ['another index', (bundle) => ({ ...bundle, index: 0, n: '1' }), 'not-included'],
    ['another format', (bundle) => ({ ...bundle, format: 'x' }), 'malformed-proof'],
    ['no JSON', () => undefined, 'malformed-proof'],
  ])('that was damaged does not hold: %s', async (_, damage, fault) => {
    fs.writeFileSync(file('damaged.json'), JSON.stringify(damage(read('event.json'))) ?? 'no JSON');
    const { code, out } = await check('damaged.json');
    expect([code, out.startsWith(`the evidence does NOT hold [${fault}]: `)]).toEqual([1, true]);
    expect(JSON.parse((await check('damaged.json', '--json')).out)).toMatchObject({ holds: false, fault });
  });

  test('a quorum that is not reached is exit code 1, wrong use is 64', async () => {
    const other = noteSigner('other.example', 'cosignature');
    expect(JSON.parse((await check('event.json', '--json', '--witness', other.vkey, '--quorum', '1')).out)).toMatchObject({ holds: false, fault: 'too-few-witnesses' });
    expect((await signet('audit', 'verify-evidence', file('event.json'), '--log-key', file('log.vkey'))).code).toBe(64);
    expect((await signet('audit', 'verify-evidence', file('event.json'), '--root', file('log.vkey'), '--log-key', file('log.vkey'))).code).toBe(64);
  });
});

describe('audit monitor', () => {
  const look = (state: string, ...more: string[]) => signet('audit', 'monitor', '--log-key', file('log.vkey'), '--state', file(state), '--once', ...more);

  test('remembers what it saw, and is quiet where nothing is wrong', async () => {
    expect(await look('monitor.json')).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+ events, root \w{64} \(the first checkpoint seen/), err: '' });
    await service.register();
    await covered();
    expect(await look('monitor.json')).toMatchObject({ code: 0, out: expect.stringMatching(/, grown from what was seen before\n$/), err: '' });
    expect(read('monitor.json')).toMatchObject({ size, checkpoint: fs.readFileSync(file('kept.checkpoint'), 'utf8') });
  });

  test('alarms for a watched name, and tells the command of --on-alarm on its standard input', async () => {
    const { code, err } = await look('names.json', '--watch', identity.agentId, '--from-start', '--on-alarm', `cat >> ${file('alarms')}; exit 3`);
    expect([code, err]).toEqual([1, expect.stringMatching(new RegExp(`ALARM issued: event \\d+: certificate ${identity.serial} was issued for agent ${identity.agentId}[^\\n]*\\nthe command of --on-alarm ended with 3`))]);
    const alarms = fs.readFileSync(file('alarms'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as object);
    expect(alarms).toContainEqual(expect.objectContaining({ alarm: 'issued', event: expect.any(Number), log: expect.stringContaining('+') }));
    // Each event once.
    expect((await look('names.json', '--watch', identity.agentId)).code).toBe(0);
    expect(await look('names.json', '--watch', 'somebody-else')).toMatchObject({ code: 64, err: expect.stringMatching(/other names/) });
  });

  test('alarms for a fork, a step back and another key, and keeps what it knew as evidence', async () => {
    const state = read<{ size: number; root: string }>('monitor.json');
    for (const [change, kind] of [[{ root: '00'.repeat(32) }, 'fork'], [{ size: state.size - 1, root: '00'.repeat(32) }, 'fork'], [{ size: state.size + 1_000_000 }, 'went-back']] as const) {
      fs.writeFileSync(file('changed.json'), JSON.stringify({ ...state, ...change }));
      const { code, err } = await look('changed.json', '--json');
      expect([code, (JSON.parse(err) as { alarm: string }).alarm]).toEqual([1, kind]);
      expect(read('changed.json')).toEqual({ ...state, ...change });
    }
    const other = noteSigner(parseVerifierKey(fs.readFileSync(file('log.vkey'), 'utf8').trim()).name);
    const { code, err } = await signet('audit', 'monitor', '--log-key', other.vkey, '--state', file('other.json'), '--once');
    expect([code, err]).toEqual([1, expect.stringMatching(/^ALARM not-believed: /)]);
    fs.writeFileSync(file('broken.json'), 'no state');
    expect(await look('broken.json')).toMatchObject({ code: 64, err: expect.stringMatching(/keep the file for evidence/) });
  });
});

describe('audit verify', () => {
  const verify = (from: string, ...more: string[]) => onMachine('audit', 'verify', '--from', from, '--log-key', file('log.vkey'), '--json', ...more);
  const door = () => service.signet.urls.status;

  test('over the doors: whole beside the kept checkpoint; a second run goes on from the first', async () => {
    const whole = await verify(door(), '--checkpoint', file('kept.checkpoint'), '--state', file('verified.json'));
    expect([whole.err, whole.code]).toEqual(['', 0]);
    const first = JSON.parse(whole.out) as { events: number; root: string };
    expect(first).toMatchObject({ whole: true, findings: [], remarks: [] });
    expect(read('verified.json')).toMatchObject({ format: 'signet-audit-verify/v1', size: first.events });
    const again = await verify(door(), '--checkpoint', file('kept.checkpoint'), '--state', file('verified.json'));
    expect(JSON.parse(again.out)).toMatchObject({ whole: true, remarks: [expect.stringMatching(/were judged by an earlier run/)] });
    fs.writeFileSync(file('foreign.json'), JSON.stringify({ ...read('verified.json'), origin: 'another' }));
    expect(await verify(door(), '--state', file('foreign.json'))).toMatchObject({ code: 64, err: expect.stringMatching(/of another log/) });
    expect((await onMachine('audit', 'verify', '--from', door())).code).toBe(64);
  });

  test('of a folder with a copy: an edit and a damaged tile are found at their place, and nothing is remembered', async () => {
    const { body: note } = await service.status.send('GET', '/tlog/checkpoint');
    const { size: width } = openCheckpoint(note, { logKey: parseVerifierKey(fs.readFileSync(file('log.vkey'), 'utf8').trim()) });
    expect(width).toBeLessThan(256);
    const copy = file('copy');
    for (const [level, reply] of [['0', await service.status.send('GET', `/tlog/tile/0/000.p/${width}`)], ['entries', await service.admin.send('GET', `/tlog/tile/entries/000.p/${width}`)]] as const) {
      fs.mkdirSync(path.join(copy, `tile/${level}/000.p`), { recursive: true });
      fs.writeFileSync(path.join(copy, `tile/${level}/000.p/${width}`), reply.body);
    }
    fs.writeFileSync(path.join(copy, 'checkpoint'), note);
    expect((await verify(copy)).code).toBe(0);
    const entriesFile = path.join(copy, `tile/entries/000.p/${width}`);
    const entries = decodeEntries(fs.readFileSync(entriesFile), width);
    entries[2] = Buffer.from((entries[2] ?? Buffer.alloc(0)).toString().replace('"success"', '"failure"'));
    fs.writeFileSync(entriesFile, encodeEntries(entries));
    const edited = await verify(copy, '--state', file('never.json'));
    expect([edited.code, (JSON.parse(edited.out) as { findings: object[] }).findings]).toEqual([1, [expect.objectContaining({ fault: 'edited', index: 2, last: 2 })]]);
    expect(fs.existsSync(file('never.json'))).toBe(false);
  });
});

test('audit restart-log: another name and key; who follows the old one is told', async () => {
  expect((await onMachine('audit', 'restart-log')).code).toBe(64);
  expect((await onMachine('audit', 'restart-log', '--reason', 'two\nlines')).code).toBe(64);
  const { code, out } = await onMachine('audit', 'restart-log', '--reason', 'key rotation', '--json');
  const { ended, begun } = JSON.parse(out) as { ended: string; begun: string };
  expect([code, begun.startsWith(`${ended}/`)]).toEqual([0, true]);
  for (;;) {
    const { status, body } = await service.status.send('GET', '/tlog/checkpoint');
    if (status === 200 && body.toString().startsWith(`${begun}\n`)) break;
    await sleep(100);
  }
  const followed = await signet('audit', 'monitor', '--log-key', file('log.vkey'), '--state', file('monitor.json'), '--once');
  expect([followed.code, followed.err]).toEqual([1, expect.stringMatching(/^ALARM not-believed/)]);
}, 60_000);
