import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { noBarrier, type Barrier } from '../core/barrier.ts';

const POLL_MS = 10;

/**
 * Barriers for tests that stop or kill the built program at a named step (config `faultBarriersDir`, refused in production). A step whose file
 * `<dir>/<name>` exists (`:` written as `.`) says so in `<dir>/<name>.reached` and waits until the file is gone.
 */
export function fileBarriers(dir: string | undefined): Barrier {
  if (dir === undefined) return noBarrier;
  return (name) => {
    const file = path.join(dir, name.replace(':', '.'));
    return existsSync(file) ? waitAt(file) : undefined;
  };
}

async function waitAt(file: string): Promise<void> {
  writeFileSync(`${file}.reached`, '');
  while (existsSync(file)) await sleep(POLL_MS);
}
