/** Local commands of the built `signet`, run as a person on the machine runs them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { TestDatabase } from './db.ts';

const PROGRAM = path.resolve(import.meta.dirname, '../../dist/signet.js');

export interface LocalRun {
  code: number | null;
  out: string;
  err: string;
}

export interface LocalSite {
  /** The data folder of the service. */
  dataDir: string;
  /** Not given: the embedded database in it. */
  database?: Pick<TestDatabase, 'ownerUrl' | 'serviceUrl'> | undefined;
  env?: Record<string, string>;
}

/** The key-encryption key of all test services over a given database (signet-process.ts). */
const KEK = createHash('sha256').update('key-encryption key of tests').digest('base64');

function environment({ dataDir, database, env }: LocalSite): NodeJS.ProcessEnv {
  const kek = path.join(dataDir, 'test-kek');
  if (database) fs.writeFileSync(kek, KEK, { mode: 0o600 });
  return {
    PATH: process.env.PATH,
    HOME: dataDir,
    SIGNET_DATA_DIR: dataDir,
    ...(database && { DATABASE_URL: database.serviceUrl, SIGNET_OWNER_DATABASE_URL: database.ownerUrl, SIGNET_KEK_FILE: kek }),
    ...env,
  };
}

/** Started, to be killed in the middle. */
export const spawnLocal = (site: LocalSite, args: readonly string[]): ChildProcess => spawn(process.execPath, [PROGRAM, ...args], { cwd: site.dataDir, env: environment(site), stdio: ['ignore', 'pipe', 'pipe'] });

export async function runLocal(site: LocalSite, args: readonly string[]): Promise<LocalRun> {
  const child = spawnLocal(site, args);
  const said = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, ...said };
}

/** The record of a command that must succeed. */
export async function localJson<T = Record<string, unknown>>(site: LocalSite, args: readonly string[]): Promise<T> {
  const { code, out, err } = await runLocal(site, [...args, '--json']);
  if (code !== 0) throw new Error(`signet ${args.join(' ')} ended with ${code}:\n${out}${err}`);
  return JSON.parse(out) as T;
}
