/** Other people's servers that ask agents for a certificate, run with the very configuration that docs/relying-parties.md shows: only ports, paths and names are put in. */
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { blocksOf } from './documents.ts';
import { run, type Ran, type Verdict } from './interop.ts';
import type { Site, SiteLeaf } from './interop-site.ts';
import { answersAt, installedProgram, temporaryPaths } from './outside-proxies.ts';
import { freePort } from './signet-process.ts';
import { temporaryFolder } from './postgres.ts';

export const RELYING_PARTIES = 'docs/relying-parties.md';
const START_MS = 20_000;

/** The fenced block of docs/relying-parties.md whose first line is the comment `<comment> <title>`. */
export function documentedBlock(title: string): string {
  const found = blocksOf(RELYING_PARTIES).filter(({ text }) => text.startsWith(`# ${title}\n`) || text.startsWith(`# ${title}: `) || text.startsWith(`// ${title}\n`));
  if (found.length !== 1) throw new Error(`${RELYING_PARTIES} has ${found.length} blocks "${title}"`);
  return found[0]?.text ?? '';
}

/** Options of the documented command `curl … https://…`, without those that say who calls whom. */
export function documentedOptions(title: 'curl'): string[] {
  const line = blocksOf(RELYING_PARTIES).find(({ text }) => text.startsWith(`${title} `))?.text ?? '';
  return line.split(/\s+/).filter((word) => /^--(?!cacert)/.test(word));
}

/** Runs the documented script that fetches the lists, as a timer would. */
export async function fetchListsInto(site: Site, file: string, ...reload: string[]): Promise<void> {
  ended(await run('sh', ['-c', documentedBlock('signet-lists'), 'signet-lists', site.service.signet.urls.status, file, ...(reload.length > 0 ? reload : ['true'])]));
}

/** Runs the documented script that fetches what stands below the roots in `roots`. */
export async function fetchAuthorities(site: Site, roots: string, file: string): Promise<void> {
  ended(await run('sh', ['-c', documentedBlock('signet-authorities'), 'signet-authorities', site.service.signet.urls.status, roots, file, 'true']));
}

export interface OutsideServer {
  /** By the port of the document. */
  ports: Record<number, number>;
  /** Its folder: what stands for /etc/nginx and so on. The files of Signet are in `signet`. */
  folder: string;
  /** File of the lists. */
  lists: string;
  /** The process to send signals to. */
  pid: number;
  said(): string;
  stop(): Promise<void>;
}

export interface ServerPlan {
  program: 'apache2' | 'haproxy' | 'nginx';
  /** Title of the block. */
  title: string;
  /** Certificate and key that the server shows. */
  server: SiteLeaf;
  /** Changes to the documented text, to show what happens then. */
  change?: (text: string) => string;
}

