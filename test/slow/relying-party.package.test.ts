/** The published surface: the built files by their name in the package, in processes of their own, and the programs of docs/sdk-relying-party.md. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { blocksOf } from '../support/documents.ts';
import { temporaryFolder } from '../support/postgres.ts';
import { callerOf, get, listening, partyToken, until } from '../support/relying-party.ts';
import { selfSigned } from '../support/self-signed.ts';
import { startService, type Service } from '../support/service.ts';
import { freePort } from '../support/signet-process.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const [SERVER, EXPRESS, CLIENT] = blocksOf('docs/sdk-relying-party.md').filter(({ info }) => info === 'js').map(({ text }) => text) as [string, string, string];
/** Another Node.js than this one, to run the same with. */
const NODE = process.env.SIGNET_TEST_SDK_NODE ?? process.execPath;

let service: Service;
let folder: string;
const running: ChildProcess[] = [];
const closing: (() => void)[] = [];

beforeAll(async () => {
  service = await startService();
  folder = temporaryFolder('signet-sdk-');
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(ROOT, path.join(folder, 'node_modules/signet'));
  fs.symlinkSync(path.join(ROOT, 'node_modules/express'), path.join(folder, 'node_modules/express'));
  const own = selfSigned('127.0.0.1', { names: ['IP:127.0.0.1'] });
  const files = { 'trust-bundle.pem': service.signet.rootPem, token: await partyToken(service, 'orders'), 'server.key': own.key, 'server.pem': own.certificate };
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
}, 120_000);
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  for (const close of closing) close();
  fs.rmSync(folder, { recursive: true, force: true });
  await service.close();
});

/** Writes a program of the page, led to this Signet and to `port`. */
function program(name: string, text: string, port: number): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text.replaceAll('https://127.0.0.1:8443', service.signet.urls.api).replaceAll(/\b9443\b|\b9444\b/g, String(port)));
  return file;
}
function start(file: string): { stderr: () => string } {
  let stderr = '';
  const child = spawn(NODE, [file], { cwd: folder, env: {}, stdio: ['ignore', 'inherit', 'pipe'] });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  running.push(child);
  return { stderr: () => stderr };
}

test('importing it loads nothing of the server, nor undici before it is asked for', () => {
  const hook = path.join(folder, 'hook.mjs');
  fs.writeFileSync(hook, "import { registerHooks } from 'node:module';\nregisterHooks({ load(url, context, next) { console.log(url); return next(url, context); } });\n");
  fs.writeFileSync(path.join(folder, 'import.mjs'), "console.log(Object.keys(await import('signet/relying-party')).sort().join(' '));\n");
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', hook, 'import.mjs'], { cwd: folder, env: {}, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  const loaded = stdout.trim().split('\n');
  expect(loaded.at(-1)).toBe('PeerRefused REFUSALS createRelyingParty');
  const inDist = loaded.filter((url) => url.includes('/dist/')).map((url) => /\/dist\/([^/]+)\//.exec(url)?.[1]);
  expect([...new Set(inDist)].toSorted()).toEqual(['api', 'client', 'core', 'verify', 'x509']);
  const packages = loaded.filter((url) => url.includes('/node_modules/')).map((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/.exec(url)?.[1]);
  expect([...new Set(packages)]).toEqual(['zod']);
});

test.each([['server.mjs', SERVER], ['express.mjs', EXPRESS]])('the server of the page: %s', async (name, text) => {
  const identity = await service.enrolled();
  const port = await freePort();
  const { stderr } = start(program(name, text, port));
  const agent = callerOf(identity);
  closing.push(() => agent.destroy());
  await until(async () => {
    expect(stderr()).toBe('');
    return get(port, agent).then(({ status }) => status === 200, () => false);
  });
  expect(JSON.parse((await get(port, agent)).body)).toMatchObject({ agentId: identity.agentId, instanceId: identity.instanceId, profile: 'agent' });
  await service.order(`/v1/certificates/${identity.serial}/revoke`, { reason: 'keyCompromise' });
  await until(async () => get(port, agent).then(({ status }) => status === 403, () => false));
});

test('the client of the page', async () => {
  const [server, caller] = [await service.enrolled(), await service.enrolled()];
  const door = https.createServer({ key: server.key, cert: server.chain, requestCert: true, rejectUnauthorized: false }, (_request, response) => response.end('served'));
  const port = await listening(door);
  closing.push(() => (door.closeAllConnections(), door.close()));
  fs.writeFileSync(path.join(folder, 'chain.pem'), caller.chain);
  fs.writeFileSync(path.join(folder, 'key.pem'), caller.key);
  fs.writeFileSync(path.join(folder, 'server-id'), `spiffe://signet.internal/agent/${server.agentId}\n`);
  const child = spawn(NODE, [program('client.mjs', CLIENT, port)], { cwd: folder, env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  expect([code, said]).toEqual([0, '200 served\n']);
});
