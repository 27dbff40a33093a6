/** Other people's proxies, run with the very configuration that docs/proxies.md shows: only addresses, ports and paths are put in. */
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, type Ports } from './signet-process.ts';
import { temporaryFolder } from './postgres.ts';

const DOCUMENT = path.resolve(import.meta.dirname, '../../docs/proxies.md');
const START_MS = 20_000;
const PLACES = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/usr/local/sbin'];

/** Absolute path of a program, also where only root looks for it; undefined when it is not on this machine. */
export const installedProgram = (name: string): string | undefined => PLACES.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));

/** The fenced block of the document whose first line is the comment `# <title>`. */
function documented(title: string): string {
  const [, text] = fs.readFileSync(DOCUMENT, 'utf8').split(`\n# ${title}\n`);
  if (text === undefined) throw new Error(`docs/proxies.md has no block "# ${title}"`);
  return text.slice(0, text.indexOf('```'));
}

export interface OutsideProxy {
  ports: Pick<Ports, 'api' | 'mtls'>;
  /** What it said so far. */
  said(): string;
  stop(): Promise<void>;
}

export interface ProxyPlan {
  program: 'haproxy' | 'nginx';
  /** The block of docs/proxies.md. */
  title: string;
  /** What stands for 10.0.0.11, 10.0.0.12. */
  replicas: readonly Ports[];
  /** PEM: certificate with key that the proxy shows, where it ends TLS; the root it trusts. */
  edgePem?: string;
  rootPem?: string;
}

/** Starts it in the foreground, and waits until it listens. */
export async function startProxy({ program, title, replicas, edgePem = '', rootPem = '' }: ProxyPlan): Promise<OutsideProxy> {
  const binary = installedProgram(program);
  if (binary === undefined) throw new Error(`${program} is not on this machine`);
  const folder = temporaryFolder(`signet-${program}-`);
  const ports = { api: await freePort(), mtls: await freePort() };
  fs.writeFileSync(path.join(folder, 'edge.pem'), edgePem, { mode: 0o600 });
  fs.writeFileSync(path.join(folder, 'root.pem'), rootPem);
  const text = fitted(documented(title), folder, ports, replicas);
  const file = path.join(folder, 'proxy.conf');
  // Its defaults for files to write are those of an installation.
  fs.writeFileSync(file, program === 'nginx' ? `${text.replace('http {', `http {\n  access_log off;\n${temporaryPaths(folder)}`)}\npid ${folder}/pid;\n` : text);
  const args = program === 'nginx' ? ['-p', folder, '-c', file, '-e', 'stderr', '-g', 'daemon off; master_process off;'] : ['-db', '-f', file];
  const child = spawn(binary, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (said += part));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    fs.rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const port of Object.values(ports)) await answersAt(port, child, () => said, START_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ports, said: () => said, stop };
}

/** nginx's defaults for files to write are those of an installation. */
export const temporaryPaths = (folder: string): string => ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${folder}/${kind};`).join('\n');

/** The documented text with the addresses of this machine. Lines that name a replica are those of its check, too. */
function fitted(text: string, folder: string, ports: OutsideProxy['ports'], replicas: readonly Ports[]): string {
  const lines = text.split('\n').map((line) => {
    const at = replicas.findIndex((_, i) => line.includes(`10.0.0.1${i + 1}:`));
    const replica = replicas[at];
    if (replica) return line.replace(/10\.0\.0\.1\d:8443/, `127.0.0.1:${replica.api}`).replace(/10\.0\.0\.1\d:8444/, `127.0.0.1:${replica.mtls}`).replace('port 9464', `port ${replica.operations}`);
    return line.replace(/(bind :|listen )8443/, (_, how: string) => bind(how, ports.api)).replace(/(bind :|listen )8444/, (_, how: string) => bind(how, ports.mtls));
  });
  return lines.join('\n').replaceAll(/\/etc\/(haproxy|nginx)\//g, `${folder}/`).replaceAll('signet.example', 'localhost');
}

const bind = (how: string, port: number): string => (how === 'listen ' ? `listen 127.0.0.1:${port}` : `bind 127.0.0.1:${port}`);

/** Resolves when something listens there. @throws Error with what the program said when it ends before that, or takes too long */
export async function answersAt(port: number, child: ChildProcess, said: () => string, withinMs: number): Promise<void> {
  for (const deadline = performance.now() + withinMs; performance.now() < deadline; await sleep(20)) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
  }
  throw new Error(`the program does not listen on ${port}:\n${said()}`);
}
