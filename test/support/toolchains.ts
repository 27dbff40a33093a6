/** Small programs in other languages, built from test/interop/<language> into a temporary folder by the language's own tools. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { installedProgram } from './outside-proxies.ts';
import { temporaryFolder } from './postgres.ts';

const SOURCES = path.resolve(import.meta.dirname, '../interop');
const BUILD_MS = 480_000;

/** A command and the words it begins with; `version` is what the report says of it. */
export interface Built {
  version: string;
  command: string;
  args: string[];
}

/** Runs a tool of the language with the settings of whoever runs the tests: caches, proxies, certificates. @throws Error with what it said */
function tool(program: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, env: { ...process.env, ...env }, encoding: 'utf8', timeout: BUILD_MS });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr + stdout}`);
  return stdout;
}

/** What `build` made; undefined, with a loud word about why, when the language is not here or its registry does not answer. */
function attempt(what: string, toolchain: string, build: (folder: string) => Built): Built | undefined {
  if (installedProgram(toolchain) === undefined) return undefined;
  const folder = temporaryFolder(`signet-${what}-`);
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  try {
    return build(folder);
  } catch (error) {
    console.warn(`${what} COULD NOT BE BUILT, its interop tests are skipped:\n${String(error)}`);
    return undefined;
  }
}

/** Whether a toolchain is here that the manifests ask for: `args` make it say `<major>.<minor>`, which `suits`. */
function has(program: string, args: string[], suits: (major: number, minor: number) => boolean): boolean {
  if (installedProgram(program) === undefined) return false;
  const [, major, minor] = /(\d+)\.(\d+)/.exec(tool(program, args, '/')) ?? [];
  return suits(Number(major), Number(minor));
}

export const hasGo = (): boolean => has('go', ['version'], (major, minor) => major === 1 && minor >= 23);
export const hasCargo = (): boolean => has('cargo', ['--version'], (major, minor) => major === 1 && minor >= 71);
/** Those whose wheels test/interop/python/requirements.txt pins. */
export const hasPython = (): boolean => has('python3', ['--version'], (major, minor) => major === 3 && minor >= 11 && minor <= 13);

const GO = { GOFLAGS: '-mod=mod -buildvcs=false', GOTOOLCHAIN: 'local' };

/** `go build` of test/interop/go. */
export const goProgram = (): Built | undefined =>
  attempt('go', 'go', (folder) => {
    fs.cpSync(path.join(SOURCES, 'go'), folder, { recursive: true });
    const command = path.join(folder, 'relying-party');
    tool('go', ['build', '-o', command, '.'], folder, GO);
    const library = /golang\.org\/x\/crypto (\S+)/.exec(fs.readFileSync(path.join(folder, 'go.mod'), 'utf8'))?.[1];
    return { version: `${tool('go', ['env', 'GOVERSION'], folder).trim()}, x/crypto ${library}`, command, args: [] };
  });

/** A program of another Go module. */
export const goInstalled = (module: string, version: string): Built | undefined =>
  attempt(path.basename(module), 'go', (folder) => {
    tool('go', ['install', `${module}@${version}`], folder, { ...GO, GOFLAGS: '-buildvcs=false', GOBIN: folder });
    return { version: version.replace(/^v/, ''), command: path.join(folder, path.basename(module)), args: [] };
  });

/** A virtual environment with what `test/interop/<name>/requirements.txt` pins. `args` is its folder of programs. */
export const pythonEnvironment = (name: string, library: string): Built | undefined =>
  attempt(library, 'python3', (folder) => {
    const requirements = path.join(SOURCES, name, 'requirements.txt');
    tool('python3', ['-m', 'venv', folder], folder);
    const bin = path.join(folder, 'bin');
    tool(path.join(bin, 'pip'), ['install', '--quiet', '--require-hashes', '--only-binary', ':all:', '-r', requirements], folder);
    const version = new RegExp(`^${library}==(\\S+)`, 'm').exec(fs.readFileSync(requirements, 'utf8'))?.[1] ?? '';
    return { version, command: path.join(bin, 'python'), args: [bin] };
  });

/** `cargo build` of test/interop/rust. */
export const rustProgram = (): Built | undefined =>
  attempt('rust', 'cargo', (folder) => {
    fs.cpSync(path.join(SOURCES, 'rust'), folder, { recursive: true });
    tool('cargo', ['build', '--quiet'], folder, { CARGO_TARGET_DIR: path.join(folder, 'target') });
    const library = /rustls-webpki = \{ version = "=([^"]+)"/.exec(fs.readFileSync(path.join(folder, 'Cargo.toml'), 'utf8'))?.[1] ?? '';
    return { version: library, command: path.join(folder, 'target/debug/relying-party'), args: [] };
  });
