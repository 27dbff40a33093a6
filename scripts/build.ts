import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { withBuildLock } from './build-lock.ts';
import { fingerprint } from './fingerprint.ts';
import { generate } from './generate.ts';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
const STAMP = '.stamp';

/**
 * Compiles src/ into dist/, unless the dist/ there came from the same sources. dist/ is complete whenever it exists: it is built beside
 * its place and renamed, and its stamp says from what.
 */
function build(): void {
  const wanted = fingerprint(root, ['src', 'prisma', 'prisma.config.ts', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json']);
  generate();
  if (readStamp() === wanted) return;
  process.stderr.write('compiling src/: some seconds, and again only when it changes\n');
  const fresh = `${dist}.${process.pid}`;
  const compiled = spawnSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', fresh], { cwd: root, stdio: 'inherit' });
  if (compiled.status !== 0) {
    fs.rmSync(fresh, { recursive: true, force: true });
    process.exit(1);
  }
  for (const program of ['main.js', 'signet.js']) if (fs.existsSync(path.join(fresh, program))) fs.chmodSync(path.join(fresh, program), 0o755);
  fs.writeFileSync(path.join(fresh, STAMP), wanted);
  const old = `${dist}.old.${process.pid}`;
  if (fs.existsSync(dist)) fs.renameSync(dist, old);
  fs.renameSync(fresh, dist);
  fs.rmSync(old, { recursive: true, force: true });
}

function readStamp(): string {
  const file = path.join(dist, STAMP);
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
}

await withBuildLock(root, build);
