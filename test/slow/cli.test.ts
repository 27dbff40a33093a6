import { spawn, spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATIONS, type OperationId } from '../../src/api/operations.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { runCli } from '../../src/cli/run.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { selfSigned } from '../support/self-signed.ts';
import { startSignet, type SignetProcess } from '../support/signet-process.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LONG = 120_000;
let signet: SignetProcess;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  // Lists in two shards, so that there are shards to fetch.
  signet = await startSignet({ env: { SIGNET_CRL_SHARDS: '2' } });
  folder = temporaryFolder('signet-cli-');
  env = {
    PATH: process.env.PATH ?? '',
    SIGNET_API_URL: signet.urls.api,
    SIGNET_MTLS_URL: signet.urls.mtls,
    SIGNET_PUBLIC_URL: signet.urls.status,
    SIGNET_OPERATIONS_URL: signet.urls.operations,
    SIGNET_FINGERPRINT: createHash('sha256').update(new X509Certificate(signet.rootPem).raw).digest('hex'),
    SIGNET_TOKEN_FILE: path.join(signet.dataDir, 'bootstrap-admin-token'),
  };
}, LONG);
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Runs `signet` as a person would, and gives what it said. */
function run(args: string[], change: Record<string, string> = {}) {
  const ran = spawnSync(process.execPath, [path.join(ROOT, 'dist/signet.js'), ...args], { cwd: folder, env: { ...env, ...change }, encoding: 'utf8' });
  return { code: ran.status, out: ran.stdout, err: ran.stderr };
}

function json(args: string[]): Record<string, never> {
  const { code, out, err } = run([...args, '--json']);
  expect([args.join(' '), code, err]).toEqual([args.join(' '), 0, '']);
  return JSON.parse(out) as Record<string, never>;
}

/** The same in this process, which costs no start: for commands that are one request. */
async function quick(args: string[], change: Record<string, string> = {}) {
  const said = { out: '', err: '' };
  const io = { out: { write: (text: string | Uint8Array) => (said.out += Buffer.from(text).toString()) }, err: { write: (text: string) => (said.err += text) }, env: { ...env, ...change } };
  return { code: await runCli(args, io, []), ...said };
}