/** What a program needs besides the block, to run from a folder of its own: `text` is the block. */
const WRAPPED: Record<ServerPlan['program'], (text: string, folder: string) => { text: string; args: (file: string) => string[] }> = {
  nginx: (text, folder) => ({
    text: `${text.replace('http {', `http {\n  access_log off;\n${temporaryPaths(folder)}`)}\npid ${folder}/pid;\nworker_processes 1;\n${process.getuid?.() === 0 ? 'user root;\n' : ''}`,
    args: (file) => ['-p', folder, '-c', file, '-e', 'stderr', '-g', 'daemon off;'],
  }),
  haproxy: (text) => ({ text, args: (file) => ['-W', '-db', '-f', file] }),
  apache2: (text, folder) => ({
    text: [
      ...['mpm_event', 'authz_core', 'ssl', 'dir'].map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`),
      `ServerRoot ${folder}`, `DefaultRuntimeDir ${folder}`, `PidFile ${folder}/pid`, 'ErrorLog "|$/bin/cat 1>&2"', 'LogLevel warn ssl:info', 'Mutex default', 'ServerName localhost', 'StartServers 1', `DocumentRoot ${folder}/www`,
      ...(process.getuid?.() === 0 ? ['User nobody', 'Group nogroup'] : []),
      ...[...text.matchAll(/<VirtualHost \*:(\d+)>/g)].map(([, port]) => `Listen 127.0.0.1:${port}`),
      text,
    ].join('\n'),
    args: (file) => ['-f', file, '-DFOREGROUND'],
  }),
};
const APACHE_MODULES = '/usr/lib/apache2/modules';

/** Starts it in the foreground, and waits until it listens. */
export async function startServer(site: Site, { program, title, server, change = (text) => text }: ServerPlan): Promise<OutsideServer> {
  const binary = installedProgram(program);
  if (binary === undefined) throw new Error(`${program} is not on this machine`);
  const folder = temporaryFolder(`signet-${program}-`);
  fs.chmodSync(folder, 0o755);
  const lists = layOut(site, server, folder, program === 'haproxy');
  await fetchListsInto(site, lists);
  const signet = path.dirname(lists);
  await fetchAuthorities(site, path.join(signet, 'trust-bundle.pem'), path.join(signet, 'authorities.pem'));

  const documented = change(documentedBlock(title));
  const documentedPorts = [...new Set([...documented.matchAll(/(?:listen |bind :|\*:)(\d+)/g)].map(([, port]) => Number(port)))];
  const ports = Object.fromEntries(await Promise.all(documentedPorts.map(async (port) => [port, await freePort()] as const)));
  const fitted = documented
    .replaceAll(/(listen |bind :|\*:)(\d+)/g, (_, how: string, port: string) => `${how.replace('listen ', 'listen 127.0.0.1:').replace('bind :', 'bind 127.0.0.1:')}${ports[Number(port)]}`)
    .replaceAll(`/etc/${program}/`, `${folder}/`)
    .replaceAll('resolver 10.0.0.2;', 'resolver 127.0.0.1;');
  const wrapped = WRAPPED[program](fitted, folder);
  const file = path.join(folder, 'server.conf');
  fs.writeFileSync(file, wrapped.text);

  const child = spawn(binary, wrapped.args(file), { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (said += part));
  const end = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const killAtExit = () => killGroup(child);
  process.once('exit', killAtExit);
  const stop = async () => {
    killGroup(child);
    await end;
    process.off('exit', killAtExit);
    fs.rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const port of Object.values(ports)) await answersAt(port, child, () => said, START_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ports, folder, lists, pid: child.pid ?? 0, said: () => said, stop };
}

/** Its processes are a group of their own. */
function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** The files that the document names, in `<folder>/signet`; returns the one of the lists. HAProxy has the key in the file of the chain. */
export function layOut(site: Site, server: SiteLeaf, folder: string, keyInChain = false): string {
  const read = (name: string) => fs.readFileSync(path.join(site.folder, name), 'utf8');
  const signet = path.join(folder, 'signet');
  fs.mkdirSync(signet);
  fs.mkdirSync(path.join(folder, 'www'));
  fs.writeFileSync(path.join(folder, 'www', 'index.html'), 'agent\n');
  fs.writeFileSync(path.join(signet, 'chain.pem'), read(server.chainFile) + (keyInChain ? read(server.keyFile) : ''), { mode: keyInChain ? 0o600 : 0o644 });
  fs.writeFileSync(path.join(signet, 'key.pem'), read(server.keyFile), { mode: 0o600 });
  fs.writeFileSync(path.join(signet, 'trust-bundle.pem'), read(`${site.rootId}.pem`));
  return path.join(signet, 'lists.pem');
}

/** @throws Error with what it said, unless it ended well */
function ended({ code, stdout, stderr }: Ran): void {
  if (code !== 0) throw new Error(`${code}: ${stdout}${stderr}`);
}

/** The documented script runs, and reloads the server by this signal; resolves when a worker of the new configuration serves. */
export async function reloadLists(site: Site, server: OutsideServer, signal: 'HUP' | 'USR2' | 'USR1'): Promise<void> {
  await fetchListsInto(site, server.lists, 'kill', `-${signal}`, String(server.pid));
}

export interface Caller {
  /** Files of the client's certificate with its chain, and of its key; nobody when not given. */
  client?: Pick<SiteLeaf, 'chainFile' | 'keyFile'> | undefined;
  /** Options of curl. */
  more?: string[];
}

/** One request of curl by the name in the server's certificate. Accepted: it was answered 200. */
export async function callServer(site: Site, server: SiteLeaf, port: number, { client, more = [] }: Caller = {}): Promise<Verdict> {
  const name = `${server.file.replace(/\.pem$/, '')}.example.test`;
  const identity = client ? ['--cert', client.chainFile, '--key', client.keyFile] : [];
  const args = ['-sS', '--max-time', '20', '--cacert', `${site.rootId}.pem`, '--resolve', `${name}:${port}:127.0.0.1`, ...identity, ...more, '-w', '\n%{http_code}', `https://${name}:${port}/`];
  const { code, stdout, stderr } = await run('curl', args, { cwd: site.folder });
  return { accepted: code === 0 && stdout.endsWith('\n200'), said: `${stdout}\n${stderr}\ncurl: ${code}` };
}

/** Asks again until the server has taken its new configuration and judges so; the last verdict, whatever it is. */
export async function untilVerdict(ask: () => Promise<Verdict>, accepted: boolean): Promise<Verdict> {
  for (const deadline = performance.now() + START_MS; ; await sleep(100)) {
    const verdict = await ask();
    if (verdict.accepted === accepted || performance.now() > deadline) return verdict;
  }
}
