import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { withBuildLock } from './build-lock.ts';
import { fingerprint } from './fingerprint.ts';

const root = path.resolve(import.meta.dirname, '..');
const output = path.join(root, 'src/db/generated');
const stamp = path.join(output, '.stamp');

/** Generates the Prisma client into src/db/generated, unless the one there came from the same schema and the same packages. Ends the process on failure. */
export function generate(): void {
  const wanted = fingerprint(root, ['prisma/schema.prisma', 'prisma.config.ts', 'package-lock.json']);
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return;
  fs.rmSync(stamp, { force: true });
  // `generate` needs no schema engine binary; without this it would try to download one.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' };
  const ran = spawnSync(process.execPath, [path.join(root, 'node_modules/prisma/build/index.js'), 'generate', '--no-hints'], { cwd: root, env, encoding: 'utf8' });
  if (ran.status !== 0) {
    process.stderr.write(`${ran.stdout}${ran.stderr}prisma generate failed\n`);
    process.exit(1);
  }
  fs.writeFileSync(stamp, wanted);
}

if (import.meta.main) await withBuildLock(root, generate);