/** The words of a line, `./` being the folder of the test. */
const words = (line: string): string[] => line.split(' ').map((word) => word.replace(/^\.\//, `${folder}/`));
const done = (line: string): Promise<Record<string, unknown>> => quickJson(words(line));

const file = (name: string): string => path.join(folder, name);

async function quickJson(args: string[], change: Record<string, string> = {}): Promise<Record<string, never>> {
  const { code, out, err } = await quick([...args, '--json'], change);
  expect([args.join(' '), code, err]).toEqual([args.join(' '), 0, '']);
  return JSON.parse(out) as Record<string, never>;
}

describe('signet', () => {
  test('a life: register, join token, enroll, renew, hold, release, revoke, retire', () => {
    const agent = json(['agent', 'register', '--name', 'cli-life', '--owner', 'Alice@Example.org', '--purpose', 'tests', '--label', 'team=a=b', '--label', 'tier=1']);
    expect(agent).toMatchObject({ state: 'active', ownerEmail: 'alice@example.org', labels: { team: 'a=b', tier: '1' } });
    const id = String(agent['id']);

    expect(json(['join-token', 'create', id, '--ttl', '60', '--out', 'token'])).not.toHaveProperty('token');
    expect(fs.statSync(path.join(folder, 'token')).mode & 0o777).toBe(0o600);
    const enrolled = json(['enroll', '--token-file', 'token', '--dir', 'identity']);
    expect(enrolled).toMatchObject({ agentId: id, generation: 1, spiffeId: `spiffe://signet.internal/agent/${id}` });
    expect(fs.statSync(path.join(folder, 'identity/key.pem')).mode & 0o777).toBe(0o600);

    const renewed = json(['renew', '--dir', 'identity', '--key-type', 'ed25519']);
    expect(renewed).toMatchObject({ instanceId: enrolled['instanceId'], generation: 2 });
    const serial = String(renewed['serial']);
    expect(json(['status', serial])).toMatchObject({ status: 'good' });
    expect(json(['certificate', 'hold', serial])).toMatchObject({ status: 'held' });
    expect(json(['status', serial])).toMatchObject({ status: 'held', reason: 'certificateHold' });
    expect(json(['certificate', 'release', serial])).toMatchObject({ status: 'good' });
    expect(json(['certificate', 'revoke', serial, '--reason', 'superseded'])).toMatchObject({ status: 'revoked', reason: 'superseded' });
    expect(json(['certificate', 'list', '--agent-id', id])).toMatchObject({ items: [{ generation: 1 }, { generation: 2, status: 'revoked' }] });
    expect(json(['agent', 'retire', id])).toMatchObject({ state: 'retired' });
    expect(json(['status', String(enrolled['serial'])])).toMatchObject({ status: 'revoked', reason: 'cessationOfOperation' });
  }, LONG);

  test('an answer that is lost, and a request that fails, leave the identity as it was; asked again, the same key gets the same certificate', () => {
    const id = String(json(['agent', 'register', '--name', 'cli-lost', '--owner', 'a@example.org', '--purpose', 'tests'])['id']);
    json(['join-token', 'create', id, '--out', 'token-2']);
    expect(run(['enroll', '--token-file', 'token-2', '--dir', 'lost'], { SIGNET_API_URL: 'https://127.0.0.1:1' }).code).toBe(69);
    const read = (name: string) => fs.readFileSync(path.join(folder, 'lost', name), 'utf8');
    const sent = read('next-key.pem');
    const enrolled = json(['enroll', '--token-file', 'token-2', '--dir', 'lost']);
    expect(read('key.pem')).toBe(sent);
    expect(fs.existsSync(path.join(folder, 'lost/next-key.pem'))).toBe(false);

    // As if the answer of that request had been lost: the same token and key give the same certificate.
    for (const name of ['chain.pem', 'certificate.pem']) fs.rmSync(path.join(folder, 'lost', name));
    fs.renameSync(path.join(folder, 'lost/key.pem'), path.join(folder, 'lost/next-key.pem'));
    expect(json(['enroll', '--token-file', 'token-2', '--dir', 'lost'])['serial']).toBe(enrolled['serial']);
    // Another enrollment would replace the identity: only where that is meant, and not with a spent token and another key. Key and certificate still fit.
    expect(run(['enroll', '--token-file', 'token-2', '--dir', 'lost'])).toMatchObject({ code: 64, err: expect.stringContaining(`lost holds the identity spiffe://signet.internal/agent/${id}, valid until 2`) as unknown as string });
    expect(run(['enroll', '--token-file', 'token-2', '--dir', 'lost', '--replace']).code).toBe(1);
    expect(read('key.pem')).toBe(sent);
    // Cut short before the key was in its place: it is put there, and the identity is not lost to an enrollment that is refused.
    fs.renameSync(path.join(folder, 'lost/key.pem'), path.join(folder, 'lost/next-key.pem'));
    expect(run(['enroll', '--token-file', 'token-2', '--dir', 'lost']).code).toBe(64);
    expect(read('key.pem')).toBe(sent);
    json(['join-token', 'create', id, '--out', 'token-3']);
    expect(json(['enroll', '--token-file', 'token-3', '--dir', 'lost', '--replace'])).toMatchObject({ generation: 1, agentId: id });
    expect(read('key.pem')).not.toBe(sent);

    // A renewal cut short between the new chain and its key finds the key.
    const before = read('key.pem');
    json(['renew', '--dir', 'lost']);
    fs.renameSync(path.join(folder, 'lost/key.pem'), path.join(folder, 'lost/next-key.pem'));
    fs.writeFileSync(path.join(folder, 'lost/key.pem'), before);
    expect(json(['renew', '--dir', 'lost'])).toMatchObject({ generation: 3 });
  }, LONG);

  test('what the command trusts to reach the server is not what the agent is told to trust: the roots of the service', async () => {
    // A proxy that ends TLS with a certificate of another authority.
    const { certificate, key } = selfSigned('proxy', { names: ['IP:127.0.0.1'] });
    fs.writeFileSync(file('proxy.pem'), certificate);
    const agent = new https.Agent({ ca: signet.rootPem });
    const proxy = https.createServer({ cert: certificate, key }, (request, response) => {
      const onward = https.request(new URL(request.url ?? '/', signet.urls.api), { method: request.method, headers: request.headers, agent }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    try {
      const id = String((await done('agent register --name cli-proxy --owner a@example.org --purpose tests'))['id']);
      await done(`join-token create ${id} --out ./proxy-token`);
      const env = { SIGNET_API_URL: `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`, SIGNET_TRUST_BUNDLE: file('proxy.pem') };
      expect(await quick(['enroll', '--token-file', file('proxy-token'), '--dir', file('proxied')], { ...env, SIGNET_TRUST_BUNDLE: '' })).toMatchObject({ code: 69 });
      await quickJson(['enroll', '--token-file', file('proxy-token'), '--dir', file('proxied')], env);
      expect(fs.readFileSync(file('proxied/trust-bundle.pem'), 'utf8').trim()).toBe(signet.rootPem.trim());
    } finally {
      proxy.closeAllConnections();
      proxy.close();
      agent.destroy();
    }
  }, LONG);

  test('the version of the program', () => {
    expect(run(['--version'])).toEqual({ code: 0, out: expect.stringMatching(/^signet \d+[.]\d+[.]\d+\n$/) as unknown as string, err: '' });
  });

  test('an authority rotated by command: the next enrollment comes from the new issuer, the old certificate stays good', () => {
    const id = String(json(['agent', 'register', '--name', 'cli-rotate', '--owner', 'a@example.org', '--purpose', 'tests'])['id']);
    json(['join-token', 'create', id, '--out', 'token-1']);
    const before = json(['enroll', '--token-file', 'token-1', '--dir', 'before']);
    json(['authority', 'rotate', '--step', 'prepare']);
    // The prepared issuer's lists are published first; until then activation is refused.
    for (let left = 20; run(['authority', 'rotate', '--step', 'activate']).code !== 0; left--) expect(left).toBeGreaterThan(0);
    const after = json(['renew', '--dir', 'before']);
    const issuerOf = (answer: Record<string, unknown>) => new X509Certificate(String(answer['certificate'])).issuer;
    expect(issuerOf(after)).not.toBe(issuerOf(before));
    expect(json(['status', String(before['serial'])])).toMatchObject({ status: 'good' });
    const states = (json(['authority', 'list'])['items'] as unknown as { kind: string; state: string }[]).filter((item) => item.kind === 'issuing').map((item) => item.state);
    expect(states.toSorted()).toEqual(['active', 'retiring']);
    for (const name of ['certificate.pem', 'chain.pem']) expect(fs.existsSync(path.join(folder, 'before', name))).toBe(true);
    expect(spawnSync('openssl', ['verify', '-x509_strict', '-CAfile', 'trust-bundle.pem', '-untrusted', 'chain.pem', 'certificate.pem'], { cwd: path.join(folder, 'before'), encoding: 'utf8' }).stdout).toContain('OK');
  }, LONG);

  test('an API token: made into a 0600 file, used, listed, revoked; the last admin token stays', () => {
    expect(run(['admin-token', 'create', '--name', 'ci', '--role', 'auditor'])).toMatchObject({ code: 64, err: expect.stringContaining('--out') as unknown as string });
    const made = json(['admin-token', 'create', '--name', 'ci', '--role', 'auditor', '--ttl', '600', '--out', 'ci-token']);
    expect(made).not.toHaveProperty('token');
    expect(fs.statSync(path.join(folder, 'ci-token')).mode & 0o777).toBe(0o600);
    const asAuditor = { SIGNET_TOKEN_FILE: 'ci-token' };
    expect(run(['admin-token', 'list'], asAuditor).out).toMatch(new RegExp(`^${made['id']} +ci +auditor +active`, 'm'));
    expect(run(['admin-token', 'create', '--name', 'more', '--role', 'admin', '--out', 'more'], asAuditor)).toMatchObject({ code: 1, err: expect.stringContaining('admin-tokens:manage') as unknown as string });
    expect(fs.existsSync(path.join(folder, 'more'))).toBe(false);
    expect(json(['admin-token', 'revoke', String(made['id'])])).toMatchObject({ state: 'revoked' });
    expect(run(['admin-token', 'list'], asAuditor).code).toBe(1);
    const [first] = json(['admin-token', 'list'])['items'] as unknown as { id: string; name: string }[];
    expect(first?.name).toBe('bootstrap');
    expect(run(['admin-token', 'revoke', String(first?.id)])).toMatchObject({ code: 1, err: expect.stringContaining('next: Make another API token') as unknown as string });
  }, LONG);

  test('a token is replaced: by id and by itself into its own file; a lost answer is had again; who am I', async () => {
    const made = await quickJson(['admin-token', 'create', '--name', 'rotated', '--role', 'operator', '--scope', 'agents:read', '--scope', 'own-token:rotate', '--out', file('rotated-token')]);
    const mine = { SIGNET_TOKEN_FILE: file('rotated-token') };
    expect(await quickJson(['admin-token', 'self'], mine)).toMatchObject({ id: made['id'], scopes: ['agents:read', 'own-token:rotate'], permissions: ['agents:read', 'own-token:read', 'own-token:rotate'] });
    expect(await quick(['admin-token', 'rotate', '--out', file('x')], mine)).toMatchObject({ code: 64, err: expect.stringContaining('--self') as unknown as string });
    const before = fs.readFileSync(file('rotated-token'), 'utf8');
    // An answer that was lost on its way into the file: the same command has it again.
    const lost = await quickJson(['admin-token', 'rotate', '--self', '--out', file('lost-token')], mine);
    const next = await quickJson(['admin-token', 'rotate', '--self', '--out', file('rotated-token')], mine);
    expect([next['id'], next['predecessorId'], next]).toEqual([lost['id'], made['id'], expect.not.objectContaining({ token: expect.anything() as unknown })]);
    expect(fs.readFileSync(file('rotated-token'), 'utf8')).not.toBe(before);
    expect(fs.statSync(file('rotated-token')).mode & 0o777).toBe(0o600);
    expect(await quickJson(['admin-token', 'self'], mine)).toMatchObject({ id: next['id'], state: 'active' });
    const third = await quickJson(['admin-token', 'rotate', '--id', String(next['id']), '--overlap', '0', '--out', file('third-token')]);
    expect(await quick(['admin-token', 'self'], mine)).toMatchObject({ code: 1, err: expect.stringContaining('it was rotated to') as unknown as string });
    expect((await quick(['admin-token', 'list', '--name', 'rotated', '--state', 'active'])).out).toMatch(new RegExp(`^${String(third['id'])} `, 'm'));
    expect(await quickJson(['admin-token', 'revoke', String(made['id']), '--with-successors'])).toMatchObject({ state: 'revoked' });
    expect((await quick(['admin-token', 'self'], { SIGNET_TOKEN_FILE: file('third-token') })).code).toBe(1);
    expect(await quick(['admin-token', 'create', '--name', 'x', '--role', 'relying-party', '--out', file('x')])).toMatchObject({ code: 1, err: expect.stringContaining('/v1/relying-parties') as unknown as string });
  }, LONG);

  test('a relying party: registered, equipped, cut off', async () => {
    const id = String((await quickJson(['relying-party', 'register', '--name', 'gateway', '--owner', 'bob@example.org', '--may-ask', 'status', '--may-ask', 'identity']))['id']);
    expect((await quick(['relying-party', 'list', '--state', 'active'])).out).toMatch(new RegExp(`^${id} +gateway +active`, 'm'));
    fs.writeFileSync(file('gateway.pem'), selfSigned('gateway').certificate);
    const pinned = await quickJson(['relying-party', 'add-certificate', id, '--certificate', file('gateway.pem')]);
    expect(await quickJson(['relying-party', 'change', id, '--may-ask', 'status'])).toMatchObject({ mayAsk: ['status'] });
    expect((await quickJson(['relying-party', 'show', id]))['certificates']).toEqual([pinned]);
    await quickJson(['relying-party', 'remove-certificate', id, String(pinned['id'])]);
    const token = await quickJson(['relying-party', 'create-token', id, '--name', 'gateway-1', '--ttl', '600', '--out', file('gateway-token')]);
    expect((await quick(['relying-party', 'list-tokens', id])).out).toContain(String(token['id']));
    const asGateway = { SIGNET_TOKEN_FILE: file('gateway-token') };
    expect(await quickJson(['status', '01'.repeat(20)], asGateway)).toEqual({ serial: '01'.repeat(20), status: 'unknown' });
    await quickJson(['relying-party', 'disable', id, '--reason', 'moved out']);
    expect(await quick(['status', '01'.repeat(20)], asGateway)).toMatchObject({ code: 1, err: expect.stringContaining('is disabled') as unknown as string });
    await quickJson(['relying-party', 'enable', id]);
    expect(await quickJson(['relying-party', 'revoke-token', id, String(token['id'])])).toMatchObject({ state: 'revoked' });
    expect((await quick(['status', '01'.repeat(20)], asGateway)).code).toBe(1);
  }, LONG);

  test('lists and records for people and for programs', () => {
    expect(run(['agent', 'list']).out).toMatch(/^ID +NAME +STATE/);
    expect(json(['audit', 'list', '--limit', '5'])).toHaveProperty('items');
    expect(run(['job', 'list']).out).toMatch(/^publish-crls +\*\/10 \* \* \* \* \* .* \d{4}-\d\d-\d\dT[\d:]+Z$/m);
    expect(run(['audit', 'list', '--kind', 'admin-token.created']).out).toMatch(/ system:first-start /);
    expect(run(['finding', 'list']).out).toBe('none\n');
    expect(run(['trust-bundle']).out).toContain('-----BEGIN CERTIFICATE-----');
  }, LONG);

  test('every operation of the API is done by a command: what the server counted says so', async () => {
    const of = (answer: Record<string, unknown>, ...path: (string | number)[]) => String(path.reduce<unknown>((value, name) => (value as Record<string | number, unknown>)[name], answer));

    const agent = of(await done('agent register --name all --owner a@example.org --purpose all --idempotency-key all-1'), 'id');
    expect(of(await done('agent register --name all --owner a@example.org --purpose all --idempotency-key all-1'), 'id')).toBe(agent);
    await done(`agent change ${agent} --deputy b@example.org --label team=core --if-version 1`);
    expect(await done(`agent change ${agent} --no-deputy --no-labels`)).toMatchObject({ deputyEmail: null, labels: {} });
    expect(await done('agent list --name all --state active --risk-class limited')).toMatchObject({ items: [{ id: agent }], nextCursor: null });
    for (const verb of ['show', 'activate', 'suspend', 'resume']) await done(`agent ${verb} ${agent}`);

    await done(`join-token create ${agent} --ttl 60 --source 127.0.0.0/8 --out ./all-token`);
    await done(`join-token list ${agent}`);
    const first = await done(`enroll --token-file ./all-token --dir ./all --agent ${agent} --profile agent`);
    const [serial, instance] = [of(first, 'serial'), of(first, 'instanceId')];
    expect(await done(`status ${serial} ${'01'.repeat(20)} --dir ./all`)).toMatchObject({ statuses: [{ status: 'good' }, { status: 'unknown' }] });
    expect(await done(`status ${serial}`)).toMatchObject({ status: 'good', agentId: agent });
    expect(await done('ocsp ./all/chain.pem')).toMatchObject({ serial, status: 'good' });
    for (const whose of [`agent ${agent}`, `instance ${instance}`]) expect(await done(`status ${whose}`)).toMatchObject({ items: [{ serial, status: 'good' }] });
    const fingerprint = createHash('sha256').update(new X509Certificate(fs.readFileSync(file('all/certificate.pem'))).raw).digest('hex');
    expect(await done(`status fingerprint ${fingerprint}`)).toMatchObject({ serial, status: 'good' });

    const steered = await done(`renewals steer --agent ${agent} --within 60 --reason trial`);
    expect(steered).toHaveProperty('id');
    expect(await done('renewal-info --dir ./all')).toHaveProperty('suggestedWindow');
    const killed = of(await done(`kill --agent ${agent} --reason trial --yes`), 'id');
    expect(await done(`status ${serial}`)).toMatchObject({ status: 'held' });
    expect(await done('kill list --state done')).toMatchObject({ items: [{ id: killed }] });
    expect(await done(`kill show ${killed}`)).toMatchObject({ effect: 'suspend', certificates: 1 });
    expect(await done(`kill resume ${killed}`)).toMatchObject({ state: 'resumed', released: 1 });
    expect(await done(`status ${serial}`)).toMatchObject({ status: 'good' });

    const party = of(await done('relying-party register --name points --owner bob@example.org --may-ask status --may-ask feed'), 'id');
    await done(`relying-party create-token ${party} --name points-1 --ttl 600 --out ./points-token`);
    const asParty = { SIGNET_TOKEN_FILE: file('points-token') };
    const [start] = (await quick(['feed', 'snapshot'], asParty)).out.split('\n').map((line) => JSON.parse(line || '{}') as { cluster?: string; epoch?: number; n?: number });
    expect(JSON.parse((await quick(words('feed --since 0 --until 1 --json'), asParty)).out)).toMatchObject({ n: 1 });
    const point = of(await quickJson(words('enforcement-point register --name one'), asParty), 'id');
    await quickJson(words(`enforcement-point acknowledge ${point} --n ${start?.n} --cluster ${start?.cluster} --epoch ${start?.epoch}`), asParty);
    expect(await done('enforcement-point list --state live')).toMatchObject({ items: [{ id: point, appliedN: start?.n }] });
    expect(await done(`feed event ${start?.n}`)).toMatchObject({ event: { n: start?.n } });
    await quickJson(words(`enforcement-point leave ${point}`), asParty);

    // The answer to a renewal is lost, and another key asks again: a finding.
    const keep = fs.readdirSync(path.join(folder, 'all')).map((name): [string, Buffer] => [name, fs.readFileSync(path.join(folder, 'all', name))]);
    await done('renew --dir ./all');
    for (const [name, content] of keep) fs.writeFileSync(path.join(folder, 'all', name), content);
    const renewed = of(await done('renew --dir ./all'), 'serial');
    const finding = of(await done(`finding list --open true --instance-id ${instance}`), 'items', 0, 'id');
    await done(`finding resolve ${finding} --reason lost`);

    await done(`certificate list --agent-id ${agent} --status good`);
    const issuer = of(await done(`certificate show ${renewed}`), 'issuerId');
    for (const verb of ['hold', 'release', 'revoke']) await done(`certificate ${verb} ${renewed}`);
    expect(await done('ocsp ./all/chain.pem --get')).toMatchObject({ serial: renewed, status: 'revoked', reason: 'unspecified' });
    expect(await done(`status identity ${serial}`)).toMatchObject({ agentId: agent });

    const log = await done('audit log');
    await done(`certificate proof ${of(await done(`certificate show ${serial}`), 'fingerprint')} --out ./all-proof`);
    await done('audit proof 1');
    await done(`audit consistency --first 1 --second ${of(log, 'checkpoint', 'size')}`);
    await done('audit evidence 1 --out ./all-evidence');
    const watch = `audit monitor --log-key ${of(log, 'key')} --watch nobody --once`;
    for (const more of ['--state ./all-monitor', '--state ./all-monitor-2 --from-start']) expect(await quick(words(`${watch} ${more}`))).toMatchObject({ code: 0 });

    await done(`instance list ${agent} --state active`);
    for (const verb of ['show', 'quarantine', 'release', 'revoke']) await done(`instance ${verb} ${instance}`);
    await done(`agent revoke-certificates ${agent} --reason keyCompromise`);
    await done(`agent retire ${agent} --note over`);

    for (const line of [`crl fetch ${issuer} --out ./all.crl`, `crl fetch ${issuer} --shard 1`, 'crl addresses', `issuer fetch ${issuer}`]) await done(line);
    for (const format of ['pem', 'json', 'spiffe', 'status-pem']) await done(`trust-bundle --format ${format}`);
    const token = of(await done('admin-token create --name all --role auditor --ttl 60 --out ./all-admin'), 'id');
    await done(`admin-token revoke ${token}`);
    for (const line of ['admin-token list', 'audit list --limit 2', 'job list', 'authority list', 'authority rotate --step prepare', 'health', 'ready', 'errors', 'metrics']) await done(line);
    for (let left = 40; (await quick(words('authority rotate --step activate'))).code !== 0; left--) {
      expect(left).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    await done('authority rollover-root');
    expect(await done('openapi')).toMatchObject({ openapi: '3.1.0' });

    const { content } = await done('metrics');
    const counted = new Set([...String(content).matchAll(/^signet_http_requests_total\{(.*)\} \d+$/gm)].flatMap(([, labels = '']) => {
      const { route, method, status } = Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value])) as Record<string, string>;
      return Number(status) < 300 ? [`${method} ${route}`] : [];
    }));
    // A page for people with a browser; a line that `audit log` shows, too.
    const exceptions: OperationId[] = ['getDocsPage', 'getLogKey'];
    const missing = Object.values(OPERATIONS).filter(({ id, method, path: route }) => !exceptions.includes(id as OperationId) && !counted.has(`${method.toUpperCase()} ${route}`));
    expect(missing.map(({ id }) => id)).toEqual([]);
  }, LONG);

  test('all pages of a list: as one document, as one table, and into a pipe that is closed', async () => {
    const all = (await done('audit list --limit 9 --all')) as unknown as { items: { n: string }[]; nextCursor: null };
    expect(all.nextCursor).toBeNull();
    expect(all.items.map(({ n }) => Number(n))).toEqual(all.items.map((_, i) => i + 1));
    expect(all.items.length).toBeGreaterThan(9);
    const table = (await quick(words('audit list --limit 9 --all'))).out.trimEnd().split('\n');
    expect(table.filter((line) => line.startsWith('N '))).toHaveLength(1);
    expect(table.length).toBeGreaterThanOrEqual(all.items.length + 1);
    expect((await quick(words('agent list --name nobody --all --json'))).out).toBe('{"items":[],"nextCursor":null}\n');
    expect((await quick(words('agent list --name nobody --all'))).out).toBe('none\n');

    const piped = spawnSync('bash', ['--norc', '-c', `"${process.execPath}" "${path.join(ROOT, 'dist/signet.js')}" audit list --limit 1 --all | head -n 1; echo "\${PIPESTATUS[0]}"`], { env, encoding: 'utf8' });
    expect([piped.stdout.split('\n').slice(1).join(), piped.stderr]).toEqual(['0,', '']);
  }, LONG);

  test('Ctrl-C ends with 130', async () => {
    // A server that never answers.
    const silent = net.createServer().listen(0, '127.0.0.1');
    const connected = once(silent, 'connection');
    await once(silent, 'listening');
    const child = spawn(process.execPath, [path.join(ROOT, 'dist/signet.js'), 'health'], { env: { ...env, SIGNET_OPERATIONS_URL: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` }, stdio: 'ignore' });
    const [socket] = (await connected) as [net.Socket];
    child.kill('SIGINT');
    expect((await once(child, 'exit'))[0]).toBe(130);
    socket.destroy();
    silent.close();
  }, LONG);

  test('every command has help with an example, and refuses what it does not know with exit 64', async () => {
    for (const { name, example } of COMMANDS) {
      const said = { out: '', err: '' };
      const io = { out: { write: (text: string) => (said.out += text) }, err: { write: (text: string) => (said.err += text) }, env: {} };
      expect([name, await runCli([...name.split(' '), '--help'], io, []), said.err]).toEqual([name, 0, '']);
      expect(said.out).toContain(example);
    }
    expect(run(['agent', 'list', '--nonsense']).code).toBe(64);
    expect(run(['agent', 'show']).code).toBe(64);
    expect(run(['frobnicate']).code).toBe(64);
    expect(run(['help']).code).toBe(0);
  }, LONG);

  test('errors say what to do next, on stderr, with their exit code', () => {
    const refused = run(['agent', 'register', '--name', 'Not A Name', '--purpose', 'x']);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('--name: must be 1 to 63');
    expect(refused.err).toContain('next:');
    expect(run(['agent', 'list'], { SIGNET_FINGERPRINT: '00'.repeat(32) })).toMatchObject({ code: 69, err: expect.stringContaining('fingerprint') as unknown as string });
    expect(run(['agent', 'list'], { SIGNET_API_URL: 'https://127.0.0.1:1' })).toMatchObject({ code: 69, err: expect.stringContaining('next:') as unknown as string });
    const toPipe = run(['join-token', 'create', '01KAMV3W5QZ3C1D6X2G7R8S9TB']);
    expect(toPipe).toMatchObject({ code: 64, err: expect.stringContaining('--out') as unknown as string });
  }, LONG);
});
